/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "capture/fake/fake_stream.h"

#define N_EVENTS 64
#define START_NS UINT64_C(5000000000)

/* What a reader of the stream works out from it. */
struct tally {
    uint64_t n_samples, n_out, n_in, n_preempted, n_images, n_present, n_gone;
    uint64_t cpu_ns; /* by adding up ins and outs */
    uint64_t last_ns, digest;
    struct hash_table stacks;
    uint64_t n_stacks, n_hottest;
    uint64_t running[64]; /* by CPU: the tid, 0 for none */
    uint64_t since_ns[64];
};

static void tally_switch(struct tally *tally, const struct event *event)
{
    assert_true(event->cpu < 64);
    if (event->kind == EVENT_SWITCH_IN) {
        assert_int_equal(tally->running[event->cpu], 0);
        tally->running[event->cpu] = (uint64_t)event->tid;
        tally->since_ns[event->cpu] = event->time_ns;
        tally->n_in++;
    } else {
        assert_int_equal(tally->running[event->cpu], event->tid);
        tally->running[event->cpu] = 0;
        tally->cpu_ns += event->time_ns - tally->since_ns[event->cpu];
        tally->n_out++;
        tally->n_preempted += event->is_preempted;
    }
}

static void tally_sample(struct tally *tally, const struct event *event)
{
    assert_true(event->stack.n_ips > 0);
    assert_int_equal(tally->running[event->cpu], event->tid);
    uint64_t stack = hash_bytes(event->stack.ips, event->stack.n_ips * sizeof(*event->stack.ips));
    uint32_t seen = hash_table_find(&tally->stacks, stack);
    seen = seen == HASH_TABLE_NONE ? 1 : seen + 1;
    assert_int_equal(hash_table_set(&tally->stacks, stack, seen), 0);
    tally->n_hottest = seen > tally->n_hottest ? seen : tally->n_hottest;
    tally->n_samples++;
    tally->digest = hash_u64(tally->digest ^ stack);
}

static void tally_events(struct tally *tally, const struct event *events, size_t n_events)
{
    for (size_t i = 0; i < n_events; i++) {
        const struct event *event = &events[i];
        assert_true(event->time_ns >= tally->last_ns);
        tally->last_ns = event->time_ns;
        tally->digest = hash_u64(tally->digest ^ event->time_ns ^ (uint64_t)event->kind << 60 ^
                                 (uint64_t)event->tid << 40);
        switch (event->kind) {
        case EVENT_SAMPLE:
            tally_sample(tally, event);
            break;
        case EVENT_SWITCH_IN:
        case EVENT_SWITCH_OUT:
            tally_switch(tally, event);
            break;
        case EVENT_IMAGE:
            assert_true(event->image->end_ip > event->image->start_ip);
            tally->n_images++;
            break;
        case EVENT_THREAD:
            tally->n_present += event->thread.change == EVENT_THREAD_PRESENT;
            tally->n_gone += event->thread.change == EVENT_THREAD_GONE;
            break;
        default:
            fail_msg("unexpected kind %d", event->kind);
        }
    }
}

static void play(const char *text, struct tally *ret_tally)
{
    struct fake_script script;
    assert_int_equal(fake_script_parse(text, &script, NULL), 0);
    _cleanup_(fake_stream_freep) struct fake_stream *stream = NULL;
    assert_int_equal(fake_stream_new(&script, START_NS, &stream), 0);
    struct event events[N_EVENTS];
    size_t n_events;
    *ret_tally = (struct tally){0};
    hash_table_init(&ret_tally->stacks);
    while (!fake_stream_is_played(stream)) {
        n_events = fake_stream_next(stream, events, N_EVENTS, UINT64_MAX);
        assert_true(n_events > 0);
        tally_events(ret_tally, events, n_events);
    }
    assert_int_equal(fake_stream_next(stream, events, N_EVENTS, UINT64_MAX), 0);
    while ((n_events = fake_stream_finish(stream, events, N_EVENTS)) > 0) {
        tally_events(ret_tally, events, n_events);
    }
    ret_tally->n_stacks = ret_tally->stacks.n_used;
    hash_table_release(&ret_tally->stacks);
}

static void test_truth_by_arithmetic(void **state)
{
    (void)state;
    struct tally tally;
    play("samples=20000,threads=9,cpus=3,stacks=500,depth=12,switches=7000,images=4,"
         "duration_ns=2000000000",
         &tally);
    assert_int_equal(tally.n_samples, 20000);
    assert_int_equal(tally.n_present, 9);
    assert_int_equal(tally.n_gone, 9);
    assert_int_equal(tally.n_images, 4);
    assert_int_equal(tally.n_in, 7000 + 3);
    assert_int_equal(tally.n_out, 7000 + 3);
    assert_int_equal(tally.n_preempted, 3500);
    /* Three CPUs were never idle for two seconds. */
    assert_int_equal(tally.cpu_ns, UINT64_C(3) * 2000000000);
    assert_int_equal(tally.last_ns, START_NS + UINT64_C(2000000000));
    /* Skewed: nearly all stacks occur, one of nine octaves is a single stack. */
    assert_in_range(tally.n_stacks, 400, 500);
    assert_in_range(tally.n_hottest, 20000 / 12, 20000 / 6);
}

static void test_same_seed_same_stream(void **state)
{
    (void)state;
    struct tally first, second, other;
    play("samples=3000,seed=5", &first);
    play("samples=3000,seed=5", &second);
    play("samples=3000,seed=6", &other);
    assert_int_equal(first.digest, second.digest);
    assert_int_not_equal(first.digest, other.digest);
}

static void test_corners(void **state)
{
    (void)state;
    struct tally tally;
    play("samples=0", &tally);
    assert_int_equal(tally.n_samples, 0);
    assert_int_equal(tally.n_gone, 8);
    play("samples=10,threads=1,stacks=1,depth=1,functions=1,images=1,switches=1000", &tally);
    assert_int_equal(tally.n_samples, 10);
    assert_int_equal(tally.n_out, 1001);
    assert_int_equal(tally.n_stacks, 1);
    assert_int_equal(tally.n_hottest, 10);
    play("samples=100,switches=0,threads=50,cpus=5,depth=500,kernel_depth=3,stacks=4G", &tally);
    assert_int_equal(tally.n_out, 5);
}

static void test_at_most_max_samples(void **state)
{
    (void)state;
    struct fake_script script;
    assert_int_equal(fake_script_parse("samples=100,switches=0,threads=1,images=1", &script, NULL),
                     0);
    _cleanup_(fake_stream_freep) struct fake_stream *stream = NULL;
    assert_int_equal(fake_stream_new(&script, START_NS, &stream), 0);
    struct event events[N_EVENTS];
    assert_int_equal(fake_stream_next(stream, events, N_EVENTS, 0), 3);
    assert_int_equal(fake_stream_next(stream, events, N_EVENTS, 0), 0);
    assert_int_equal(fake_stream_next(stream, events, N_EVENTS, 7), 7);
    assert_int_equal(fake_stream_samples(stream), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth_by_arithmetic),
        cmocka_unit_test(test_same_seed_same_stream),
        cmocka_unit_test(test_corners),
        cmocka_unit_test(test_at_most_max_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
