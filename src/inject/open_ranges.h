/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * open_ranges - ranges that one thread begins and any thread may end
 *
 * They do not nest: each is found again by a key. No lock is held at any time,
 * so a fork or a signal can come at any moment.
 *
 * Shape:   a table of fixed size; a key may lie in any of a few places behind
 *          that of its hash.
 * Owner:   the process; one table.
 * Threads: any.
 * Limits:  OPEN_RANGES_MAX, and 128 with the same key; one too many is refused, and
 *          its end finds nothing.
 * Tests:   open_ranges_test.c
 */

#include <stdbool.h>

#include "inject/range.h"

#define OPEN_RANGES_MAX 4096u

struct open_key {
    uint64_t words[4];
};

/* False where there is no room. Of two with the same key either is found first. */
bool open_ranges_put(const struct open_key *key, const struct range *range);

/* Whether any is open: where none is, no end need be looked for. */
bool open_ranges_any(void);

/* Takes the range with this key out; false where there is none. */
bool open_ranges_take(const struct open_key *key, struct range *ret_range);

/* Empties the table: in the child of a fork(), where no other thread runs. */
void open_ranges_clear(void);
