/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * symbol_tables - how names, lines and code lie in an archive
 *
 * Shape:   one struct per kind of row, one member per kind. Rows of a group
 *          stand together, in the order of groups. Numbers of functions, calls,
 *          sources and made code are numbers of rows, plus 1 where 0 is none.
 *          Texts are numbers of history_names; 0 is none. Ids of columns are for
 *          ever; a field that is not there is 0.
 * Owner, Threads: constants.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_symbols_test.c
 */

#include "archive/column.h"

enum symbol_table {
    SYMBOL_TABLE_NAMES, /* the texts, each with its NUL */
    SYMBOL_TABLE_GROUPS,
    SYMBOL_TABLE_IMAGES,
    SYMBOL_TABLE_SEGMENTS,
    SYMBOL_TABLE_FUNCTIONS,
    SYMBOL_TABLE_PLACES,
    SYMBOL_TABLE_CALLS,
    SYMBOL_TABLE_LINES,
    SYMBOL_TABLE_BOUNDS,
    SYMBOL_TABLE_PIECES,
    SYMBOL_TABLE_CODE, /* the bytes of all pieces */
    SYMBOL_TABLE_SOURCES,
    SYMBOL_TABLE_SOURCE_LINES,
    SYMBOL_TABLE_MADE_SYMBOLS,
    SYMBOL_TABLE_MADE_BODIES,
    SYMBOL_TABLE_MADE_LINES,
    SYMBOL_TABLE_MADE_FUNCTIONS,
    SYMBOL_TABLE_MADE_ANSWERS,
    SYMBOL_TABLE_MADE_STATS,
    SYMBOL_TABLE_MADE_CODE, /* the bytes of all bodies */
    SYMBOL_TABLE_N
};

struct symbol_table_info {
    const char *member; /* "symbols/functions" */
    struct column_table columns;
};
const struct symbol_table_info *symbol_table(enum symbol_table kind);

/* The largest row of all. */
#define SYMBOL_TABLE_ROW_BYTES 96

struct symbol_byte {
    uint8_t byte;
};

#define SYMBOL_GROUP_HAS_SYMBOLS 1u
#define SYMBOL_GROUP_HAS_CODE 2u
#define SYMBOL_GROUP_HAS_FILE 4u
#define SYMBOL_GROUP_NAMES_BY_LAYOUT 8u /* names are found by it; else offsets are addresses */

struct symbol_group {
    uint8_t flags;
    uint8_t state;   /* enum symbol_state */
    uint8_t machine; /* 1: x86-64, 2: aarch64 */
    uint8_t n_executable;
    uint32_t origin, failure, open_failure;
    uint64_t n_functions; /* that the table had */
    uint64_t modified_s;
};

struct symbol_image {
    uint32_t image, group;
};

struct symbol_segment {
    uint32_t group;
    uint64_t file_offset, n_bytes, image_addr;
};

#define SYMBOL_FUNCTION_NAMELESS 1u
#define SYMBOL_FUNCTION_INLINED 2u

struct symbol_function {
    uint32_t group, name, image;
    uint8_t kind, flags;
    uint64_t start_addr, n_bytes;
};

struct symbol_place {
    uint32_t group;
    uint32_t function; /* of the group, from 1 on */
    uint64_t image_addr;
};

struct symbol_call {
    uint32_t group;
    uint32_t back;     /* to the call around it; 0: none */
    uint32_t function; /* of the group, from 1 on */
    uint32_t call_file, call_line;
};

struct symbol_line {
    uint32_t group, file, line;
    uint32_t call; /* of the group, from 1 on */
    uint64_t start_addr;
};

struct symbol_bounds {
    uint32_t group;
    uint64_t start_addr, n_bytes;
};

struct symbol_piece {
    uint32_t group, origin, failure, hint;
    uint64_t pid, start_addr, n_bytes;
    uint64_t n_read_bytes; /* of them, which stand in blobs/code */
};

struct symbol_source_file {
    uint32_t path, found;
    uint64_t modified_s;
};

struct symbol_source_text {
    uint32_t file, line, text;
};

struct symbol_made_symbol {
    uint32_t name, image;
    uint8_t kind;
    uint64_t start_ip, n_bytes;
};

struct symbol_made_body {
    uint64_t n_bytes; /* which stand in blobs/jit */
};

struct symbol_made_line {
    uint32_t body, code_offset, file, line;
};

struct symbol_made_function {
    uint32_t symbol;
    uint32_t body; /* from 1 on */
    uint64_t start_ip, n_bytes, from_ns, to_ns;
};

struct symbol_made_answer {
    uint32_t function;
    uint64_t pid, ip, from_ns, to_ns;
};

struct symbol_made_stats {
    uint64_t n_functions, n_moves, n_reused, n_tables, n_lines;
    uint64_t n_table_bytes, n_frameless_bytes, n_dropped;
};
