/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * copy_wish - how much stack the next samples should bring
 *
 * Each walk tells how many bytes would have sufficed for it. Windows of samples
 * end with a wish, the first soon, later ones after more and more; of so many
 * samples as COPY_WISH_PER_OUTLIER one need not have enough. When several have
 * had too little, the wish does not wait for the window to fill.
 *
 * Owner:   the caller's memory. Threads: one.
 * Source:  docs/design/0006-unwinding.md, with the figures.
 * Tests:   copy_wish_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#define COPY_WISH_FIRST_SAMPLES 48u
#define COPY_WISH_SAMPLES 576u
#define COPY_WISH_PER_OUTLIER 192u
#define COPY_WISH_LARGEST (COPY_WISH_SAMPLES / COPY_WISH_PER_OUTLIER + 1)
#define COPY_WISH_SHORT 4u
#define COPY_WISH_MIN_BYTES 64u

struct copy_wish {
    uint32_t n_samples, n_short;         /* of this window */
    uint32_t largest[COPY_WISH_LARGEST]; /* … the most needed, descending */
    uint32_t window;                     /* its length; 0: COPY_WISH_FIRST_SAMPLES */
    uint32_t latest_bytes;
};

/*
 * A walk would have done with needed_bytes; is_short: it did not reach its end
 * for want of bytes. True when there is a new wish, in latest_bytes.
 */
bool copy_wish_note(struct copy_wish *wish, uint64_t needed_bytes, bool is_short);
