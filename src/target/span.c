/* SPDX-License-Identifier: MIT */

#include "target/span.h"

#include <time.h>

uint64_t stax_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    return now_ns ? now_ns : 1;
}

stax_origin stax_origin_capture(stax_lane lane)
{
    stax_origin origin = {0, 0, 0};

    (void)lane;
    if (target_is_recorded()) {
        origin.time_ns = stax_now_ns();
        origin.tid = target_tid();
        origin.pid = target_process.pid;
    }
    return origin;
}

stax_span stax_span_begin_named(stax_lane lane, stax_name_id name, stax_origin origin)
{
    stax_span span = {0};

    if (target_is_recorded() && lane.id) {
        span.origin = origin;
        span.lane = lane;
        span.name = name;
        span.start_ns = stax_now_ns();
    }
    return span;
}

stax_span stax_span_begin(stax_lane lane, const char *name, stax_origin origin)
{
    stax_span none = {0};

    /* The name is looked for before the clock is read: that is the library's time, not the span's.
     */
    return target_is_recorded() && lane.id ? stax_span_begin_named(lane, stax_name(name), origin)
                                           : none;
}

static void report(const stax_span *span, uint64_t end_ns)
{
    uint64_t position;

    if (target_span_reserve(0, &position)) {
        target_span_write(position, 0, span, end_ns);
    }
}

void stax_span_end(stax_span *span)
{
    if (!span->start_ns) {
        return;
    }
    if (target_is_recorded()) {
        report(span, stax_now_ns());
    } else {
        TARGET_COUNT(n_dropped_no_server);
    }
    span->start_ns = 0;
}

void stax_span_report_named(stax_lane lane, stax_name_id name, uint64_t start_ns, uint64_t end_ns,
                            stax_origin origin)
{
    if (target_is_recorded() && lane.id) {
        stax_span span = {.start_ns = start_ns, .origin = origin, .lane = lane, .name = name};
        report(&span, end_ns);
    }
}

void stax_span_report(stax_lane lane, const char *name, uint64_t start_ns, uint64_t end_ns,
                      stax_origin origin)
{
    if (target_is_recorded() && lane.id) {
        stax_span_report_named(lane, stax_name(name), start_ns, end_ns, origin);
    }
}
