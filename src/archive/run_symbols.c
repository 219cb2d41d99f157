/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/run_symbols_internal.h"

int run_symbols_new(struct run_symbols **ret_symbols)
{
    struct run_symbols *symbols = calloc(1, sizeof(*symbols));
    if (!symbols) {
        return -ENOMEM;
    }
    hash_table_init(&symbols->group_numbers);
    *ret_symbols = symbols;
    return 0;
}

struct run_symbols *run_symbols_free(struct run_symbols *symbols)
{
    if (symbols) {
        for (size_t i = 0; i < symbols->n_groups; i++) {
            kept_symbols_unref(symbols->groups[i].symbols);
            kept_code_free(symbols->groups[i].own_code);
        }
        free(symbols->groups);
        hash_table_release(&symbols->group_numbers);
        kept_sources_free(symbols->own_sources);
        jit_kept_free(symbols->made);
        free(symbols);
    }
    return NULL;
}

int run_symbols_add_group(struct run_symbols *symbols, uint32_t *ret_group)
{
    if (symbols->n_groups == symbols->groups_capacity) {
        size_t capacity = symbols->groups_capacity ? 2 * symbols->groups_capacity : 16;
        struct kept_group *grown = reallocarray(symbols->groups, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        symbols->groups = grown;
        symbols->groups_capacity = capacity;
    }
    *ret_group = (uint32_t)symbols->n_groups;
    symbols->groups[symbols->n_groups++] = (struct kept_group){0};
    return 0;
}

static const struct kept_group *group_of(const struct run_symbols *symbols,
                                         const struct image *image)
{
    uint32_t group = hash_table_find(&symbols->group_numbers, image->id);
    return group < symbols->n_groups ? &symbols->groups[group] : NULL;
}

static struct kept_symbols *find_symbols(void *userdata, const struct image *image)
{
    const struct kept_group *group = group_of(userdata, image);
    return group ? group->symbols : NULL;
}

static const struct kept_code *find_code(void *userdata, const struct image *image)
{
    const struct kept_group *group = group_of(userdata, image);
    return group ? group->code : NULL;
}

struct kept_run run_symbols_kept(struct run_symbols *symbols)
{
    return (struct kept_run){
        .userdata = symbols,
        .find_symbols = find_symbols,
        .find_code = find_code,
        .sources = symbols->sources,
    };
}

struct jit_kept *run_symbols_take_jit(struct run_symbols *symbols)
{
    return TAKE_PTR(symbols->made);
}

void symbol_rows_release(struct symbol_rows *rows)
{
    free(rows->rows);
    *rows = (struct symbol_rows){0};
}

int symbol_rows_add(struct symbol_writing *writing, enum symbol_table kind, const void *rows,
                    size_t n_rows)
{
    struct symbol_rows *table = &writing->tables[kind];
    size_t row_bytes = symbol_table(kind)->columns.row_bytes;
    if (n_rows > table->capacity - table->n_rows) {
        size_t capacity = 2 * table->capacity + n_rows + 64;
        void *grown = reallocarray(table->rows, capacity, row_bytes);
        if (!grown) {
            return -ENOMEM;
        }
        table->rows = grown;
        table->capacity = capacity;
    }
    if (n_rows > 0) {
        memcpy((char *)table->rows + table->n_rows * row_bytes, rows, n_rows * row_bytes);
        table->n_rows += n_rows;
    }
    return 0;
}

int symbol_text(struct symbol_writing *writing, const char *text, uint32_t *ret_number)
{
    *ret_number = 0;
    return text ? history_names_put(&writing->texts, text, ret_number) : 0;
}
