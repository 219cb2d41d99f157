/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * table - rows of cells in aligned columns
 *
 * Shape:   numbers stand right, words left. The last column is the only one
 *          that is shortened, and only where the terminal has a width; it is
 *          written without padding, so that lines have no blanks at their end.
 * Owner:   table_init()/table_release(); cells are copied.
 * Threads: one.
 * Tests:   table_test.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/text.h"
#include "cli/terminal.h"

#define TABLE_MAX_COLUMNS 16

enum table_align { TABLE_RIGHT, TABLE_LEFT };

struct table_column {
    const char *title;
    enum table_align align;
};

struct table {
    const struct table_column *columns;
    size_t n_columns;
    struct arena arena;
    const char **cells; /* row by row */
    size_t n_cells, n_cells_room;
    size_t widths[TABLE_MAX_COLUMNS];
    bool has_failed; /* out of memory: table_append() says so */
};

/* `columns` is borrowed. */
void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_release(struct table *table);
DEFINE_RELEASEP(table);

/* Adds the next cell, left to right, row by row. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As table_add() with a foreign name: see label.h. */
void table_add_label(struct table *table, const char *name);

/* Appends head and rows. */
void table_append(const struct table *table, const struct terminal *terminal, struct text *text);
