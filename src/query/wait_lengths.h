/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_lengths - the median of many lengths, in bounded memory
 *
 * Shape:   up to WAIT_LENGTHS_EXACT lengths are kept as they are; more of them in classes that are
 *          an eighth of a power of two wide, whose middle is told.
 * Owner:   arrays lie in the arena of the query.
 * Threads: one.
 * Limits:  12 KiB each.
 * Tests:   wait_lengths_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define WAIT_LENGTHS_EXACT 512u

struct wait_lengths {
    uint64_t n_lengths;
    uint64_t *exact; /* NULL: none yet */
    uint64_t *by_class;
    uint64_t min_ns, max_ns;
};

/* 0 or -ENOMEM. */
int wait_lengths_add(struct wait_lengths *lengths, struct arena *arena, uint64_t length_ns);

/* 0 where there are none. Sorts what was kept. */
uint64_t wait_lengths_median(struct wait_lengths *lengths);
