/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * symbol_reading - the parts of run_symbols_read
 *
 * Rows speak of rows by their numbers, so a table is read up to its first
 * damage. What a row says is checked where it is added; a row that is refused
 * leaves a hole that is filled where others count on its number.
 *
 * Owner:   run_symbols_read().
 * Threads: one.
 * Limits:  SYMBOL_READING_MAX_BYTES, or SYMBOL_READING_MAX_INFLATION times the
 *          members' bytes where that is more: rows that are alike take next to
 *          nothing in a file and as much as others in memory.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_symbols_test.c, run_symbols_bounds_test.c, tests/fuzz/fuzz_run_symbols.c
 */

#include "archive/run_symbols_internal.h"

#define SYMBOL_READING_MAX_BYTES (UINT64_C(256) << 20)
#define SYMBOL_READING_MAX_INFLATION 64u

/* A group while it is read. */
struct read_group {
    struct symbol_group row;
    struct elf_layout *layout; /* NULL: no segment was told */
};

struct symbol_reading {
    struct archive_reader *reader;
    struct run_symbols *symbols;
    struct run_symbols_damage *damage;
    struct error *reterr_error;
    struct history_names texts;
    size_t n_groups, groups_capacity;
    struct read_group *groups;
    uint8_t *code; /* of the pieces, or of made code */
    size_t n_code_bytes, code_capacity, code_at;
    uint32_t next_body; /* whose lines come */
    uint32_t last_line_group;
    uint64_t last_line_addr;
    void *rows; /* of one frame */
    size_t n_made_bodies, made_bodies_capacity;
    uint64_t *made_bodies;                 /* their sizes */
    uint64_t n_member_bytes, n_made_bytes; /* read, and made of it */
};

/* 0, -EBADMSG or -EINVAL for a row that is refused, -ENOSPC where it ends, or -ENOMEM. */
typedef int (*take_row_cb)(struct symbol_reading *reading, const void *row);

struct table_step {
    enum symbol_table kind;
    take_row_cb take;
};

/* Members one behind the other; damage is counted. 0, -ENOMEM, or what archive_reader_read() said.
 */
int symbol_reading_tables(struct symbol_reading *reading, const struct table_step *steps,
                          size_t n_steps);

/* Memory is going to be taken. 0, or -ENOSPC where that would be too much for such an archive. */
int symbol_reading_spend(struct symbol_reading *reading, uint64_t n_bytes);

/*
 * A text by its number. 0, or -ENOSPC. NULL: there is none of that number, its
 * end was lost, or it is longer than any; of number 0 "".
 */
int symbol_reading_text(struct symbol_reading *reading, uint32_t number, const char **ret_text);
/* Number 0 is NULL, too. */
int symbol_reading_text_or_null(struct symbol_reading *reading, uint32_t number,
                                const char **ret_text);

/* The next bytes of code; NULL where there are fewer: then those behind them are not known either.
 */
const uint8_t *symbol_reading_code(struct symbol_reading *reading, uint64_t n_bytes);

/* made_read.c: code that programs made. */
int made_read(struct symbol_reading *reading);
