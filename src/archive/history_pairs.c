/* SPDX-License-Identifier: MIT */
#include "archive/history_pairs.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(STACK_TABLE_MAX_NODES <= 1u << 28 && SLICE_CLASS_N <= 16,
               "a stack and a class share 32 bits of a pair's key");

static uint64_t key_of(const struct sample_pair *pair)
{
    return (uint64_t)pair->thread << 32 | (uint64_t)pair->slice_class << 28 | pair->stack;
}

int history_pairs_init(struct history_pairs *pairs, const struct snapshot *snapshot)
{
    *pairs = (struct history_pairs){.snapshot = snapshot};
    hash_table_init(&pairs->numbers);
    if (snapshot->n_samples == snapshot->first_sample) {
        return 0; /* nobody will ask */
    }
    int r = hash_table_reserve(&pairs->numbers, snapshot->n_pairs);
    for (size_t i = 0; i < snapshot->n_pairs && r == 0; i++) {
        struct sample_pair pair = snapshot_pair(snapshot, i);
        uint64_t key = key_of(&pair);
        /* The newest samples of a run that goes on have a pair each. */
        if (hash_table_find(&pairs->numbers, key) == HASH_TABLE_NONE) {
            r = hash_table_add(&pairs->numbers, key, (uint32_t)i);
        }
    }
    return r;
}

void history_pairs_release(struct history_pairs *pairs)
{
    hash_table_release(&pairs->numbers);
    free(pairs->more);
    *pairs = (struct history_pairs){0};
}

int history_pairs_find(struct history_pairs *pairs, const struct sample_pair *pair,
                       uint32_t *ret_number)
{
    uint64_t key = key_of(pair);
    uint32_t number = hash_table_find(&pairs->numbers, key);
    if (number == HASH_TABLE_NONE) {
        if (pairs->n_more == pairs->more_capacity) {
            size_t capacity = 2 * pairs->more_capacity + 64;
            struct sample_pair *more = reallocarray(pairs->more, capacity, sizeof(*more));
            if (!more) {
                return -ENOMEM;
            }
            pairs->more = more;
            pairs->more_capacity = capacity;
        }
        number = (uint32_t)history_pairs_count(pairs);
        int r = hash_table_add(&pairs->numbers, key, number);
        if (r != 0) {
            return r;
        }
        pairs->more[pairs->n_more++] = *pair;
    }
    *ret_number = number;
    return 0;
}

size_t history_pairs_count(const struct history_pairs *pairs)
{
    return pairs->snapshot->n_pairs + pairs->n_more;
}

struct sample_pair history_pairs_get(const struct history_pairs *pairs, size_t number,
                                     uint32_t *ret_count)
{
    const struct snapshot *snapshot = pairs->snapshot;
    if (number < snapshot->n_pairs) {
        *ret_count = snapshot->pair_counts[number];
        return snapshot_pair(snapshot, number);
    }
    *ret_count = 0;
    return pairs->more[number - snapshot->n_pairs];
}
