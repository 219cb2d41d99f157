/* SPDX-License-Identifier: MIT */
#include "archive/history_names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void history_names_release(struct history_names *names)
{
    free(names->bytes);
    free(names->starts);
    hash_table_release(&names->numbers);
    *names = (struct history_names){0};
}

static int reserve(struct history_names *names, size_t n_more)
{
    if (names->n_bytes + n_more <= names->bytes_capacity) {
        return 0;
    }
    size_t capacity = 2 * names->bytes_capacity + n_more + 4096;
    char *bytes = realloc(names->bytes, capacity);
    if (!bytes) {
        return -ENOMEM;
    }
    names->bytes = bytes;
    names->bytes_capacity = capacity;
    return 0;
}

/* A name begins at `start`. */
static int add_start(struct history_names *names, size_t start)
{
    if (names->n_names == names->names_capacity) {
        size_t capacity = 2 * names->names_capacity + 64;
        uint32_t *starts = reallocarray(names->starts, capacity, sizeof(*starts));
        if (!starts) {
            return -ENOMEM;
        }
        names->starts = starts;
        names->names_capacity = capacity;
    }
    names->starts[names->n_names++] = (uint32_t)start;
    return 0;
}

int history_names_init(struct history_names *names)
{
    *names = (struct history_names){0};
    hash_table_init(&names->numbers);
    uint32_t number;
    int r = history_names_put(names, "", &number);
    if (r != 0) {
        history_names_release(names);
    }
    return r;
}

static bool is_equal(uint32_t number, const void *wanted, const void *userdata)
{
    const struct history_names *names = userdata;
    return strcmp(names->bytes + names->starts[number], wanted) == 0;
}

int history_names_put(struct history_names *names, const char *name, uint32_t *ret_number)
{
    size_t n_bytes = strlen(name) + 1;
    uint64_t key = hash_bytes(name, n_bytes);
    uint32_t known = hash_table_find_equal(&names->numbers, key, is_equal, name, names);
    if (known != HASH_TABLE_NONE) {
        *ret_number = known;
        return 0;
    }
    *ret_number = 0;
    if (n_bytes > HISTORY_NAMES_MAX_BYTES - names->n_bytes) {
        names->n_left_out++;
        return 0;
    }
    uint32_t number = (uint32_t)names->n_names;
    int r = reserve(names, n_bytes);
    r = r ? r : hash_table_add(&names->numbers, key, number);
    r = r ? r : add_start(names, names->n_bytes);
    if (r != 0) {
        return r;
    }
    memcpy(names->bytes + names->n_bytes, name, n_bytes);
    names->n_bytes += n_bytes;
    *ret_number = number;
    return 0;
}

int history_names_append(struct history_names *names, const char *bytes, size_t n_bytes)
{
    if (n_bytes > HISTORY_NAMES_MAX_BYTES - names->n_bytes) {
        return -ENOSPC;
    }
    int r = reserve(names, n_bytes);
    for (size_t i = 0; i < n_bytes && r == 0; i++) {
        bool begins = names->n_bytes == 0 || names->bytes[names->n_bytes - 1] == '\0';
        if (begins) {
            r = add_start(names, names->n_bytes);
        }
        names->bytes[names->n_bytes++] = bytes[i];
    }
    return r;
}

const char *history_names_find(const struct history_names *names, uint32_t number,
                               size_t *ret_n_bytes)
{
    bool is_whole = number < names->n_names &&
                    (number + 1 < names->n_names || names->bytes[names->n_bytes - 1] == '\0');
    if (!is_whole) {
        return NULL;
    }
    size_t end = number + 1 < names->n_names ? names->starts[number + 1] : names->n_bytes;
    *ret_n_bytes = end - names->starts[number] - 1;
    return names->bytes + names->starts[number];
}

const char *history_names_get(const struct history_names *names, uint32_t number)
{
    size_t n_bytes;
    const char *name = history_names_find(names, number, &n_bytes);
    return name ? name : "";
}
