/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "model/lane.h"
#include "server/target_ingest.h"
#include "server/target_test.h"

#define PID 100
#define CHILD 101
#define START_NS UINT64_C(10000000000)
#define NOW_NS (START_NS + NS_PER_S)
#define MAX_SEEN 4096

static struct run_ingest *ingest;
static struct target_ingest *target;
static struct program program;

/* What came out of the queue. */
static struct event seen[MAX_SEEN];
static struct event_span spans[MAX_SEEN];
static struct event_span_details details[MAX_SEEN];
static char texts[MAX_SEEN][LIMIT_SPAN_NAME_BYTES];
static size_t n_seen;
static uint64_t n_all_spans, n_lost[EVENT_SPANS_LOST_CAUSE_N];

static void make(bool follows_children, size_t n_slabs)
{
    const struct run_ingest_config queue = {.n_slabs = n_slabs};
    assert_int_equal(run_ingest_new(&queue, &ingest), 0);
    const struct target_ingest_config config = {
        .pid = PID, .follows_children = follows_children, .ingest = ingest};
    assert_int_equal(target_ingest_new(&config, &target), 0);
    n_seen = n_all_spans = 0;
    memset(n_lost, 0, sizeof(n_lost));
}

static void note(int64_t pid)
{
    const struct event event = {.kind = EVENT_THREAD,
                                .time_ns = START_NS,
                                .pid = pid,
                                .tid = pid,
                                .thread = {.change = EVENT_THREAD_BORN}};
    target_ingest_note(target, &event, 1);
}

static int set_up(void **state)
{
    (void)state;
    make(false, 0);
    return program_begin(&program, PID) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    program_end(&program);
    target = target_ingest_free(target);
    ingest = run_ingest_free(ingest);
    return 0;
}

static const char *keep_text(const char *text)
{
    snprintf(texts[n_seen], sizeof(texts[n_seen]), "%s", text);
    return texts[n_seen];
}

static void keep(const struct event *event)
{
    assert_true(n_seen < MAX_SEEN);
    seen[n_seen] = *event;
    if (event->kind == EVENT_LANE) {
        seen[n_seen].lane.name = keep_text(event->lane.name);
    } else if (event->kind == EVENT_SPAN_NAME) {
        seen[n_seen].span_name.text = keep_text(event->span_name.text);
    } else if (event->kind == EVENT_SPAN) {
        spans[n_seen] = *event->span;
        seen[n_seen].span = &spans[n_seen];
        if (event->span->details) {
            details[n_seen] = *event->span->details;
            spans[n_seen].details = &details[n_seen];
        }
    }
    n_seen++;
}

/* Takes all from the queue; events are kept as far as there is room. */
static void drain(void)
{
    struct run_slab *slab;
    while ((slab = run_ingest_next(ingest))) {
        for (size_t i = 0; i < event_batch_count(slab->batch); i++) {
            const struct event *event = event_batch_get(slab->batch, i);
            n_all_spans += event->kind == EVENT_SPAN;
            if (event->kind == EVENT_SPANS_LOST) {
                n_lost[event->spans_lost.cause] += event->spans_lost.count;
            } else if (n_seen < MAX_SEEN) {
                keep(event);
            }
        }
        run_ingest_return(ingest, slab);
    }
}

static void begin(void)
{
    target_ingest_offer(target, program.producer);
    note(PID);
    target_ingest_begin(target, START_NS);
}

static int poll(void)
{
    int wait_ms = target_ingest_poll(target, NOW_NS);
    drain();
    return wait_ms;
}

static const struct event *next_of(enum event_kind kind, size_t index)
{
    for (size_t i = 0; i < n_seen; i++) {
        if (seen[i].kind == kind && index-- == 0) {
            return &seen[i];
        }
    }
    return NULL;
}

static void test_gate_and_first_span(void **state)
{
    (void)state;
    uint32_t lane = program_lane(&program, "decoder", LANE_KIND_GPU);
    uint32_t name = program_name(&program, 0, "frame");
    assert_true(program_span(&program, lane, name, START_NS + 1, START_NS + 2));
    target_ingest_offer(target, program.producer);
    assert_false(program_is_recorded(&program));
    note(PID);
    target_ingest_begin(target, START_NS);
    assert_true(program_is_recorded(&program));
    /* What lay there before is none of the run's. */
    assert_true(program_span(&program, lane, name, START_NS + 10, START_NS + 30));
    assert_int_equal(poll(), TARGET_INGEST_POLL_MS);
    assert_int_equal(n_seen, 3);
    assert_int_equal(seen[0].kind, EVENT_LANE);
    assert_int_equal(seen[0].pid, PID);
    assert_int_equal(seen[0].lane.lane, 0);
    assert_int_equal(seen[0].lane.kind, LANE_KIND_GPU);
    assert_string_equal(seen[0].lane.name, "decoder");
    assert_int_equal(seen[1].kind, EVENT_SPAN_NAME);
    assert_int_equal(seen[1].span_name.name, 1);
    assert_int_equal(seen[1].span_name.parent, 0);
    assert_string_equal(seen[1].span_name.text, "frame");
    assert_int_equal(seen[2].kind, EVENT_SPAN);
    assert_int_equal(seen[2].pid, PID);
    assert_int_equal(seen[2].tid, 9);
    assert_int_equal(seen[2].span->lane, 0);
    assert_int_equal(seen[2].span->name, 1);
    assert_int_equal(seen[2].span->start_ns, START_NS + 10);
    assert_int_equal(seen[2].span->end_ns, START_NS + 30);
    assert_null(seen[2].span->details);
    target_ingest_close(target);
    assert_false(program_is_recorded(&program));
    /* One that was on its way when the gate closed. */
    assert_true(program_span(&program, lane, name, START_NS + 40, START_NS + 50));
    target_ingest_end(target, NOW_NS);
    drain();
    assert_int_equal(n_seen, 4);
    assert_false(atomic_load(&program.producer->is_claimed));
    struct target_ingest_stats stats;
    target_ingest_stats(target, &stats);
    assert_int_equal(stats.n_sources, 1);
    assert_int_equal(stats.n_spans, 2);
    assert_int_equal(stats.n_batches, 2);
    assert_int_equal(stats.n_lanes, 1);
    assert_int_equal(stats.n_names, 1);
}

/* Programs that connect while the run is on, after it, and such that are none of its. */
static void test_who_is_recorded(void **state)
{
    (void)state;
    struct program stranger, late;
    assert_true(program_begin(&stranger, 55));
    assert_true(program_begin(&late, PID));
    begin();
    target_ingest_offer(target, stranger.producer);
    assert_false(program_is_recorded(&stranger));
    target_ingest_offer(target, late.producer);
    assert_true(program_is_recorded(&late));
    (void)poll();
    note(55); /* children are not followed */
    assert_false(program_is_recorded(&stranger));
    target_ingest_end(target, NOW_NS);
    assert_false(program_is_recorded(&late));
    target_ingest_offer(target, late.producer);
    assert_false(program_is_recorded(&late));
    program_end(&stranger);
    program_end(&late);
}

static void test_children(void **state)
{
    (void)state;
    struct program early, late;
    target_ingest_free(target);
    run_ingest_free(ingest);
    make(true, 0);
    assert_true(program_begin(&early, CHILD));
    assert_true(program_begin(&late, CHILD));
    begin();
    assert_int_equal(poll(), TARGET_INGEST_POLL_MS);
    target_ingest_offer(target, early.producer);
    assert_false(program_is_recorded(&early)); /* nobody knows yet whose child it is */
    note(CHILD);
    assert_true(program_is_recorded(&early));
    target_ingest_offer(target, late.producer);
    assert_true(program_is_recorded(&late));
    uint32_t lane = program_lane(&early, "executor", LANE_KIND_EXECUTOR);
    uint32_t name = program_name(&early, 0, "task");
    assert_true(program_span(&early, lane, name, START_NS, START_NS + 5));
    (void)poll();
    assert_int_equal(next_of(EVENT_LANE, 0)->pid, CHILD);
    assert_int_equal(next_of(EVENT_SPAN, 0)->pid, CHILD);
    program_end(&early);
    program_end(&late);
    (void)poll();
    target_ingest_end(target, NOW_NS);
}

/* The last spans of a program that has exited are read, and it is let go. */
static void test_program_leaves(void **state)
{
    (void)state;
    begin();
    uint64_t left;
    uint32_t lane = program_lane(&program, "io", LANE_KIND_IO);
    uint32_t name = program_name(&program, 0, "read");
    (void)poll();
    assert_true(program_span(&program, lane, name, START_NS, START_NS + 5));
    assert_true(target_ring_reserve(program.memory, 1, &left));
    assert_true(program_span(&program, lane, name, START_NS, START_NS + 7));
    program_leave(&program);
    assert_int_equal(poll(), TARGET_INGEST_POLL_MS);
    assert_int_equal(n_all_spans, 2);
    assert_int_equal(n_lost[EVENT_SPANS_LOST_MALFORMED], 1);
    assert_int_equal(poll(), -1);
    /* It comes again: its lane is the same one. */
    struct program again;
    assert_true(program_begin(&again, PID));
    target_ingest_offer(target, again.producer);
    (void)program_lane(&again, "another", LANE_KIND_IO);
    lane = program_lane(&again, "io", LANE_KIND_IO);
    name = program_name(&again, 0, "read");
    assert_true(program_span(&again, lane, name, START_NS, START_NS + 9));
    (void)poll();
    assert_int_equal(n_all_spans, 3);
    assert_int_equal(next_of(EVENT_SPAN, 2)->span->lane, 0);
    assert_int_equal(next_of(EVENT_SPAN, 2)->span->name, 1);
    target_ingest_end(target, NOW_NS);
    program_end(&again);
}

static void test_times(void **state)
{
    (void)state;
    begin();
    uint32_t lane = program_lane(&program, "gpu", LANE_KIND_GPU);
    uint32_t name = program_name(&program, 0, "kernel");
    assert_true(program_span(&program, lane, name, START_NS + 9, START_NS + 8));
    assert_true(program_span(&program, lane, name, 5, START_NS - 1));
    assert_true(program_span(&program, lane, name, START_NS, NOW_NS + NS_PER_S + 1));
    assert_true(program_span(&program, lane, name, UINT64_MAX - 1, UINT64_MAX));
    assert_true(program_span(&program, lane, name, 5, START_NS));
    assert_true(program_span(&program, lane, name, NOW_NS, NOW_NS + NS_PER_S));
    assert_true(program_span(&program, lane, name, START_NS + 8, START_NS + 8));
    assert_true(program_span(&program, lane, name, 0, START_NS + 8));
    (void)poll();
    assert_int_equal(n_all_spans, 3);
    assert_int_equal(n_lost[EVENT_SPANS_LOST_BAD_DURATION], 2);
    assert_int_equal(n_lost[EVENT_SPANS_LOST_OUTSIDE_RUN], 3);
    target_ingest_end(target, NOW_NS);
    struct target_ingest_stats stats;
    target_ingest_stats(target, &stats);
    assert_int_equal(stats.n_spans, 8);
    assert_int_equal(stats.n_dropped[EVENT_SPANS_LOST_OUTSIDE_RUN], 3);
}

static void test_malformed(void **state)
{
    (void)state;
    begin();
    uint32_t lane = program_lane(&program, "gpu", LANE_KIND_GPU);
    uint32_t name = program_name(&program, 0, "kernel");
    assert_true(program_span(&program, 0, name, START_NS, START_NS));
    assert_true(program_span(&program, 700, name, START_NS, START_NS));
    assert_true(program_span(&program, UINT32_MAX, name, START_NS, START_NS));
    assert_true(program_span(&program, lane, 0, START_NS, START_NS));
    assert_true(program_span(&program, lane, 700, START_NS, START_NS));
    assert_true(program_span(&program, lane, UINT32_MAX, START_NS, START_NS));
    assert_true(program_span(&program, lane, name, START_NS, START_NS));
    (void)poll();
    assert_int_equal(n_all_spans, 1);
    assert_int_equal(n_lost[EVENT_SPANS_LOST_MALFORMED], 6);
    target_ingest_end(target, NOW_NS);
}

/* What the program counts itself: from when it is recorded, and never so much that it is a lie. */
static void test_counts_of_the_program(void **state)
{
    (void)state;
    struct target_ring_state *words = target_ring_state(program.memory);
    words->n_dropped_full = 1000;
    begin();
    /* The gate is open: what is dropped from here on is the run's, read or not. */
    words->n_dropped_full = 1004;
    (void)poll();
    assert_int_equal(n_lost[EVENT_SPANS_LOST_TARGET_QUEUE], 4);
    words->n_dropped_full = 1007;
    words->n_dropped_no_server = 2;
    words->n_names_refused = 3;
    (void)poll();
    (void)poll();
    assert_int_equal(n_lost[EVENT_SPANS_LOST_TARGET_QUEUE], 7);
    assert_int_equal(n_lost[EVENT_SPANS_LOST_NO_SERVER], 2);
    words->n_dropped_full = 3;
    (void)poll();
    assert_int_equal(n_lost[EVENT_SPANS_LOST_TARGET_QUEUE], 7);
    words->n_dropped_full = UINT64_MAX;
    (void)poll();
    assert_true(n_lost[EVENT_SPANS_LOST_TARGET_QUEUE] <= 7 + UINT64_C(1000000000));
    target_ingest_end(target, NOW_NS);
    struct target_ingest_stats stats;
    target_ingest_stats(target, &stats);
    assert_int_equal(stats.n_names_refused, 3);
}

static void test_details(void **state)
{
    (void)state;
    begin();
    const struct target_ring_origin origin = {.time_ns = 77, .tid = 5, .pid = PID};
    const struct target_ring_slot slots[] = {
        {.kind = TARGET_RING_SPAN,
         .n_details = 10,
         .name = program_name(&program, 0, "kernel"),
         .span = {.lane = program_lane(&program, "gpu", LANE_KIND_GPU),
                  .start_ns = START_NS,
                  .end_ns = START_NS + 1,
                  .origin = origin}},
        {.kind = TARGET_RING_IDS, .ids = {.queue_id = 1, .command_buffer_id = 2, .dispatch_id = 3}},
        {.kind = TARGET_RING_WAIT, .wait = {.begin = origin, .end_ns = 99}},
        {.kind = TARGET_RING_COMPLETION, .completion = origin},
        {.kind = TARGET_RING_SOURCE,
         .name = program_name(&program, 0, "a.cu"),
         .source = {.function = program_name(&program, 0, "f"), .line = 12}},
        {.kind = TARGET_RING_COUNTER,
         .name = program_name(&program, 0, "flops"),
         .counter = {.value = 1.5, .unit = program_name(&program, 0, "1/s")}},
        {.kind = TARGET_RING_COUNTER,
         .name = program_name(&program, 0, "flops"),
         .counter = {.value = NAN}},
        {.kind = TARGET_RING_COUNTER, .name = 0, .counter = {.value = 1}},
        {.kind = TARGET_RING_COUNTER,
         .name = program_name(&program, 0, "bytes"),
         .counter = {.value = 4, .unit = 999}},
        {.kind = TARGET_RING_ATTACHMENT,
         .name = program_name(&program, 0, "weights"),
         .attachment = {.size_bytes = 4096, .n_dimensions = 2, .dimensions = {3, 4, 5, 6}}},
        {.kind = TARGET_RING_ATTACHMENT, .attachment = {.n_dimensions = UINT32_MAX}},
    };
    assert_true(program_report(&program, slots));
    (void)poll();
    const struct event *event = next_of(EVENT_SPAN, 0);
    assert_non_null(event);
    assert_int_equal(event->span->origin.tid, 5);
    assert_int_equal(event->span->origin.time_ns, 77);
    const struct event_span_details *told = event->span->details;
    assert_non_null(told);
    assert_int_equal(told->queue_id + told->command_buffer_id * 10 + told->dispatch_id * 100, 321);
    assert_int_equal(told->wait.tid, 5);
    assert_int_equal(told->wait_end_ns, 99);
    assert_int_equal(told->completion.time_ns, 77);
    assert_int_equal(told->source_line, 12);
    assert_true(told->source_file > 0 && told->source_function > 0);
    assert_int_equal(told->n_counters, 2);
    assert_true(told->counters[0].value > 1.4 && told->counters[0].unit > 0);
    assert_int_equal(told->counters[1].unit, 0);
    assert_int_equal(told->n_attachments, 2);
    assert_int_equal(told->attachments[0].n_dimensions, 2);
    assert_int_equal(told->attachments[0].dimensions[1], 4);
    assert_int_equal(told->attachments[0].dimensions[2], 0);
    assert_int_equal(told->attachments[1].n_dimensions, LIMIT_SPAN_DIMENSIONS);
    target_ingest_end(target, NOW_NS);
    struct target_ingest_stats stats;
    target_ingest_stats(target, &stats);
    assert_int_equal(stats.n_details[TARGET_RING_COUNTER], 4);
    assert_int_equal(stats.n_details[TARGET_RING_IDS], 1);
}

/* A program that calls itself otherwise than the kernel does; who is no thread of it stays. */
static void test_another_namespace(void **state)
{
    (void)state;
    struct program inner;
    target_ingest_free(target);
    const struct target_ingest_config config = {.pid = getpid(), .ingest = ingest};
    assert_int_equal(target_ingest_new(&config, &target), 0);
    assert_true(program_begin(&inner, getpid()));
    target_ring_state(inner.memory)->pid = 3;
    note(getpid());
    target_ingest_offer(target, inner.producer);
    target_ingest_begin(target, START_NS);
    uint32_t tid = (uint32_t)gettid();
    const struct target_ring_origin origins[] = {
        {.time_ns = 77, .tid = tid, .pid = 3},
        {.time_ns = 77, .tid = 0x7ffffff0, .pid = 3},
        {.time_ns = 77, .tid = tid, .pid = 4},
        {.time_ns = 0},
    };
    for (size_t i = 0; i < 4; i++) {
        const struct target_ring_slot slots[] = {
            {.kind = TARGET_RING_SPAN,
             .n_details = 2,
             .name = program_name(&inner, 0, "kernel"),
             .span = {.lane = program_lane(&inner, "gpu", LANE_KIND_GPU),
                      .reporter_tid = tid,
                      .start_ns = START_NS,
                      .end_ns = START_NS + 1,
                      .origin = origins[i]}},
            {.kind = TARGET_RING_WAIT, .wait = {.begin = origins[i], .end_ns = 99}},
            {.kind = TARGET_RING_COMPLETION, .completion = origins[i]},
        };
        assert_true(program_report(&inner, slots));
    }
    (void)poll();
    static const int64_t tids[] = {0, 0x7ffffff0, 0, 0}, pids[] = {0, 0, 4, 0};
    for (size_t i = 0; i < 4; i++) {
        const struct event *event = next_of(EVENT_SPAN, i);
        int64_t wanted_pid = i < 2 ? getpid() : pids[i];
        int64_t wanted_tid = i == 0 || i == 2 ? (int64_t)tid : tids[i];
        assert_non_null(event);
        assert_int_equal(event->tid, tid);
        assert_int_equal(event->span->origin.pid, wanted_pid);
        assert_int_equal(event->span->origin.tid, wanted_tid);
        assert_int_equal(event->span->details->wait.pid, wanted_pid);
        assert_int_equal(event->span->details->completion.tid, wanted_tid);
    }
    target_ingest_end(target, NOW_NS);
    program_end(&inner);
}

/* Names inside names: outer ones are told first, and what is too deep has no name of its own. */
static void test_nested_names(void **state)
{
    (void)state;
    begin();
    uint32_t lane = program_lane(&program, "nvtx", LANE_KIND_GENERIC), name = 0;
    char text[24];
    for (int depth = 1; depth <= 40; depth++) {
        snprintf(text, sizeof(text), "level %d", depth);
        name = program_name(&program, name, text);
    }
    assert_true(program_span(&program, lane, name, START_NS, START_NS + 1));
    (void)poll();
    uint32_t depth = 0;
    const struct event *event;
    for (; (event = next_of(EVENT_SPAN_NAME, depth)); depth++) {
        snprintf(text, sizeof(text), "level %u", depth + 1);
        assert_int_equal(event->span_name.name, depth + 1);
        if (depth < LIMIT_SPAN_DEPTH) {
            assert_int_equal(event->span_name.parent, depth);
            assert_string_equal(event->span_name.text, text);
        } else {
            assert_int_equal(event->span_name.parent, LIMIT_SPAN_DEPTH - 1);
            assert_string_equal(event->span_name.text, "(other)");
        }
    }
    assert_int_equal(depth, LIMIT_SPAN_DEPTH + 1);
    assert_int_equal(next_of(EVENT_SPAN, 0)->span->name, LIMIT_SPAN_DEPTH + 1);
    target_ingest_end(target, NOW_NS);
}

/* More spans than the consumer takes: they wait in the ring, what the kernel tells finds room, and
 * at the end they are dropped and counted. */
static void test_overload(void **state)
{
    (void)state;
    enum { SPANS = 20000, SLABS = 16 };
    target_ingest_free(target);
    run_ingest_free(ingest);
    make(false, SLABS);
    begin();
    uint32_t lane = program_lane(&program, "gpu", LANE_KIND_GPU);
    uint32_t name = program_name(&program, 0, "kernel");
    for (int i = 0; i < SPANS; i++) {
        assert_true(program_span(&program, lane, name, START_NS, START_NS + 1));
    }
    assert_int_equal(target_ingest_poll(target, NOW_NS), 1);
    assert_int_equal(target_ingest_poll(target, NOW_NS), 1);
    struct event samples[100];
    for (int i = 0; i < 100; i++) {
        samples[i] = (struct event){.kind = EVENT_SAMPLE, .time_ns = NOW_NS, .tid = 7};
    }
    struct event_sink sink = run_ingest_sink(ingest);
    assert_int_equal(sink.on_events(sink.userdata, samples, 100), 0);
    drain();
    assert_in_range(n_all_spans, SLABS / 2 * RUN_INGEST_SLAB_EVENTS, SPANS - 5000);
    assert_int_equal(target_ingest_poll(target, NOW_NS), TARGET_INGEST_POLL_MS);
    drain();
    assert_int_equal(n_all_spans, SPANS);
    for (int i = 0; i < SPANS; i++) {
        assert_true(program_span(&program, lane, name, START_NS, START_NS + 1));
    }
    target_ingest_end(target, NOW_NS);
    run_ingest_end(ingest, NOW_NS);
    drain();
    struct run_ingest_stats stats;
    run_ingest_stats(ingest, &stats);
    assert_int_equal(stats.n_lost, 0);
    assert_true(n_lost[EVENT_SPANS_LOST_QUEUE_FULL] > 0);
    assert_int_equal(n_all_spans + n_lost[EVENT_SPANS_LOST_QUEUE_FULL], 2 * SPANS);
    assert_int_equal(stats.n_spans_lost, n_lost[EVENT_SPANS_LOST_QUEUE_FULL]);
}

/* All names that a program can have, of two programs: each number is told before it is used. */
static void test_many_names(void **state)
{
    (void)state;
    struct program other;
    assert_true(program_begin(&other, PID));
    begin();
    target_ingest_offer(target, other.producer);
    struct program *both[] = {&program, &other};
    static bool is_told[LIMIT_SPAN_NAMES + 1];
    memset(is_told, 0, sizeof(is_told));
    uint32_t n_told = 0;
    for (size_t who = 0; who < 2; who++) {
        uint32_t lane = program_lane(both[who], "flood", LANE_KIND_GENERIC);
        for (uint32_t i = 0; i < TARGET_RING_NAMES + 10; i++) {
            char text[32];
            snprintf(text, sizeof(text), "%zu:%u", who, i);
            assert_true(program_span(both[who], lane, program_name(both[who], 0, text), START_NS,
                                     START_NS));
            if (i % 1000 != 0) {
                continue;
            }
            n_seen = 0;
            (void)poll();
            for (size_t k = 0; k < n_seen; k++) {
                if (seen[k].kind == EVENT_SPAN_NAME) {
                    assert_int_equal(seen[k].span_name.name, ++n_told);
                    assert_true(n_told <= LIMIT_SPAN_NAMES);
                    is_told[n_told] = true;
                } else if (seen[k].kind == EVENT_SPAN) {
                    assert_true(is_told[seen[k].span->name]);
                }
            }
        }
    }
    assert_int_equal(n_told, LIMIT_SPAN_NAMES);
    n_seen = 0;
    assert_true(program_span(&other, program_lane(&other, "flood", LANE_KIND_GENERIC),
                             program_name(&other, 0, "1:65000"), START_NS, START_NS));
    (void)poll();
    assert_int_equal(next_of(EVENT_SPAN, n_seen - 1)->span->name, LIMIT_SPAN_NAMES);
    target_ingest_end(target, NOW_NS);
    program_end(&other);
}

#define WITH_RUN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RUN(test_gate_and_first_span),
        WITH_RUN(test_who_is_recorded),
        WITH_RUN(test_children),
        WITH_RUN(test_program_leaves),
        WITH_RUN(test_times),
        WITH_RUN(test_malformed),
        WITH_RUN(test_counts_of_the_program),
        WITH_RUN(test_details),
        WITH_RUN(test_another_namespace),
        WITH_RUN(test_nested_names),
        WITH_RUN(test_overload),
        WITH_RUN(test_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
