/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_test - lanes and spans made up for the tests of aggregate and query
 *
 * Owner:   the caller's aggregate. Threads: one.
 */

#include "aggregate/aggregate_test.h"

static inline void tell_lane(struct aggregate *aggregate, uint32_t lane, const char *name)
{
    tell(aggregate, (struct event){.kind = EVENT_LANE,
                                   .pid = TEST_PID,
                                   .lane = {.lane = lane, .kind = LANE_KIND_GPU, .name = name}});
}

static inline void tell_span_name(struct aggregate *aggregate, uint32_t name, uint32_t parent,
                                  const char *text)
{
    tell(aggregate, (struct event){.kind = EVENT_SPAN_NAME,
                                   .pid = TEST_PID,
                                   .span_name = {.name = name, .parent = parent, .text = text}});
}

static inline void tell_span_read(struct aggregate *aggregate, struct event_span span,
                                  uint64_t read_ns)
{
    tell(aggregate, (struct event){.kind = EVENT_SPAN,
                                   .pid = TEST_PID,
                                   .tid = TEST_PID,
                                   .time_ns = read_ns,
                                   .span = &span});
}

/* Read when it ended. */
static inline void tell_span(struct aggregate *aggregate, struct event_span span)
{
    tell_span_read(aggregate, span, span.end_ns);
}

/* A thread of the target, at that moment. */
static inline struct event_origin test_origin(int64_t tid, uint64_t time_ns)
{
    return (struct event_origin){.pid = TEST_PID, .tid = tid, .time_ns = time_ns};
}
