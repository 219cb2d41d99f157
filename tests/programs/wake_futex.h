/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wake_futex - a count in a futex: one thread gives, one takes
 *
 * Nothing of a library is in between: a system call per wakeup, and a wait
 * ends by exactly one of them.
 *
 * Owner:   the caller's memory, zeroed.
 * Threads: one giver, one taker.
 */

#include <stdatomic.h>
#include <stdint.h>

struct wake_futex {
    _Atomic uint32_t n_given;
    uint32_t n_taken; /* of the taker */
};

/* Adds one and wakes the taker. */
void wake_futex_give(struct wake_futex *futex);

/* Takes one; sleeps until there is one. */
void wake_futex_take(struct wake_futex *futex);
