/* SPDX-License-Identifier: MIT */
#include "aggregate/name_table.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int name_table_init(struct name_table *table)
{
    *table = (struct name_table){0};
    hash_table_init(&table->numbers);
    arena_init(&table->text, 0);
    return chunked_init(&table->names, sizeof(const char *), NAME_TABLE_MAX);
}

void name_table_release(struct name_table *table)
{
    chunked_release(&table->names);
    hash_table_release(&table->numbers);
    arena_release(&table->text);
}

struct wanted_name {
    const char *name;
    size_t n_bytes;
};

static bool is_equal(uint32_t number, const void *wanted, const void *userdata)
{
    const struct wanted_name *name = wanted;
    const char *known = name_table_get(userdata, number);
    return strncmp(known, name->name, name->n_bytes) == 0 && known[name->n_bytes] == '\0';
}

int name_table_intern(struct name_table *table, const char *name, uint32_t *ret_number)
{
    const struct wanted_name wanted = {
        .name = name,
        .n_bytes = strnlen(name, NAME_TABLE_NAME_BYTES - 1),
    };
    uint64_t key = hash_bytes(name, wanted.n_bytes);
    uint32_t known = hash_table_find_equal(&table->numbers, key, is_equal, &wanted, table);
    if (known != HASH_TABLE_NONE) {
        *ret_number = known;
        return 0;
    }
    if (table->names.n_items >= NAME_TABLE_MAX) {
        return -ENOSPC;
    }
    const char *copy = arena_strndup(&table->text, name, wanted.n_bytes);
    uint32_t number = (uint32_t)table->names.n_items;
    const char **slot = copy ? chunked_add(&table->names) : NULL;
    if (!slot) {
        return -ENOMEM;
    }
    *slot = copy;
    int r = hash_table_add(&table->numbers, key, number);
    if (r == 0) {
        *ret_number = number;
    }
    return r;
}

const char *name_table_get(const struct name_table *table, uint32_t number)
{
    return *(const char *const *)chunked_get(&table->names, number);
}

size_t name_table_memory_bytes(const struct name_table *table)
{
    return chunked_memory_bytes(&table->names) + hash_table_memory_bytes(&table->numbers) +
           table->text.used_bytes;
}
