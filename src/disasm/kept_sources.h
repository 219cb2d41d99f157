/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kept_sources - the source lines that came with a run, instead of files
 *
 * source_files shows them where an archive was opened: what lies on this
 * machine under the same path may be another version.
 *
 * Owner:   kept_sources_new()/_free(); copies of all texts.
 * Threads: one fills; after kept_sources_finish() any may ask.
 * Limits:  KEPT_SOURCES_MAX_BYTES of text, KEPT_SOURCES_MAX_LINES lines and files each.
 * Tests:   kept_sources_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define KEPT_SOURCES_MAX_BYTES ((size_t)256 << 20)
#define KEPT_SOURCES_MAX_LINES (1u << 22)

struct kept_sources;

struct kept_source_file {
    const char *path;   /* as debug information has it */
    const char *found;  /* where it lay; NULL: nowhere */
    int64_t modified_s; /* when it was last written */
};

struct kept_source_line {
    uint32_t file, line;
    const char *text;
};

int kept_sources_new(struct kept_sources **ret_kept);
struct kept_sources *kept_sources_free(struct kept_sources *kept);
DEFINE_FREEP(kept_sources);

/* Each path once: of several the first is found. 0, -ENOMEM, -ENOSPC past a limit, or -EINVAL for a
 * file that was not added. */
int kept_sources_add_file(struct kept_sources *kept, const struct kept_source_file *file,
                          uint32_t *ret_file);
int kept_sources_add_line(struct kept_sources *kept, const struct kept_source_line *line);
void kept_sources_finish(struct kept_sources *kept);

/* The file of that path; NULL: nobody kept it. */
const struct kept_source_file *kept_sources_find(const struct kept_sources *kept, const char *path);
/* The line of a file that kept_sources_find() gave; NULL: nobody kept it. */
const char *kept_sources_line(const struct kept_sources *kept, const struct kept_source_file *file,
                              uint32_t line);

/* All of it, in its order. */
const struct kept_source_file *kept_sources_files(const struct kept_sources *kept,
                                                  size_t *ret_n_files);
const struct kept_source_line *kept_sources_lines(const struct kept_sources *kept,
                                                  size_t *ret_n_lines);
