/* SPDX-License-Identifier: MIT */
#include "unwind/copy_wish.h"

#include "model/limits.h"

/* The next window's samples differ a little. */
#define HEADROOM_PART 16u
/* So many first samples of threads are no exception. */
#define FREQUENT_PART 50u

static void keep(struct copy_wish *wish, const struct copy_wish_need *need)
{
    uint32_t n_bytes =
        need->n_bytes < LIMIT_STACK_COPY_BYTES ? (uint32_t)need->n_bytes : LIMIT_STACK_COPY_BYTES;
    wish->n_samples++;
    wish->n_short += need->is_short;
    if (need->is_first && !need->is_short) {
        wish->n_first++;
        wish->largest_first = n_bytes > wish->largest_first ? n_bytes : wish->largest_first;
    } else if (n_bytes > wish->largest) {
        wish->second = wish->largest;
        wish->largest = n_bytes;
    } else if (n_bytes > wish->second) {
        wish->second = n_bytes;
    }
}

static uint32_t bytes_for(const struct copy_wish *wish)
{
    bool may_leave_one_out = wish->n_samples >= COPY_WISH_SAMPLES / 2;
    uint32_t bytes = may_leave_one_out ? wish->second : wish->largest;
    if (wish->n_first * FREQUENT_PART > wish->n_samples && wish->n_first > 1 &&
        wish->largest_first > bytes) {
        bytes = wish->largest_first;
    }
    bytes += bytes / HEADROOM_PART;
    bytes = bytes < COPY_WISH_MIN_BYTES ? COPY_WISH_MIN_BYTES : bytes;
    return bytes < LIMIT_STACK_COPY_BYTES ? bytes : LIMIT_STACK_COPY_BYTES;
}

bool copy_wish_note(struct copy_wish *wish, const struct copy_wish_need *need)
{
    keep(wish, need);
    uint32_t window = wish->window ? wish->window : COPY_WISH_FIRST_SAMPLES;
    if (wish->n_samples < window && wish->n_short < COPY_WISH_SHORT) {
        return false;
    }
    *wish = (struct copy_wish){
        .window = 2 * window < COPY_WISH_SAMPLES ? 2 * window : COPY_WISH_SAMPLES,
        .latest_bytes = bytes_for(wish),
    };
    return true;
}
