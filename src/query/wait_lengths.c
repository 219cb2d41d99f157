/* SPDX-License-Identifier: MIT */
#include "query/wait_lengths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_SHIFT 3u /* eight classes for each power of two */
#define CLASS_N ((64u - PARTS_SHIFT + 1) << PARTS_SHIFT)
#define EXACT_FIRST_ROOM 16u

/* Numbers below 16 are classes of their own. */
static uint32_t class_of(uint64_t length_ns)
{
    if (length_ns < 2u << PARTS_SHIFT) {
        return (uint32_t)length_ns;
    }
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(length_ns) - PARTS_SHIFT;
    return (shift << PARTS_SHIFT) + (uint32_t)(length_ns >> shift);
}

static uint64_t middle_of(uint32_t class)
{
    if (class < 2u << PARTS_SHIFT) {
        return class;
    }
    uint32_t shift = (class >> PARTS_SHIFT) - 1;
    uint64_t first = (uint64_t)(class - (shift << PARTS_SHIFT)) << shift;
    return first + ((UINT64_C(1) << shift) - 1) / 2;
}

static bool has_room(const struct wait_lengths *lengths)
{
    uint64_t n = lengths->n_lengths;
    /* Room is doubled whenever it is full: 16, 32, 64 … */
    return n > 0 && (n < EXACT_FIRST_ROOM || (n & (n - 1)) != 0);
}

static int add_exact(struct wait_lengths *lengths, struct arena *arena, uint64_t length_ns)
{
    if (!has_room(lengths)) {
        size_t n = (size_t)lengths->n_lengths;
        size_t n_room = n > 0 ? 2 * n : EXACT_FIRST_ROOM;
        uint64_t *grown = arena_alloc_array(arena, n_room, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        if (n > 0) {
            memcpy(grown, lengths->exact, n * sizeof(*grown));
        }
        lengths->exact = grown;
    }
    lengths->exact[lengths->n_lengths++] = length_ns;
    return 0;
}

int wait_lengths_add(struct wait_lengths *lengths, struct arena *arena, uint64_t length_ns)
{
    if (lengths->n_lengths == 0 || length_ns < lengths->min_ns) {
        lengths->min_ns = length_ns;
    }
    lengths->max_ns = length_ns > lengths->max_ns ? length_ns : lengths->max_ns;
    if (lengths->n_lengths < WAIT_LENGTHS_EXACT) {
        return add_exact(lengths, arena, length_ns);
    }
    if (!lengths->by_class) {
        lengths->by_class = arena_alloc_array(arena, CLASS_N, sizeof(*lengths->by_class));
        if (!lengths->by_class) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < WAIT_LENGTHS_EXACT; i++) {
            lengths->by_class[class_of(lengths->exact[i])]++;
        }
    }
    lengths->by_class[class_of(length_ns)]++;
    lengths->n_lengths++;
    return 0;
}

static int by_length(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

uint64_t wait_lengths_median(struct wait_lengths *lengths)
{
    if (lengths->n_lengths == 0) {
        return 0;
    }
    uint64_t wanted = (lengths->n_lengths - 1) / 2;
    if (!lengths->by_class) {
        qsort(lengths->exact, (size_t)lengths->n_lengths, sizeof(*lengths->exact), by_length);
        return lengths->exact[wanted];
    }
    uint64_t n_passed = 0;
    uint32_t class = 0;
    while (n_passed + lengths->by_class[class] <= wanted) {
        n_passed += lengths->by_class[class ++];
    }
    uint64_t middle_ns = middle_of(class);
    middle_ns = middle_ns > lengths->min_ns ? middle_ns : lengths->min_ns;
    return middle_ns < lengths->max_ns ? middle_ns : lengths->max_ns;
}
