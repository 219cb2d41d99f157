/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * source_files - lines of the source that a program was built from
 *
 * The paths come from debug information, which the program's author wrote:
 * only regular files are read, not more than SOURCE_FILES_MAX_BYTES of each,
 * and each once. A path is looked for where the caller's map puts it, as it
 * is, where the Rust compiler's own library is installed (for /rustc/HASH/…),
 * and in the target's file system; there at once after the map where the
 * target's root is another one, since the path is of its files then. Of a run
 * that came with its sources they are looked for where the caller's map puts
 * them, then there, and nowhere else.
 *
 * Owner:   source_files_init()/_release(); lines live in the arena.
 * Threads: one.
 * Limits:  SOURCE_FILES_MAX files, SOURCE_LINE_MAX_BYTES of a line.
 * Tests:   source_files_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "disasm/kept_sources.h"

#define SOURCE_FILES_MAX 256u
#define SOURCE_FILES_MAX_BYTES (16u << 20)
#define SOURCE_LINE_MAX_BYTES 400u

/* "FROM=TO": a path that begins with FROM begins with TO instead. */
struct source_map {
    const char *from, *to;
};

struct source_file;

struct source_files {
    struct arena *arena;
    size_t n_maps;
    const struct source_map *maps;
    bool is_kept_only;               /* the run came with its sources */
    const struct kept_sources *kept; /* NULL: with none */
    int64_t target_pid;              /* 0: do not look into its file system */
    const char *rust_library; /* a directory that has library/std; NULL: where it is usually */
    size_t n_files;
    struct source_file *files;
    size_t n_bytes; /* read so far */
};

/* All is borrowed; set the other members afterwards. */
void source_files_init(struct source_files *files, struct arena *arena);
void source_files_release(struct source_files *files);
DEFINE_RELEASEP(source_files);

/* "FROM=TO" into its halves, in the arena; false where it is none. */
bool source_map_parse(struct arena *arena, const char *text, struct source_map *ret_map);

/* The line (from 1 on), without its end; NULL where there is no such file or line. */
const char *source_files_line(struct source_files *files, const char *path, uint32_t line);

/* The file as it was found, and when it was last written; NULL where none was. */
const char *source_files_found(struct source_files *files, const char *path,
                               int64_t *ret_modified_s);
