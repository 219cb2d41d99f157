/* SPDX-License-Identifier: MIT */
#include "query/path_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void path_sums_init(struct path_sums *sums)
{
    *sums = (struct path_sums){0};
    hash_table_init(&sums->ids);
}

void path_sums_release(struct path_sums *sums)
{
    hash_table_release(&sums->ids);
    free(sums->sums);
    *sums = (struct path_sums){0};
}

static uint64_t hash_text(const char *text)
{
    return text ? hash_bytes(text, strlen(text)) : 0;
}

static uint64_t hash_key(const struct path_sum_key *key)
{
    uint64_t rest = (uint64_t)key->kind << 16 | (uint64_t)key->is_birth << 8 | key->reason;
    uint64_t hash = hash_u64((uint64_t)key->thread << 32 | key->other);
    hash = hash_u64(hash ^ rest);
    hash = hash_u64(hash ^ hash_text(key->what));
    return hash_u64(hash ^ hash_text(key->image));
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same(uint32_t value, const void *wanted, const void *userdata)
{
    const struct path_sum *sums = userdata;
    const struct path_sum_key *a = wanted, *b = &sums[value].key;
    return a->thread == b->thread && a->other == b->other && a->kind == b->kind &&
           a->is_birth == b->is_birth && a->reason == b->reason && is_same_text(a->what, b->what) &&
           is_same_text(a->image, b->image);
}

int path_sums_add(struct path_sums *sums, const struct path_sum_key *key, uint64_t duration_ns)
{
    uint64_t hash = hash_key(key);
    uint32_t id = hash_table_find_equal(&sums->ids, hash, is_same, key, sums->sums);
    if (id == HASH_TABLE_NONE) {
        if (sums->n_sums == sums->capacity) {
            size_t capacity = sums->capacity ? 2 * sums->capacity : 64;
            struct path_sum *grown = reallocarray(sums->sums, capacity, sizeof(*grown));
            if (!grown) {
                return -ENOMEM;
            }
            sums->sums = grown;
            sums->capacity = capacity;
        }
        id = (uint32_t)sums->n_sums;
        int r = hash_table_add(&sums->ids, hash, id);
        if (r != 0) {
            return r;
        }
        sums->sums[sums->n_sums++] = (struct path_sum){.key = *key};
    }
    struct path_sum *sum = &sums->sums[id];
    sum->total_ns += duration_ns;
    sum->max_ns = duration_ns > sum->max_ns ? duration_ns : sum->max_ns;
    sum->count++;
    return 0;
}

static int by_total(const void *left, const void *right)
{
    const struct path_sum *a = left, *b = right;
    if (a->total_ns != b->total_ns) {
        return a->total_ns > b->total_ns ? -1 : 1;
    }
    if (a->count != b->count) {
        return a->count > b->count ? -1 : 1;
    }
    return a->key.thread < b->key.thread ? -1 : a->key.thread > b->key.thread;
}

void path_sums_sort(struct path_sums *sums)
{
    if (sums->n_sums > 1) {
        qsort(sums->sums, sums->n_sums, sizeof(*sums->sums), by_total);
    }
    hash_table_clear(&sums->ids); /* numbers have changed: nothing can be added any more */
}
