/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * copy_wish - how much stack the next samples should bring
 *
 * Each walk tells how many bytes would have sufficed for it. Windows of samples
 * end with a wish, the first soon, later ones after more and more; in a full
 * one a single sample need not have enough. When several have had too little,
 * the wish does not wait for the window to fill. What the first sample of a
 * thread needs, of which nothing is remembered yet, counts only where such
 * samples are frequent.
 *
 * Owner:   the caller's memory. Threads: one.
 * Source:  docs/design/0006-unwinding.md, with the figures.
 * Tests:   copy_wish_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#define COPY_WISH_FIRST_SAMPLES 72u
#define COPY_WISH_SAMPLES 576u
#define COPY_WISH_SHORT 3u
#define COPY_WISH_MIN_BYTES 64u

struct copy_wish_need {
    uint64_t n_bytes; /* that would have sufficed */
    bool is_short;    /* the walk did not reach its end for want of bytes */
    bool is_first;    /* nothing was remembered of the thread */
};

struct copy_wish {
    uint32_t n_samples, n_short, n_first; /* of this window */
    uint32_t largest, second;             /* … needed by those that were no first ones */
    uint32_t largest_first;
    uint32_t window; /* its length; 0: COPY_WISH_FIRST_SAMPLES */
    uint32_t latest_bytes;
};

/* One more walk. True when there is a new wish, in latest_bytes. */
bool copy_wish_note(struct copy_wish *wish, const struct copy_wish_need *need);
