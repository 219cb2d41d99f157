/* SPDX-License-Identifier: MIT */
#include "interchange/export_test.h"
#include "interchange/perfetto_fields.h"
#include "interchange/protobuf_test.h"

#define CPUS_MAX 64

/* What a reader of the trace makes of it. */
struct trace {
    uint64_t n_packets, n_samples, n_begins, n_ends, n_threads;
    uint64_t n_functions, n_frames, n_callstacks;
    uint64_t timebase_ns[CPUS_MAX];                  /* the last count of each CPU */
    uint64_t begun_ns[CPUS_MAX], ended_ns[CPUS_MAX]; /* of the stretch that goes on; of the last */
    uint64_t ran_ns, max_cpu;                        /* of all */
    uint64_t wait_begun_ns, waited_ns;
};

/* Numbers of interned things follow each other, and stacks name frames that there are. */
static void read_interned(struct trace *trace, struct bytes interned)
{
    struct protobuf_field field, inner;
    while (protobuf_next(&interned, &field)) {
        uint64_t iid = protobuf_value(field.bytes, 1);
        if (field.number == INTERNED_FUNCTION_NAMES) {
            assert_int_equal(iid, ++trace->n_functions);
        }
        if (field.number == INTERNED_FRAMES) {
            assert_int_equal(iid, ++trace->n_frames);
            uint64_t function = protobuf_value(field.bytes, FRAME_FUNCTION_NAME_ID);
            assert_in_range(function, 1, trace->n_functions);
        }
        if (field.number == INTERNED_CALLSTACKS) {
            assert_int_equal(iid, ++trace->n_callstacks);
            while (protobuf_next(&field.bytes, &inner)) {
                if (inner.number == CALLSTACK_FRAME_IDS) {
                    assert_in_range(inner.value, 1, trace->n_frames);
                }
            }
        }
    }
}

static void read_switches(struct trace *trace, struct bytes bundle)
{
    struct protobuf_field field, inner;
    uint64_t cpu = protobuf_value(bundle, BUNDLE_CPU);
    assert_true(cpu < CPUS_MAX);
    trace->max_cpu = cpu > trace->max_cpu ? cpu : trace->max_cpu;
    while (protobuf_next(&bundle, &field)) {
        uint64_t time_ns =
            field.number == BUNDLE_EVENT ? protobuf_value(field.bytes, FTRACE_TIMESTAMP) : 0;
        while (field.number == BUNDLE_EVENT && protobuf_next(&field.bytes, &inner)) {
            if (inner.number != FTRACE_SCHED_SWITCH) {
                continue;
            }
            if (protobuf_value(inner.bytes, SWITCH_NEXT_PID) != 0) {
                assert_int_equal(protobuf_value(inner.bytes, SWITCH_PREV_PID), 0);
                assert_true(time_ns >= trace->ended_ns[cpu]); /* one at a time */
                trace->begun_ns[cpu] = time_ns;
            } else {
                assert_true(protobuf_value(inner.bytes, SWITCH_PREV_PID) >= TEST_PID);
                assert_true(time_ns > trace->begun_ns[cpu]);
                trace->ran_ns += time_ns - trace->begun_ns[cpu];
                trace->ended_ns[cpu] = time_ns;
            }
        }
    }
}

static void read_packet(struct trace *trace, struct bytes packet)
{
    uint64_t time_ns = protobuf_value(packet, PACKET_TIMESTAMP);
    uint64_t flags = protobuf_value(packet, PACKET_SEQUENCE_FLAGS);
    struct protobuf_field field;
    assert_int_equal(protobuf_value(packet, PACKET_SEQUENCE_ID), 1);
    assert_int_equal(flags, trace->n_packets == 0 ? SEQUENCE_STATE_CLEARED : SEQUENCE_NEEDS_STATE);
    trace->n_packets++;
    while (protobuf_next(&packet, &field)) {
        if (field.number == PACKET_INTERNED_DATA) {
            read_interned(trace, field.bytes);
        } else if (field.number == PACKET_FTRACE_EVENTS) {
            read_switches(trace, field.bytes);
        } else if (field.number == PACKET_PERF_SAMPLE) {
            uint64_t cpu = protobuf_value(field.bytes, SAMPLE_CPU);
            uint64_t count = protobuf_value(field.bytes, SAMPLE_TIMEBASE_COUNT);
            assert_true(cpu < CPUS_MAX);
            assert_true(time_ns > 0 && count >= trace->timebase_ns[cpu]);
            trace->timebase_ns[cpu] = count;
            assert_in_range(protobuf_value(field.bytes, SAMPLE_CALLSTACK_IID), 1,
                            trace->n_callstacks);
            trace->n_samples++;
        } else if (field.number == PACKET_TRACK_EVENT) {
            bool is_begin = protobuf_value(field.bytes, EVENT_TYPE) == EVENT_TYPE_SLICE_BEGIN;
            trace->n_begins += is_begin;
            trace->n_ends += !is_begin;
            trace->wait_begun_ns = is_begin ? time_ns : trace->wait_begun_ns;
            trace->waited_ns += is_begin ? 0 : time_ns - trace->wait_begun_ns;
        } else if (field.number == PACKET_TRACK_DESCRIPTOR) {
            trace->n_threads += protobuf_value(field.bytes, TRACK_PARENT_UUID) != 0;
        }
    }
}

static struct trace read_trace(struct scene *scene)
{
    size_t n_bytes;
    _cleanup_(freep) char *bytes = export_read(scene, EXPORT_FORMAT_PERFETTO, &n_bytes);
    struct bytes rest = bytes_of(bytes, n_bytes);
    struct protobuf_field field;
    struct trace trace = {0};
    while (protobuf_next(&rest, &field)) {
        assert_int_equal(field.number, TRACE_PACKET);
        read_packet(&trace, field.bytes);
    }
    return trace;
}

static void samples_switches_and_waits_are_those_of_the_run(void **state)
{
    (void)state;
    struct scene scene;
    export_scene_small(&scene);
    struct trace trace = read_trace(&scene);
    assert_int_equal(trace.n_threads, 2);
    assert_int_equal(trace.n_samples, 240);
    assert_int_equal(trace.ran_ns, 260 * TEST_MS);
    assert_int_equal(trace.max_cpu, 1); /* both run on CPU 0 at one time, which cannot be */
    assert_int_equal(trace.n_begins, 2);
    assert_int_equal(trace.n_ends, 2);
    assert_int_equal(trace.waited_ns, 140 * TEST_MS);
    assert_int_equal(trace.timebase_ns[0], 260 * TEST_MS);
    scene_end(&scene);
}

static void the_timebase_counts_all_cpu_time(void **state)
{
    (void)state;
    struct scene scene;
    struct attribution attribution;
    uint64_t sum_ns = 0;
    export_scene_random(&scene, 20000);
    export_attribution(&scene, &attribution);
    struct trace trace = read_trace(&scene);
    for (size_t i = 0; i < CPUS_MAX; i++) {
        sum_ns += trace.timebase_ns[i];
    }
    assert_int_equal(sum_ns, attribution.totals.cpu_ns);
    assert_int_equal(trace.n_samples, attribution.totals.samples);
    assert_int_equal(trace.n_begins, trace.n_ends);
    scene_end(&scene);
}

/* Two threads in turn on one CPU, which begin earlier than the records say, and a pause now and
 * then: what one lacks where the other has just run it gets behind a pause. */
static void switches_that_are_told_late_do_not_overlap(void **state)
{
    (void)state;
    struct scene scene;
    const uint64_t ips[] = {place_in(hash_key, 1)}, lag_ns = 5000;
    uint64_t time_ns = 1000 * TEST_MS, recorded_ns = 0;
    scene_begin(&scene, true, false);
    tell_start(&scene, time_ns - TEST_MS, TEST_PID, "one");
    tell_out(scene.aggregate, time_ns, TEST_PID, true);
    tell_start(&scene, time_ns, TEST_PID + 1, "two");
    tell_out(scene.aggregate, time_ns + TEST_MS, TEST_PID + 1, true);
    time_ns += 2 * TEST_MS;
    for (int i = 0; i < 30; i++) {
        int64_t tid = TEST_PID + i % 2;
        time_ns += i % 5 == 0 ? TEST_MS : 1000;
        tell_in(scene.aggregate, time_ns, tid);
        tell_sample(scene.aggregate, time_ns + TEST_MS, tid, ips, N_IPS(ips));
        tell_out(scene.aggregate, time_ns + 2 * TEST_MS, tid, true);
        time_ns += 2 * TEST_MS;
        recorded_ns += 2 * TEST_MS + lag_ns;
    }
    scene_freeze(&scene, time_ns);
    scene.snapshot->switch_lag_ns = lag_ns;
    struct trace trace = read_trace(&scene);
    assert_int_equal(trace.max_cpu, 0);
    assert_int_equal(trace.ran_ns, recorded_ns + 2 * TEST_MS);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_switches_and_waits_are_those_of_the_run),
        cmocka_unit_test(the_timebase_counts_all_cpu_time),
        cmocka_unit_test(switches_that_are_told_late_do_not_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
