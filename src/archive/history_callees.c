/* SPDX-License-Identifier: MIT */
#include "archive/history_callees.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void history_callees_release(struct history_callees *callees)
{
    free(callees->recent);
    *callees = (struct history_callees){0};
}

static int reserve(struct history_callees *callees, size_t caller)
{
    if (caller < callees->capacity) {
        return 0;
    }
    size_t capacity = caller + caller / 2 + 1024;
    uint32_t(*recent)[HISTORY_CALLEES_RECENT] = calloc(capacity, sizeof(*recent));
    if (!recent) {
        return -ENOMEM;
    }
    if (callees->capacity > 0) {
        memcpy(recent, callees->recent, callees->capacity * sizeof(*recent));
    }
    free(callees->recent);
    callees->recent = recent;
    callees->capacity = capacity;
    return 0;
}

/* The frame becomes the first of its caller's; `rank` is where it was. */
static void remember(struct history_callees *callees, uint32_t *recent, unsigned int rank,
                     frame_id frame)
{
    unsigned int last = rank < HISTORY_CALLEES_RECENT ? rank : HISTORY_CALLEES_RECENT - 1;
    for (unsigned int i = last; i > 0; i--) {
        recent[i] = recent[i - 1];
    }
    recent[0] = frame + 1;
    callees->next = frame >= callees->next ? frame + 1 : callees->next;
}

int history_callees_tell(struct history_callees *callees, size_t caller, frame_id frame,
                         struct history_callee *ret_callee)
{
    int r = reserve(callees, caller);
    if (r != 0) {
        return r;
    }
    uint32_t *recent = callees->recent[caller];
    uint8_t rank = 0;
    while (rank < HISTORY_CALLEES_RECENT && recent[rank] != frame + 1) {
        rank++;
    }
    *ret_callee = (struct history_callee){.rank = rank};
    if (rank == HISTORY_CALLEES_OTHER) {
        uint32_t away = callees->next - frame;
        ret_callee->away = away << 1 ^ (0 - (away >> 31));
    }
    remember(callees, recent, rank, frame);
    return 0;
}

int history_callees_find(struct history_callees *callees, size_t caller,
                         struct history_callee callee, frame_id *ret_frame)
{
    int r = reserve(callees, caller);
    if (r != 0) {
        return r;
    }
    uint32_t *recent = callees->recent[caller];
    frame_id frame;
    if (callee.rank < HISTORY_CALLEES_RECENT) {
        frame = recent[callee.rank] - 1;
    } else {
        uint32_t away = callee.away >> 1 ^ (0 - (callee.away & 1));
        frame = callees->next - away;
    }
    remember(callees, recent, callee.rank, frame);
    *ret_frame = frame;
    return 0;
}
