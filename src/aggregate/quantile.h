/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * quantile - lengths of time, counted so that their percentiles can be told
 *
 * Shape:   up to QUANTILE_FEW values are kept as they are. More of them are
 *          counted by buckets: each power of two is cut into 128 equal ones, so
 *          that what is told lies 0.4 % off at most (values below 128: not at
 *          all). Counts come in small blocks, made where something is counted.
 * Owner:   counted: quantile_hold(), quantile_unhold(). While somebody else holds
 *          it, it must not be written to: quantile_own() makes a copy that may.
 * Threads: holding, and writing, belong to one thread; whoever it has held it for
 *          may read.
 * Limits:  60 KiB each.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   quantile_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUANTILE_FEW 32u
#define QUANTILE_BLOCK 32u
#define QUANTILE_BUCKETS (58u * 128u) /* of 64-bit values */
#define QUANTILE_BLOCKS (QUANTILE_BUCKETS / QUANTILE_BLOCK)

struct quantile {
    uint64_t n_values;
    uint32_t n_holders;
    uint32_t n_few, few_capacity; /* n_few is n_values, or 0 once they are counted by buckets */
    uint32_t n_blocks, blocks_capacity;
    uint64_t *few;
    uint8_t *directory; /* of QUANTILE_BLOCKS: 1 + the number of the block, 0: nothing is there */
    uint64_t *counts;   /* of n_blocks blocks */
};

/* Held once; NULL: no memory. */
struct quantile *quantile_new(void);
struct quantile *quantile_hold(struct quantile *quantile);
/* Accepts NULL, returns NULL. */
struct quantile *quantile_unhold(struct quantile *quantile);

/* Makes *quantile one that nobody else holds: itself, or a copy that is held once in its place. 0
 * or -ENOMEM: it is as it was. */
int quantile_own(struct quantile **quantile);

/* Whether the next value is counted without asking for memory. */
bool quantile_has_room(const struct quantile *quantile, uint64_t value);

/* `value` came so many times more. 0, or -ENOMEM: it is not counted. */
int quantile_add(struct quantile *quantile, uint64_t value, uint64_t count);

/* What is in `other` came to `quantile` as well. */
int quantile_merge(struct quantile *quantile, const struct quantile *other);

/* The value that this part of all (0 … 1) does not exceed; 0 where there is none. Values are known
 * to lie in [min, max]. */
uint64_t quantile_at(const struct quantile *quantile, double part, uint64_t min, uint64_t max);

/*
 * The least value from `from` on that is counted, and how often it is; false:
 * there is none. Values are told as they are, or as the least of their bucket:
 * whoever adds each (value, count) to an empty one has one that tells the same.
 */
bool quantile_next(const struct quantile *quantile, uint64_t from, uint64_t *ret_value,
                   uint64_t *ret_count);
size_t quantile_memory_bytes(const struct quantile *quantile);
