/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_callees - the frames of stacks as small numbers
 *
 * What a place in the code calls repeats: behind each frame those that came
 * behind it last are remembered, and the next one is told by its place among
 * them. Writer and reader remember the same.
 *
 * Owner:   the caller's memory; history_callees_release().
 * Threads: one.
 * Limits:  HISTORY_CALLEES_RECENT of each frame; others are told by number.
 * Tests:   history_callees_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ids.h"

#define HISTORY_CALLEES_RECENT 8u
#define HISTORY_CALLEES_OTHER HISTORY_CALLEES_RECENT /* a rank: none of the recent ones */

struct history_callees {
    uint32_t (*recent)[HISTORY_CALLEES_RECENT]; /* by caller: frames + 1, the last one first */
    size_t capacity;
    frame_id next; /* one more than the highest frame so far: the likeliest of the others */
};

/* How a frame is told. */
struct history_callee {
    uint8_t rank;
    uint32_t away; /* of HISTORY_CALLEES_OTHER: from `next`, the sign in the lowest bit */
};

void history_callees_release(struct history_callees *callees);
DEFINE_RELEASEP(history_callees);

/* `caller`: 0 where there is none, else its frame + 1. Both 0 or -ENOMEM. */
int history_callees_tell(struct history_callees *callees, size_t caller, frame_id frame,
                         struct history_callee *ret_callee);
int history_callees_find(struct history_callees *callees, size_t caller,
                         struct history_callee callee, frame_id *ret_frame);
