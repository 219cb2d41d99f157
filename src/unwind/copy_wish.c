/* SPDX-License-Identifier: MIT */
#include "unwind/copy_wish.h"

#include "model/limits.h"

/* The next window's samples differ a little. */
#define HEADROOM_PART 16u

static void keep(struct copy_wish *wish, uint32_t needed)
{
    for (uint32_t i = 0; i < COPY_WISH_LARGEST; i++) {
        if (needed > wish->largest[i]) {
            uint32_t lower = wish->largest[i];
            wish->largest[i] = needed;
            needed = lower;
        }
    }
}

bool copy_wish_note(struct copy_wish *wish, uint64_t needed_bytes, bool is_short)
{
    keep(wish,
         needed_bytes < LIMIT_STACK_COPY_BYTES ? (uint32_t)needed_bytes : LIMIT_STACK_COPY_BYTES);
    uint32_t window = wish->window ? wish->window : COPY_WISH_FIRST_SAMPLES;
    wish->n_samples++;
    wish->n_short += is_short;
    if (wish->n_samples < window && wish->n_short < COPY_WISH_SHORT) {
        return false;
    }
    uint32_t bytes = wish->largest[wish->n_samples / COPY_WISH_PER_OUTLIER];
    bytes += bytes / HEADROOM_PART;
    bytes = bytes < COPY_WISH_MIN_BYTES ? COPY_WISH_MIN_BYTES : bytes;
    *wish = (struct copy_wish){
        .window = 2 * window < COPY_WISH_SAMPLES ? 2 * window : COPY_WISH_SAMPLES,
        .latest_bytes = bytes < LIMIT_STACK_COPY_BYTES ? bytes : LIMIT_STACK_COPY_BYTES,
    };
    return true;
}
