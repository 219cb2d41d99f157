/* SPDX-License-Identifier: MIT */
#include "aggregate/wait_cursor.h"

#include "aggregate/aggregate_internal.h"

/* No wait behind one that ends this much after the range begins in it, unless it is a long one. */
#define NEAR_NS (2 * STORED_SLICE_MAX_NS)

static uint64_t n_stored(const struct snapshot *snapshot)
{
    return snapshot->n_waits - snapshot->n_newest_waits;
}

/*
 * A place such that no wait before it ends after time_ns. The ends are not
 * quite in order, so that the search may go astray: by no more than
 * STORED_SLICE_MAX_NS, which it allows for.
 */
static uint64_t find_end(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t sought_ns = time_ns > STORED_SLICE_MAX_NS ? time_ns - STORED_SLICE_MAX_NS : 0;
    uint64_t low = snapshot->first_wait, high = n_stored(snapshot);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_wait(snapshot, middle)->end_ns >= sought_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* The first long wait that is not before `index`. */
static uint64_t find_long(const struct snapshot *snapshot, uint64_t index)
{
    const struct chunked *long_waits = &snapshot->aggregate->wait_log.long_waits;
    uint64_t low = snapshot->first_long_wait, high = snapshot->n_long_waits;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (*(const uint64_t *)chunked_get(long_waits, middle) >= index) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

struct wait_cursor wait_cursor_begin(const struct snapshot *snapshot, uint64_t from_ns,
                                     uint64_t to_ns)
{
    return (struct wait_cursor){
        .snapshot = snapshot,
        .from_ns = from_ns,
        .to_ns = to_ns,
        .next = find_end(snapshot, from_ns),
    };
}

static bool is_inside(const struct wait_cursor *cursor, const struct stored_wait *wait)
{
    return wait->start_ns < cursor->to_ns &&
           (wait->end_ns > cursor->from_ns || wait->start_ns >= cursor->from_ns);
}

/* The next stored wait to look at. */
static const struct stored_wait *step(struct wait_cursor *cursor)
{
    const struct snapshot *snapshot = cursor->snapshot;
    if (!cursor->is_far && cursor->next < n_stored(snapshot)) {
        const struct stored_wait *wait = snapshot_wait(snapshot, cursor->next);
        if (wait->end_ns <= cursor->to_ns || wait->end_ns - cursor->to_ns <= NEAR_NS) {
            cursor->next++;
            return wait;
        }
        cursor->is_far = true;
        cursor->next = find_long(snapshot, cursor->next);
    }
    if (cursor->is_far && cursor->next < snapshot->n_long_waits) {
        const uint64_t *index =
            chunked_get(&snapshot->aggregate->wait_log.long_waits, cursor->next++);
        return snapshot_wait(snapshot, *index);
    }
    if (cursor->next_newest < snapshot->n_newest_waits) {
        return &snapshot->newest_waits[cursor->next_newest++];
    }
    return NULL;
}

const struct stored_wait *wait_cursor_next(struct wait_cursor *cursor)
{
    const struct stored_wait *wait = step(cursor);
    while (wait && !is_inside(cursor, wait)) {
        wait = step(cursor);
    }
    return wait;
}
