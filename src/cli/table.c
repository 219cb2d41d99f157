/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli/label.h"

#define GAP "  "
#define GAP_WIDTH 2
#define CELL_MAX_BYTES (64u * 1024)
#define LEAST_NAME_WIDTH 16 /* a shorter name says nothing; better let the terminal wrap */

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
    assert(n_columns > 0 && n_columns <= TABLE_MAX_COLUMNS);
    *table = (struct table){.columns = columns, .n_columns = n_columns};
    arena_init(&table->arena, 0);
    for (size_t i = 0; i < n_columns; i++) {
        table->widths[i] = label_width(columns[i].title);
    }
}

void table_release(struct table *table)
{
    arena_release(&table->arena);
    free(table->cells);
    *table = (struct table){0};
}

static void add_copy(struct table *table, const char *cell)
{
    if (table->n_cells == table->n_cells_room) {
        size_t n_room = table->n_cells_room > 0 ? table->n_cells_room * 2 : 256;
        const char **cells = reallocarray(table->cells, n_room, sizeof(*cells));
        if (!cells) {
            table->has_failed = true;
            return;
        }
        table->cells = cells;
        table->n_cells_room = n_room;
    }
    const char *copy = arena_strdup(&table->arena, cell);
    if (!copy) {
        table->has_failed = true;
        return;
    }
    size_t column = table->n_cells % table->n_columns;
    size_t width = label_width(copy);
    if (width > table->widths[column]) {
        table->widths[column] = width;
    }
    table->cells[table->n_cells++] = copy;
}

void table_add(struct table *table, const char *format, ...)
{
    _cleanup_(text_releasep) struct text cell;
    text_init(&cell, CELL_MAX_BYTES);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&cell, format, arguments);
    va_end(arguments);
    add_copy(table, cell.data);
}

void table_add_label(struct table *table, const char *name)
{
    _cleanup_(text_releasep) struct text cell;
    text_init(&cell, CELL_MAX_BYTES);
    label_append(&cell, name);
    add_copy(table, cell.data);
}

static void append_padding(struct text *text, size_t n_columns)
{
    text_printf(text, "%*s", (int)n_columns, "");
}

/* Shortens what follows the indentation of a tree: the indentation itself is information. */
static void append_last(struct text *text, const char *cell, size_t width)
{
    size_t n_blanks = 0;
    while (cell[n_blanks] == ' ') {
        n_blanks++;
    }
    text_append_bytes(text, cell, n_blanks);
    size_t left = width > n_blanks + LEAST_NAME_WIDTH ? width - n_blanks : LEAST_NAME_WIDTH;
    label_append_shortened(text, cell + n_blanks, left);
}

static void append_row(const struct table *table, const char *const *cells, size_t last_width,
                       struct text *text)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        bool is_last = i + 1 == table->n_columns;
        size_t width = label_width(cells[i]);
        size_t padding = table->widths[i] > width ? table->widths[i] - width : 0;
        if (i > 0) {
            text_append(text, GAP);
        }
        if (table->columns[i].align == TABLE_RIGHT) {
            append_padding(text, padding);
            text_append(text, cells[i]);
        } else if (is_last) {
            append_last(text, cells[i], last_width);
        } else {
            text_append(text, cells[i]);
            append_padding(text, padding);
        }
    }
    text_append_char(text, '\n');
}

void table_append(const struct table *table, const struct terminal *terminal, struct text *text)
{
    size_t used = 0;
    for (size_t i = 0; i + 1 < table->n_columns; i++) {
        used += table->widths[i] + GAP_WIDTH;
    }
    size_t last_width = SIZE_MAX;
    if (terminal->width != SIZE_MAX) {
        last_width =
            terminal->width >= used + LEAST_NAME_WIDTH ? terminal->width - used : LEAST_NAME_WIDTH;
    }
    const char *titles[TABLE_MAX_COLUMNS];
    for (size_t i = 0; i < table->n_columns; i++) {
        titles[i] = table->columns[i].title;
    }
    text_append(text, terminal_bold(terminal));
    append_row(table, titles, last_width, text);
    text_append(text, terminal_plain(terminal));
    for (size_t i = 0; i + table->n_columns <= table->n_cells; i += table->n_columns) {
        append_row(table, &table->cells[i], last_width, text);
    }
    if (table->has_failed) {
        text_append(text, "(out of memory: rows are missing)\n");
    }
}
