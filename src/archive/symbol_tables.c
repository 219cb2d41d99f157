/* SPDX-License-Identifier: MIT */
#include "archive/symbol_tables.h"

#define DELTA COLUMN_DELTA
#define PLAIN COLUMN_PLAIN

static const struct column byte_columns[] = {
    COLUMN(struct symbol_byte, byte, 1, PLAIN),
};

static const struct column group_columns[] = {
    COLUMN(struct symbol_group, flags, 1, PLAIN),
    COLUMN(struct symbol_group, state, 2, PLAIN),
    COLUMN(struct symbol_group, machine, 3, PLAIN),
    COLUMN(struct symbol_group, n_executable, 4, PLAIN),
    COLUMN(struct symbol_group, origin, 5, PLAIN),
    COLUMN(struct symbol_group, failure, 6, PLAIN),
    COLUMN(struct symbol_group, open_failure, 7, PLAIN),
    COLUMN(struct symbol_group, n_functions, 8, PLAIN),
    COLUMN(struct symbol_group, modified_s, 9, PLAIN),
};

static const struct column image_columns[] = {
    COLUMN(struct symbol_image, image, 1, DELTA),
    COLUMN(struct symbol_image, group, 2, DELTA),
};

static const struct column segment_columns[] = {
    COLUMN(struct symbol_segment, group, 1, DELTA),
    COLUMN(struct symbol_segment, file_offset, 2, PLAIN),
    COLUMN(struct symbol_segment, n_bytes, 3, PLAIN),
    COLUMN(struct symbol_segment, image_addr, 4, DELTA),
};

static const struct column function_columns[] = {
    COLUMN(struct symbol_function, group, 1, DELTA),
    COLUMN(struct symbol_function, name, 2, DELTA),
    COLUMN(struct symbol_function, image, 3, PLAIN),
    COLUMN(struct symbol_function, kind, 4, PLAIN),
    COLUMN(struct symbol_function, flags, 5, PLAIN),
    COLUMN(struct symbol_function, start_addr, 6, DELTA),
    COLUMN(struct symbol_function, n_bytes, 7, PLAIN),
};

static const struct column place_columns[] = {
    COLUMN(struct symbol_place, group, 1, DELTA),
    COLUMN(struct symbol_place, function, 2, PLAIN),
    COLUMN(struct symbol_place, image_addr, 3, DELTA),
};

static const struct column call_columns[] = {
    COLUMN(struct symbol_call, group, 1, DELTA),
    COLUMN(struct symbol_call, back, 2, PLAIN),
    COLUMN(struct symbol_call, function, 3, PLAIN),
    COLUMN(struct symbol_call, call_file, 4, PLAIN),
    COLUMN(struct symbol_call, call_line, 5, PLAIN),
};

static const struct column line_columns[] = {
    COLUMN(struct symbol_line, group, 1, DELTA),      COLUMN(struct symbol_line, file, 2, PLAIN),
    COLUMN(struct symbol_line, line, 3, DELTA),       COLUMN(struct symbol_line, call, 4, PLAIN),
    COLUMN(struct symbol_line, start_addr, 5, DELTA),
};

static const struct column bounds_columns[] = {
    COLUMN(struct symbol_bounds, group, 1, DELTA),
    COLUMN(struct symbol_bounds, start_addr, 2, DELTA),
    COLUMN(struct symbol_bounds, n_bytes, 3, PLAIN),
};

static const struct column piece_columns[] = {
    COLUMN(struct symbol_piece, group, 1, DELTA),
    COLUMN(struct symbol_piece, origin, 2, PLAIN),
    COLUMN(struct symbol_piece, failure, 3, PLAIN),
    COLUMN(struct symbol_piece, hint, 4, PLAIN),
    COLUMN(struct symbol_piece, pid, 5, DELTA),
    COLUMN(struct symbol_piece, start_addr, 6, DELTA),
    COLUMN(struct symbol_piece, n_bytes, 7, PLAIN),
    COLUMN(struct symbol_piece, n_read_bytes, 8, PLAIN),
};

static const struct column source_columns[] = {
    COLUMN(struct symbol_source_file, path, 1, PLAIN),
    COLUMN(struct symbol_source_file, found, 2, PLAIN),
    COLUMN(struct symbol_source_file, modified_s, 3, PLAIN),
};

static const struct column text_columns[] = {
    COLUMN(struct symbol_source_text, file, 1, DELTA),
    COLUMN(struct symbol_source_text, line, 2, DELTA),
    COLUMN(struct symbol_source_text, text, 3, DELTA),
};

static const struct column made_symbol_columns[] = {
    COLUMN(struct symbol_made_symbol, name, 1, PLAIN),
    COLUMN(struct symbol_made_symbol, image, 2, DELTA),
    COLUMN(struct symbol_made_symbol, kind, 3, PLAIN),
    COLUMN(struct symbol_made_symbol, start_ip, 4, DELTA),
    COLUMN(struct symbol_made_symbol, n_bytes, 5, PLAIN),
};

static const struct column made_body_columns[] = {
    COLUMN(struct symbol_made_body, n_bytes, 1, PLAIN),
};

static const struct column made_line_columns[] = {
    COLUMN(struct symbol_made_line, body, 1, DELTA),
    COLUMN(struct symbol_made_line, code_offset, 2, PLAIN),
    COLUMN(struct symbol_made_line, file, 3, PLAIN),
    COLUMN(struct symbol_made_line, line, 4, PLAIN),
};

static const struct column made_function_columns[] = {
    COLUMN(struct symbol_made_function, symbol, 1, PLAIN),
    COLUMN(struct symbol_made_function, body, 2, PLAIN),
    COLUMN(struct symbol_made_function, start_ip, 3, DELTA),
    COLUMN(struct symbol_made_function, n_bytes, 4, PLAIN),
    COLUMN(struct symbol_made_function, from_ns, 5, DELTA),
    COLUMN(struct symbol_made_function, to_ns, 6, DELTA),
};

static const struct column made_answer_columns[] = {
    COLUMN(struct symbol_made_answer, function, 1, PLAIN),
    COLUMN(struct symbol_made_answer, pid, 2, DELTA),
    COLUMN(struct symbol_made_answer, ip, 3, DELTA),
    COLUMN(struct symbol_made_answer, from_ns, 4, DELTA),
    COLUMN(struct symbol_made_answer, to_ns, 5, DELTA),
};

static const struct column made_stats_columns[] = {
    COLUMN(struct symbol_made_stats, n_functions, 1, PLAIN),
    COLUMN(struct symbol_made_stats, n_moves, 2, PLAIN),
    COLUMN(struct symbol_made_stats, n_reused, 3, PLAIN),
    COLUMN(struct symbol_made_stats, n_tables, 4, PLAIN),
    COLUMN(struct symbol_made_stats, n_lines, 5, PLAIN),
    COLUMN(struct symbol_made_stats, n_table_bytes, 6, PLAIN),
    COLUMN(struct symbol_made_stats, n_frameless_bytes, 7, PLAIN),
    COLUMN(struct symbol_made_stats, n_dropped, 8, PLAIN),
};

#define TABLE(number, name, type, list)                                                            \
    {                                                                                              \
        .member = (name), .columns = {                                                             \
            .kind = SYMBOL_TABLE_FIRST_KIND + (number),                                            \
            .version = 1,                                                                          \
            .n_columns = sizeof(list) / sizeof((list)[0]),                                         \
            .columns = (list),                                                                     \
            .row_bytes = sizeof(type),                                                             \
        }                                                                                          \
    }

/* Kinds are kept for ever; those of history_tables.h are below. */
#define SYMBOL_TABLE_FIRST_KIND 0x100

static const struct symbol_table_info tables[SYMBOL_TABLE_N] = {
    [SYMBOL_TABLE_NAMES] = TABLE(0, "symbols/names", struct symbol_byte, byte_columns),
    [SYMBOL_TABLE_GROUPS] = TABLE(1, "symbols/groups", struct symbol_group, group_columns),
    [SYMBOL_TABLE_IMAGES] = TABLE(2, "symbols/images", struct symbol_image, image_columns),
    [SYMBOL_TABLE_SEGMENTS] = TABLE(3, "symbols/segments", struct symbol_segment, segment_columns),
    [SYMBOL_TABLE_FUNCTIONS] =
        TABLE(4, "symbols/functions", struct symbol_function, function_columns),
    [SYMBOL_TABLE_PLACES] = TABLE(5, "symbols/places", struct symbol_place, place_columns),
    [SYMBOL_TABLE_CALLS] = TABLE(6, "symbols/calls", struct symbol_call, call_columns),
    [SYMBOL_TABLE_LINES] = TABLE(7, "symbols/lines", struct symbol_line, line_columns),
    [SYMBOL_TABLE_BOUNDS] = TABLE(8, "symbols/bounds", struct symbol_bounds, bounds_columns),
    [SYMBOL_TABLE_PIECES] = TABLE(9, "symbols/pieces", struct symbol_piece, piece_columns),
    [SYMBOL_TABLE_CODE] = TABLE(10, "blobs/code", struct symbol_byte, byte_columns),
    [SYMBOL_TABLE_SOURCES] =
        TABLE(11, "symbols/sources", struct symbol_source_file, source_columns),
    [SYMBOL_TABLE_SOURCE_LINES] =
        TABLE(12, "symbols/source_lines", struct symbol_source_text, text_columns),
    [SYMBOL_TABLE_MADE_SYMBOLS] =
        TABLE(13, "symbols/made_symbols", struct symbol_made_symbol, made_symbol_columns),
    [SYMBOL_TABLE_MADE_BODIES] =
        TABLE(14, "symbols/made_bodies", struct symbol_made_body, made_body_columns),
    [SYMBOL_TABLE_MADE_LINES] =
        TABLE(15, "symbols/made_lines", struct symbol_made_line, made_line_columns),
    [SYMBOL_TABLE_MADE_FUNCTIONS] =
        TABLE(16, "symbols/made_functions", struct symbol_made_function, made_function_columns),
    [SYMBOL_TABLE_MADE_ANSWERS] =
        TABLE(17, "symbols/made_answers", struct symbol_made_answer, made_answer_columns),
    [SYMBOL_TABLE_MADE_STATS] =
        TABLE(18, "symbols/made_stats", struct symbol_made_stats, made_stats_columns),
    [SYMBOL_TABLE_MADE_CODE] = TABLE(19, "blobs/jit", struct symbol_byte, byte_columns),
};

_Static_assert(sizeof(struct symbol_bounds) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_byte) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_call) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_function) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_group) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_image) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_line) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_made_answer) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_made_body) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_made_function) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_made_line) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_made_stats) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_made_symbol) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_piece) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_place) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_segment) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_source_file) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");
_Static_assert(sizeof(struct symbol_source_text) <= SYMBOL_TABLE_ROW_BYTES, "the largest row");

const struct symbol_table_info *symbol_table(enum symbol_table kind)
{
    return &tables[kind];
}
