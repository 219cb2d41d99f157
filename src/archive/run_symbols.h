/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_symbols - names, lines, inline chains, code and source of a run, in an archive
 *
 * What the functions of a run's frames are called, where they come from and
 * what their code is, as far as any view can show it: kept where the run was
 * recorded, so that another machine gives the same answers without a binary, a
 * debug file or a source.
 *
 * Shape:   members "symbols/<kind>" of columns (symbol_tables.h), "blobs/code"
 *          and "blobs/jit" of bytes. Images that share a table of symbols are
 *          one group. Images are known by their numbers in the run, which an
 *          archive keeps.
 * Owner:   run_symbols_read()/run_symbols_free(); it outlives the run's names
 *          and code.
 * Threads: writing: any that holds the snapshot, while the run goes on.
 *          Reading: one; then any.
 * Limits:  those of kept_symbols, kept_code, kept_sources and jit_kept;
 *          RUN_SYMBOLS_MAX_CODE_BYTES are written; of a function larger than
 *          RUN_SYMBOLS_WHOLE_BYTES what surrounds its frames. What is read takes no
 *          more memory than symbol_reading.h says.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_symbols_test.c, run_symbols_bounds_test.c, tests/fuzz/fuzz_run_symbols.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/snapshot.h"
#include "archive/archive_file.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "jit/jit_kept.h"
#include "query/query_names.h"

#define RUN_SYMBOLS_MAX_CODE_BYTES ((size_t)64 << 20)
#define RUN_SYMBOLS_WHOLE_BYTES ((uint64_t)1 << 20)

struct run_symbols_options {
    bool is_target_alive; /* the run goes on: sources may lie in the target's file system */
    int timeout_ms;       /* to wait for names and lines that are still being read */
};

struct run_symbols_stats {
    uint64_t n_functions, n_inlined_functions;
    uint64_t n_lines, n_source_lines;
    uint64_t n_pieces, n_code_bytes;
    uint64_t n_made_functions, n_made_bytes;
    uint64_t n_places;     /* told one by one, since ranges would answer differently */
    uint64_t n_lines_late; /* ranges of code whose lines were still being read */
    uint64_t n_left_out;   /* functions whose code would have been too much */
    uint64_t n_no_room;    /* names, and tables of names and lines, that found no room */
    uint64_t n_bytes;      /* of the members */
    uint64_t took_ns;
};

/*
 * Writes what is known of all frames of the snapshot. Waits for names and lines
 * first. Errors are those of archive_writer_add(), or -ENOMEM.
 */
int run_symbols_write(const struct snapshot *snapshot, struct query_names *names,
                      const struct run_symbols_options *options, struct archive_writer *writer,
                      struct run_symbols_stats *ret_stats, struct error *reterr_error);

struct run_symbols;

struct run_symbols_damage {
    uint64_t n_members; /* of which something is missing */
    uint64_t n_rows;    /* that made no sense and were left out */
};

/*
 * What the members tell. What is damaged is left out: places without names and
 * code are shown as such. 0, -ENOMEM, or what archive_reader_read() said.
 */
int run_symbols_read(struct archive_reader *reader, struct run_symbols **ret_symbols,
                     struct run_symbols_damage *ret_damage, struct error *reterr_error);
struct run_symbols *run_symbols_free(struct run_symbols *symbols);
DEFINE_FREEP(run_symbols);

/* For query_names_set_kept(), before the images are announced. */
struct kept_run run_symbols_kept(struct run_symbols *symbols);
/* For jit_code_set_kept(): the caller's from here on; NULL the second time. */
struct jit_kept *run_symbols_take_jit(struct run_symbols *symbols);
