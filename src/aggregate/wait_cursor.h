/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_cursor - the ended waits of a snapshot that touch a range of time
 *
 * Waits are in the order of their ends, but for few that are up to
 * STORED_SLICE_MAX_NS out of it; and a wait that touches the range can end
 * hours after it. So waits that lasted longer than STORED_SLICE_MAX_NS are
 * listed a second time: the cursor reads all those that end within two of that
 * after the range, and of the rest only what is listed.
 *
 * Owner:   the caller's memory; the snapshot has to outlive it.
 * Threads: one each.
 * Tests:   wait_cursor_test.c
 */

#include "aggregate/snapshot.h"

struct wait_cursor {
    const struct snapshot *snapshot;
    uint64_t from_ns, to_ns;
    uint64_t next;      /* of the waits, or once is_far: of the long ones */
    size_t next_newest; /* of snapshot.newest_waits */
    bool is_far;
};

/* The waits that overlap [from_ns, to_ns), each once; a wait of no length has to begin in it. */
struct wait_cursor wait_cursor_begin(const struct snapshot *snapshot, uint64_t from_ns,
                                     uint64_t to_ns);

/* NULL: that were all. */
const struct stored_wait *wait_cursor_next(struct wait_cursor *cursor);
