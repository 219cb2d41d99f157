/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * extract_spans - the spans of a part of a run, for query_extract.h
 *
 * Lanes and names keep their numbers. A span that reaches over an edge is cut
 * there, as its time in a range is; its origin is what was found in the run.
 *
 * Owner:   the caller's restore. Threads: any.
 * Tests:   query_extract_test.c
 */

#include "aggregate/restore.h"
#include "query/span_origins.h"

struct extract_spans {
    const struct snapshot *snapshot;
    const struct span_view *view; /* of the range; NULL: there are no spans */
    uint64_t from_ns, to_ns;
    const thread_id *own_ids; /* by thread of the run; THREAD_ID_NONE: not in the part */
    struct restore *restore;
};

/* Behind the threads. 0, or what restoring failed with. */
int extract_spans_copy(const struct extract_spans *extract);
