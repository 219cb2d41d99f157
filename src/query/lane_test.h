/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * lane_test - lanes and spans of a made-up run, for the tests of views that show them
 *
 * Shape:   two lanes beside one thread; times are counted from the run's first instant,
 * LANE_TEST_NS.
 *
 *              GPU 0     kernel 100–300 and 250–400: they overlap
 *              decoder   frame 0–800 with decode 100–400 and filter 400–500 in it, frame 900–1000
 *
 * Owner:   the scene. Threads: one.
 */

#include "model/lane.h"
#include "query/query_test.h"

#define LANE_TEST_NS UINT64_C(1) /* when scene_begin() tells what is mapped */

enum { LANE_GPU, LANE_DECODER };
enum { SPAN_KERNEL = 1, SPAN_FRAME, SPAN_DECODE, SPAN_FILTER };

static inline void lane_test_tell_lane(struct aggregate *aggregate, uint32_t lane, uint8_t kind,
                                       const char *name)
{
    tell(aggregate, (struct event){.kind = EVENT_LANE,
                                   .time_ns = LANE_TEST_NS,
                                   .pid = TEST_PID,
                                   .lane = {.lane = lane, .kind = kind, .name = name}});
}

static inline void lane_test_tell_name(struct aggregate *aggregate, uint32_t name, uint32_t parent,
                                       const char *text)
{
    tell(aggregate, (struct event){.kind = EVENT_SPAN_NAME,
                                   .time_ns = LANE_TEST_NS,
                                   .pid = TEST_PID,
                                   .span_name = {.name = name, .parent = parent, .text = text}});
}

/* From start_ns to end_ns since the run's first instant, queued by TEST_PID at origin_ns (0: nobody
 * knows who). */
static inline void lane_test_tell_span(struct aggregate *aggregate, uint32_t lane, uint32_t name,
                                       uint64_t start_ns, uint64_t end_ns, uint64_t origin_ns,
                                       const struct event_span_details *details)
{
    struct event_span span = {
        .lane = lane,
        .name = name,
        .start_ns = LANE_TEST_NS + start_ns,
        .end_ns = LANE_TEST_NS + end_ns,
        .details = details,
    };
    if (origin_ns > 0) {
        span.origin = (struct event_origin){
            .pid = TEST_PID, .tid = TEST_PID, .time_ns = LANE_TEST_NS + origin_ns};
    }
    tell(aggregate,
         (struct event){
             .kind = EVENT_SPAN, .time_ns = LANE_TEST_NS + end_ns, .pid = TEST_PID, .span = &span});
}

/* The lanes and what ran on them; the thread is the caller's. */
static inline void lane_test_tell(struct aggregate *aggregate)
{
    lane_test_tell_lane(aggregate, LANE_GPU, LANE_KIND_GPU, "GPU 0");
    lane_test_tell_lane(aggregate, LANE_DECODER, LANE_KIND_GENERIC, "decoder");
    lane_test_tell_name(aggregate, SPAN_KERNEL, 0, "kernel");
    lane_test_tell_name(aggregate, SPAN_FRAME, 0, "frame");
    lane_test_tell_name(aggregate, SPAN_DECODE, SPAN_FRAME, "decode");
    lane_test_tell_name(aggregate, SPAN_FILTER, SPAN_FRAME, "filter");
    lane_test_tell_span(aggregate, LANE_GPU, SPAN_KERNEL, 100, 300, 50, NULL);
    lane_test_tell_span(aggregate, LANE_GPU, SPAN_KERNEL, 250, 400, 60, NULL);
    lane_test_tell_span(aggregate, LANE_DECODER, SPAN_DECODE, 100, 400, 0, NULL);
    lane_test_tell_span(aggregate, LANE_DECODER, SPAN_FILTER, 400, 500, 0, NULL);
    lane_test_tell_span(aggregate, LANE_DECODER, SPAN_FRAME, 0, 800, 70, NULL);
    lane_test_tell_span(aggregate, LANE_DECODER, SPAN_FRAME, 900, 1000, 0, NULL);
}

/* One thread that runs for 1000 ns, half of it in hash_key, half in walk_tree, both called by
 * run_worker. */
static inline void lane_test_tell_thread(struct aggregate *aggregate)
{
    const uint64_t hash[] = {place_in(hash_key, 1), place_in(run_worker, 2)};
    const uint64_t walk[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    tell_in(aggregate, LANE_TEST_NS, TEST_PID);
    for (uint64_t i = 0; i < 100; i++) {
        tell_sample(aggregate, LANE_TEST_NS + 1 + i, TEST_PID, i % 2 ? hash : walk, 2);
    }
    tell_out(aggregate, LANE_TEST_NS + 1000, TEST_PID, false);
}

/* Both, asked as of the end. */
static inline void lane_test_begin(struct scene *scene)
{
    scene_begin(scene, true, false);
    lane_test_tell_thread(scene->aggregate);
    lane_test_tell(scene->aggregate);
    scene_freeze(scene, LANE_TEST_NS + 1000);
}
