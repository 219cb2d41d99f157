/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_test - a run with spans of every kind, for the tests of views that are about spans
 *
 * Shape:   times count from the run's first instant, LANE_TEST_NS. Threads: main (TEST_PID), that
 *          is sampled in hash_key and walk_tree, worker (SPAN_WORKER_TID) in copy_bytes, and idle
 *          (SPAN_IDLE_TID), of which nothing is known.
 * Owner:   the scene. Threads: one.
 */

#include "query/lane_test.h"

#define SPAN_WORKER_TID 101
#define SPAN_IDLE_TID 102
#define SPAN_MS UINT64_C(1000000)

struct span_told {
    uint32_t lane, name;
    uint64_t start_ns, end_ns;
    int64_t tid;        /* of the origin; 0: none */
    uint64_t origin_ns; /* since the run's first instant */
    int64_t pid;        /* of the origin; 0: TEST_PID */
    const struct event_span_details *details;
};

static inline void span_test_tell(struct aggregate *aggregate, struct span_told told)
{
    const struct event_span span = {
        .lane = told.lane,
        .name = told.name,
        .start_ns = LANE_TEST_NS + told.start_ns,
        .end_ns = LANE_TEST_NS + told.end_ns,
        .origin = {.pid = told.tid == 0   ? 0
                          : told.pid != 0 ? told.pid
                                          : TEST_PID,
                   .tid = told.tid,
                   .time_ns = told.tid != 0 ? LANE_TEST_NS + told.origin_ns : 0},
        .details = told.details,
    };
    tell(aggregate, (struct event){.kind = EVENT_SPAN,
                                   .time_ns = LANE_TEST_NS + told.end_ns,
                                   .pid = TEST_PID,
                                   .span = &span});
}

/* Threads that run for 100 ms. */
static inline void span_test_tell_threads(struct aggregate *aggregate)
{
    const uint64_t hash[] = {place_in(hash_key, 1), place_in(run_worker, 2)};
    const uint64_t walk[] = {place_in(walk_tree, 1), place_in(run_worker, 2)};
    const uint64_t copy[] = {place_in(copy_bytes, 1), place_in(run_worker, 2)};
    tell_thread(aggregate, LANE_TEST_NS, TEST_PID, EVENT_THREAD_PRESENT, "main");
    tell_thread(aggregate, LANE_TEST_NS, SPAN_WORKER_TID, EVENT_THREAD_PRESENT, "worker");
    tell_thread(aggregate, LANE_TEST_NS, SPAN_IDLE_TID, EVENT_THREAD_PRESENT, "idle");
    tell_in(aggregate, LANE_TEST_NS, TEST_PID);
    tell_in(aggregate, LANE_TEST_NS, SPAN_WORKER_TID);
    for (uint64_t ms = 1; ms < 100; ms++) {
        /* main is in hash_key for the first half; worker is sampled up to 20 ms. */
        tell_sample(aggregate, LANE_TEST_NS + ms * SPAN_MS, TEST_PID, ms < 50 ? hash : walk, 2);
        if (ms <= 20) {
            tell_sample(aggregate, LANE_TEST_NS + ms * SPAN_MS, SPAN_WORKER_TID, copy, 2);
        }
    }
}

static inline void span_test_tell_names(struct aggregate *aggregate)
{
    lane_test_tell_lane(aggregate, LANE_GPU, LANE_KIND_GPU, "GPU 0");
    lane_test_tell_lane(aggregate, LANE_DECODER, LANE_KIND_EXECUTOR, "decoder");
    lane_test_tell_name(aggregate, SPAN_KERNEL, 0, "kernel");
    lane_test_tell_name(aggregate, SPAN_FRAME, 0, "frame");
    lane_test_tell_name(aggregate, SPAN_DECODE, SPAN_FRAME, "decode");
    lane_test_tell_name(aggregate, SPAN_FILTER, SPAN_FRAME, "filter");
}

/* The run has ended: no origin is pending any more. */
static inline void span_test_end(struct scene *scene)
{
    aggregate_end(scene->aggregate, LANE_TEST_NS + 100 * SPAN_MS);
    scene_freeze(scene, LANE_TEST_NS + 100 * SPAN_MS);
}

/*
 *  GPU 0     kernel 10–20 ms, queued by main at 9 (hash_key), 15–40 by main at 60 (walk_tree),
 *            50–51 by nobody
 *  decoder   frame 10–30 with decode 12–20 and filter 20–28 in it, all by worker at 10
 *            (copy_bytes); frame 70–75 by worker at 70: too far
 */
static inline void span_test_begin(struct scene *scene)
{
    scene_begin(scene, true, false);
    struct aggregate *aggregate = scene->aggregate;
    span_test_tell_threads(aggregate);
    span_test_tell_names(aggregate);
    const uint64_t ms = SPAN_MS;
    const struct event_span_details waited = {
        .queue_id = 3,
        .dispatch_id = 12,
        .wait = {.pid = TEST_PID, .tid = TEST_PID, .time_ns = LANE_TEST_NS + 12 * ms},
        .wait_end_ns = LANE_TEST_NS + 21 * ms,
        .completion = {.pid = TEST_PID, .tid = SPAN_WORKER_TID, .time_ns = LANE_TEST_NS + 22 * ms},
        .source_function = SPAN_KERNEL,
        .source_line = 7,
        .n_counters = 1,
        .counters = {{.name = SPAN_DECODE, .unit = SPAN_FILTER, .value = 2.5}},
        .n_attachments = 1,
        .attachments = {{.label = SPAN_FRAME,
                         .n_dimensions = 2,
                         .dimensions = {640, 480},
                         .size_bytes = 4096}},
    };
    const struct span_told told[] = {
        {LANE_GPU, SPAN_KERNEL, 10 * ms, 20 * ms, TEST_PID, 9 * ms, 0, &waited},
        {LANE_GPU, SPAN_KERNEL, 15 * ms, 40 * ms, TEST_PID, 60 * ms, 0, NULL},
        {LANE_GPU, SPAN_KERNEL, 50 * ms, 51 * ms, 0, 0, 0, NULL},
        {LANE_DECODER, SPAN_DECODE, 12 * ms, 20 * ms, SPAN_WORKER_TID, 10 * ms, 0, NULL},
        {LANE_DECODER, SPAN_FILTER, 20 * ms, 28 * ms, SPAN_WORKER_TID, 10 * ms, 0, NULL},
        {LANE_DECODER, SPAN_FRAME, 10 * ms, 30 * ms, SPAN_WORKER_TID, 10 * ms, 0, NULL},
        {LANE_DECODER, SPAN_FRAME, 70 * ms, 75 * ms, SPAN_WORKER_TID, 70 * ms, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        span_test_tell(aggregate, told[i]);
    }
    span_test_end(scene);
}

/* Many spans by chance on both lanes; lengths of all magnitudes; for some somebody waited. Returns
 * how many. */
static inline size_t span_test_begin_random(struct scene *scene, struct span_told *told, size_t n)
{
    struct random_life chance = {.state = 42};
    scene_begin(scene, true, false);
    span_test_tell_threads(scene->aggregate);
    span_test_tell_names(scene->aggregate);
    for (size_t i = 0; i < n; i++) {
        static const uint32_t names[] = {SPAN_KERNEL, SPAN_FRAME, SPAN_DECODE, SPAN_FILTER};
        static const int64_t tids[] = {TEST_PID, SPAN_WORKER_TID, SPAN_IDLE_TID, 0};
        uint64_t start_ns = random_life_below(&chance, 90 * SPAN_MS);
        uint64_t scale = UINT64_C(1) << random_life_below(&chance, 23);
        told[i] = (struct span_told){
            .lane = (uint32_t)random_life_below(&chance, 2),
            .name = names[random_life_below(&chance, 4)],
            .start_ns = start_ns,
            .end_ns = start_ns + random_life_below(&chance, scale),
            .tid = tids[random_life_below(&chance, 4)],
            .origin_ns = random_life_below(&chance, 99 * SPAN_MS),
        };
        const struct event_span_details waited = {
            .wait = {.pid = TEST_PID,
                     .tid = i % 2 ? TEST_PID : SPAN_WORKER_TID,
                     .time_ns = LANE_TEST_NS + start_ns + random_life_below(&chance, scale)},
            .wait_end_ns = LANE_TEST_NS + start_ns + scale,
        };
        told[i].details = i % 5 == 0 ? &waited : NULL;
        span_test_tell(scene->aggregate, told[i]);
        told[i].details = NULL;
    }
    span_test_end(scene);
    return n;
}
