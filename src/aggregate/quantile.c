/* SPDX-License-Identifier: MIT */
#include "aggregate/quantile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SUB_BITS 7u /* 128 buckets for each power of two */
#define SUB_BUCKETS (1u << SUB_BITS)
#define FEW_FIRST 4u
#define BLOCKS_FIRST 4u
#define VALUE_MAX (UINT64_MAX - 1) /* one more is a place to go on from */

struct quantile *quantile_new(void)
{
    struct quantile *quantile = calloc(1, sizeof(*quantile));
    if (quantile) {
        quantile->n_holders = 1;
    }
    return quantile;
}

struct quantile *quantile_hold(struct quantile *quantile)
{
    quantile->n_holders++;
    return quantile;
}

struct quantile *quantile_unhold(struct quantile *quantile)
{
    if (quantile && --quantile->n_holders == 0) {
        free(quantile->few);
        free(quantile->directory);
        free(quantile->counts);
        free(quantile);
    }
    return NULL;
}

/* ---- buckets ---- */

static uint32_t bucket_of(uint64_t value)
{
    if (value < SUB_BUCKETS) {
        return (uint32_t)value;
    }
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - SUB_BITS;
    return (shift + 1) * SUB_BUCKETS + (uint32_t)((value >> shift) & (SUB_BUCKETS - 1));
}

static uint64_t least_of(uint32_t bucket)
{
    if (bucket < SUB_BUCKETS) {
        return bucket;
    }
    uint32_t shift = bucket / SUB_BUCKETS - 1;
    return (uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << shift;
}

static uint64_t middle_of(uint32_t bucket)
{
    uint32_t shift = bucket < SUB_BUCKETS ? 0 : bucket / SUB_BUCKETS - 1;
    return least_of(bucket) + ((UINT64_C(1) << shift) - 1) / 2;
}

/* The count of the bucket; NULL where its block is not there. */
static uint64_t *count_of(const struct quantile *quantile, uint32_t bucket)
{
    uint8_t block = quantile->directory ? quantile->directory[bucket / QUANTILE_BLOCK] : 0;
    return block ? &quantile->counts[(block - 1u) * QUANTILE_BLOCK + bucket % QUANTILE_BLOCK]
                 : NULL;
}

_Static_assert(QUANTILE_BLOCKS < UINT8_MAX, "the directory numbers blocks from 1 in a byte");

/* Makes the block of a bucket. */
static uint64_t *make_block(struct quantile *quantile, uint32_t bucket)
{
    if (!quantile->directory) {
        quantile->directory = calloc(QUANTILE_BLOCKS, sizeof(*quantile->directory));
        if (!quantile->directory) {
            return NULL;
        }
    }
    if (!quantile->counts || quantile->n_blocks == quantile->blocks_capacity) {
        uint32_t capacity = quantile->n_blocks ? quantile->n_blocks * 3 / 2 : BLOCKS_FIRST;
        capacity = capacity < QUANTILE_BLOCKS ? capacity : QUANTILE_BLOCKS;
        uint64_t *counts =
            reallocarray(quantile->counts, capacity, QUANTILE_BLOCK * sizeof(*counts));
        if (!counts) {
            return NULL;
        }
        quantile->counts = counts;
        quantile->blocks_capacity = capacity;
    }
    memset(&quantile->counts[(size_t)quantile->n_blocks * QUANTILE_BLOCK], 0,
           QUANTILE_BLOCK * sizeof(*quantile->counts));
    quantile->directory[bucket / QUANTILE_BLOCK] = (uint8_t)++quantile->n_blocks;
    return count_of(quantile, bucket);
}

static int count_in_bucket(struct quantile *quantile, uint64_t value, uint64_t count)
{
    uint32_t bucket = bucket_of(value);
    uint64_t *slot = count_of(quantile, bucket);
    if (!slot) {
        slot = make_block(quantile, bucket);
    }
    if (!slot) {
        return -ENOMEM;
    }
    *slot += count;
    return 0;
}

/* ---- few values ---- */

static bool has_few(const struct quantile *quantile)
{
    return quantile->n_few == quantile->n_values;
}

static int add_few(struct quantile *quantile, uint64_t value)
{
    if (quantile->n_few == quantile->few_capacity) {
        uint32_t capacity = quantile->few_capacity ? 2 * quantile->few_capacity : FEW_FIRST;
        uint64_t *few = reallocarray(quantile->few, capacity, sizeof(*few));
        if (!few) {
            return -ENOMEM;
        }
        quantile->few = few;
        quantile->few_capacity = capacity;
    }
    quantile->few[quantile->n_few++] = value;
    quantile->n_values++;
    return 0;
}

/* From now on they are counted by buckets. What could not be counted is so much less. */
static int count_few(struct quantile *quantile)
{
    while (quantile->n_few > 0) {
        int r = count_in_bucket(quantile, quantile->few[quantile->n_few - 1], 1);
        if (r != 0) {
            return r;
        }
        quantile->n_few--;
    }
    free(quantile->few);
    quantile->few = NULL;
    quantile->few_capacity = 0;
    return 0;
}

static int compare_values(const void *left, const void *right)
{
    uint64_t one = *(const uint64_t *)left, other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

/* ---- the whole ---- */

/* A copy of n_bytes, NULL where there are none or no memory. */
static void *copy_of(const void *bytes, size_t n_bytes)
{
    void *copy = bytes && n_bytes > 0 ? malloc(n_bytes) : NULL;
    return copy ? memcpy(copy, bytes, n_bytes) : NULL;
}

int quantile_own(struct quantile **quantile)
{
    const struct quantile *shared = *quantile;
    if (shared->n_holders == 1) {
        return 0;
    }
    struct quantile *own = quantile_new();
    if (!own) {
        return -ENOMEM;
    }
    size_t block_bytes = QUANTILE_BLOCK * sizeof(*own->counts);
    *own = *shared;
    own->n_holders = 1;
    own->few = copy_of(shared->few, shared->few_capacity * sizeof(*own->few));
    own->directory = copy_of(shared->directory, QUANTILE_BLOCKS);
    own->counts = copy_of(shared->counts, shared->blocks_capacity * block_bytes);
    if ((shared->few && !own->few) || (shared->directory && !own->directory) ||
        (shared->counts && !own->counts)) {
        quantile_unhold(own);
        return -ENOMEM;
    }
    quantile_unhold(*quantile);
    *quantile = own;
    return 0;
}

bool quantile_has_room(const struct quantile *quantile, uint64_t value)
{
    return has_few(quantile) ? quantile->n_few < quantile->few_capacity
                             : count_of(quantile, bucket_of(value)) != NULL;
}

int quantile_add(struct quantile *quantile, uint64_t value, uint64_t count)
{
    value = value < VALUE_MAX ? value : VALUE_MAX;
    if (has_few(quantile) && count <= QUANTILE_FEW - quantile->n_few) {
        int r = 0;
        for (uint64_t i = 0; r == 0 && i < count; i++) {
            r = add_few(quantile, value);
        }
        return r;
    }
    int r = quantile->few ? count_few(quantile) : 0;
    r = r ? r : count_in_bucket(quantile, value, count);
    quantile->n_values += r == 0 ? count : 0;
    return r;
}

int quantile_merge(struct quantile *quantile, const struct quantile *other)
{
    uint64_t value, count;
    int r = 0;
    for (uint64_t from = 0; r == 0 && quantile_next(other, from, &value, &count);
         from = value + 1) {
        r = quantile_add(quantile, value, count);
    }
    return r;
}

static uint64_t find_rank(const struct quantile *quantile, uint64_t rank)
{
    uint64_t n_passed = 0;
    for (uint32_t bucket = 0; bucket < QUANTILE_BUCKETS; bucket++) {
        const uint64_t *count = count_of(quantile, bucket);
        if (!count) {
            bucket |= QUANTILE_BLOCK - 1; /* the whole block is empty */
            continue;
        }
        n_passed += *count;
        if (n_passed >= rank) {
            return middle_of(bucket);
        }
    }
    return UINT64_MAX;
}

uint64_t quantile_at(const struct quantile *quantile, double part, uint64_t min, uint64_t max)
{
    if (quantile->n_values == 0) {
        return 0;
    }
    /* The smallest rank that is this part of all; what is too much by the rounding of the
     * multiplication does not count. */
    double exact = part * (double)quantile->n_values * (1.0 - 1e-12);
    uint64_t rank = 1;
    if (exact > 1.0) {
        rank = (uint64_t)exact + ((double)(uint64_t)exact < exact);
    }
    rank = rank < quantile->n_values ? rank : quantile->n_values;
    if (quantile->n_few > 0 && has_few(quantile)) {
        uint64_t few[QUANTILE_FEW];
        memcpy(few, quantile->few, quantile->n_few * sizeof(*few));
        qsort(few, quantile->n_few, sizeof(*few), compare_values);
        return few[rank - 1];
    }
    if (rank == 1 || rank == quantile->n_values) {
        return rank == 1 ? min : max;
    }
    uint64_t value = find_rank(quantile, rank);
    value = value < max ? value : max;
    return value > min ? value : min;
}

static bool next_of_few(const struct quantile *quantile, uint64_t from, uint64_t *ret_value,
                        uint64_t *ret_count)
{
    uint64_t value = UINT64_MAX, count = 0;
    for (uint32_t i = 0; i < quantile->n_few; i++) {
        uint64_t one = quantile->few[i];
        if (one < from || one > value) {
            continue;
        }
        count = one < value ? 1 : count + 1;
        value = one;
    }
    *ret_value = value;
    *ret_count = count;
    return count > 0;
}

bool quantile_next(const struct quantile *quantile, uint64_t from, uint64_t *ret_value,
                   uint64_t *ret_count)
{
    if (has_few(quantile)) {
        return next_of_few(quantile, from, ret_value, ret_count);
    }
    uint32_t bucket = bucket_of(from);
    bucket += least_of(bucket) < from;
    for (; bucket < QUANTILE_BUCKETS; bucket++) {
        const uint64_t *count = count_of(quantile, bucket);
        if (!count) {
            bucket |= QUANTILE_BLOCK - 1;
        } else if (*count > 0) {
            *ret_value = least_of(bucket);
            *ret_count = *count;
            return true;
        }
    }
    return false;
}

size_t quantile_memory_bytes(const struct quantile *quantile)
{
    return sizeof(*quantile) + quantile->few_capacity * sizeof(*quantile->few) +
           (quantile->directory ? QUANTILE_BLOCKS : 0) +
           (size_t)quantile->blocks_capacity * QUANTILE_BLOCK * sizeof(*quantile->counts);
}
