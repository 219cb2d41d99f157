/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "server/run_ingest.h"

static bool never(void *userdata)
{
    (void)userdata;
    return false;
}

static bool always(void *userdata)
{
    (void)userdata;
    return true;
}

static struct run_ingest *make(size_t n_slabs, bool waits_for_room)
{
    const struct run_ingest_config config = {.n_slabs = n_slabs, .waits_for_room = waits_for_room};
    struct run_ingest *ingest = NULL;
    assert_int_equal(run_ingest_new(&config, &ingest), 0);
    return ingest;
}

static struct event sample(uint64_t time_ns, const uint64_t *ips, size_t n_ips)
{
    return (struct event){
        .kind = EVENT_SAMPLE,
        .time_ns = time_ns,
        .tid = 7,
        .stack = {.ips = ips, .n_ips = (uint32_t)n_ips},
    };
}

static void push(struct run_ingest *ingest, const struct event *event)
{
    struct event_sink sink = run_ingest_sink(ingest);
    assert_int_equal(sink.on_events(sink.userdata, event, 1), 0);
}

/* What an event points to is the slab's own copy. */
static void test_deep_copies(void **state)
{
    (void)state;
    struct run_ingest *ingest = make(0, false);
    uint64_t ips[3] = {1, 2, 3};
    char name[] = "worker", path[] = "/bin/true";
    struct event_image image = {.change = EVENT_IMAGE_MAPPED, .end_ip = 9, .path = path};
    const struct event events[] = {
        sample(10, ips, 3),
        {.kind = EVENT_THREAD,
         .time_ns = 11,
         .thread = {.change = EVENT_THREAD_NAMED, .name = name}},
        {.kind = EVENT_IMAGE, .time_ns = 12, .image = &image},
    };
    struct event_sink sink = run_ingest_sink(ingest);
    assert_int_equal(sink.on_events(sink.userdata, events, 3), 0);
    memset(ips, 0xff, sizeof(ips));
    memset(name, 'x', sizeof(name) - 1);
    memset(path, 'x', sizeof(path) - 1);
    memset(&image, 0xff, sizeof(image));

    struct run_slab *slab = run_ingest_next(ingest);
    assert_non_null(slab);
    assert_int_equal(event_batch_count(slab->batch), 3);
    assert_int_equal(slab->complete_until_ns, 12);
    assert_int_equal(event_batch_get(slab->batch, 0)->stack.ips[2], 3);
    assert_string_equal(event_batch_get(slab->batch, 1)->thread.name, "worker");
    assert_string_equal(event_batch_get(slab->batch, 2)->image->path, "/bin/true");
    assert_int_equal(event_batch_get(slab->batch, 2)->image->end_ip, 9);
    run_ingest_return(ingest, slab);
    assert_null(run_ingest_next(ingest));
    run_ingest_free(ingest);
}

/* The largest stack copies go on in the next slab when one is full of them. */
static void test_stacks_fill_slabs(void **state)
{
    (void)state;
    enum { SENT = 60 };
    static uint8_t stack[LIMIT_STACK_COPY_BYTES];
    struct run_ingest *ingest = make(0, false);
    const uint64_t ip = 1;
    struct event events[SENT];
    struct event_stack_copy copies[SENT];
    for (uint64_t i = 0; i < SENT; i++) {
        copies[i] = (struct event_stack_copy){.sp = i, .bytes = stack, .n_bytes = sizeof(stack)};
        events[i] = sample(10 + i, &ip, 1);
        events[i].stack.copy = &copies[i];
    }
    memset(stack, 0x5a, sizeof(stack));
    struct event_sink sink = run_ingest_sink(ingest);
    assert_int_equal(sink.on_events(sink.userdata, events, SENT), 0);
    memset(stack, 0, sizeof(stack));
    run_ingest_end(ingest, 0);
    uint64_t n_samples = 0, n_slabs = 0;
    bool is_over = false;
    while (!is_over) {
        struct run_slab *slab = run_ingest_next(ingest);
        is_over = slab->is_last;
        n_slabs++;
        for (size_t i = 0; i < event_batch_count(slab->batch); i++) {
            const struct event *event = event_batch_get(slab->batch, i);
            assert_int_equal(event->kind, EVENT_SAMPLE);
            assert_int_equal(event->stack.copy->sp, n_samples++);
            assert_int_equal(event->stack.copy->n_bytes, LIMIT_STACK_COPY_BYTES);
            assert_int_equal(event->stack.copy->bytes[0], 0x5a);
            assert_int_equal(event->stack.copy->bytes[LIMIT_STACK_COPY_BYTES - 1], 0x5a);
        }
        run_ingest_return(ingest, slab);
    }
    struct run_ingest_stats stats;
    run_ingest_stats(ingest, &stats);
    assert_int_equal(n_samples, SENT);
    assert_int_equal(stats.n_lost, 0);
    assert_true(n_slabs > 4);
    run_ingest_free(ingest);
}

/* Fills the pool while nobody takes anything; then counts what arrives. */
static void test_drops_are_counted_and_told(void **state)
{
    (void)state;
    enum { SENT = 20000 };
    struct run_ingest *ingest = make(8, false);
    uint64_t ip = 1;
    for (uint64_t i = 0; i < SENT; i++) {
        struct event event = sample(1000 + i, &ip, 1);
        push(ingest, &event);
    }
    struct run_ingest_stats stats;
    run_ingest_stats(ingest, &stats);
    assert_in_range(stats.n_lost, SENT - 8 * RUN_INGEST_SLAB_EVENTS, SENT - 4);

    uint64_t n_samples = 0, n_told = 0, latest_ns = 0;
    struct run_slab *slab;
    run_ingest_end(ingest, 0);
    bool is_over = false;
    while (!is_over) {
        slab = run_ingest_next(ingest);
        is_over = slab->is_last;
        for (size_t i = 0; i < event_batch_count(slab->batch); i++) {
            const struct event *event = event_batch_get(slab->batch, i);
            assert_true(event->time_ns >= latest_ns);
            latest_ns = event->time_ns;
            n_samples += event->kind == EVENT_SAMPLE;
            if (event->kind == EVENT_LOST) {
                assert_int_equal(event->lost.cause, EVENT_LOST_QUEUE_FULL);
                n_told += event->lost.count;
            }
        }
        run_ingest_return(ingest, slab);
    }
    assert_int_equal(n_samples + stats.n_lost, SENT);
    assert_int_equal(n_told, stats.n_lost);
    run_ingest_free(ingest);
}

/* When samples are dropped already, switches and threads still find room. */
static void test_samples_go_first(void **state)
{
    (void)state;
    struct run_ingest *ingest = make(16, false);
    struct run_ingest_stats before, after;
    uint64_t ip = 1;
    uint64_t time_ns = 1;
    do {
        struct event event = sample(time_ns++, &ip, 1);
        push(ingest, &event);
        run_ingest_stats(ingest, &before);
    } while (before.n_lost == 0);
    for (int i = 0; i < 1000; i++) {
        struct event event = {.kind = EVENT_SWITCH_OUT, .time_ns = time_ns++};
        push(ingest, &event);
    }
    run_ingest_stats(ingest, &after);
    assert_int_equal(after.n_lost, before.n_lost);
    run_ingest_free(ingest);
}

static void test_room_comes_back(void **state)
{
    (void)state;
    struct run_ingest *ingest = make(4, false);
    uint64_t ips[LIMIT_STACK_IPS] = {0};
    struct run_ingest_stats stats;
    for (uint64_t i = 0; i < 10000; i++) {
        struct event event = sample(i, ips, LIMIT_STACK_IPS);
        push(ingest, &event);
        struct run_slab *slab = run_ingest_next(ingest);
        assert_non_null(slab);
        assert_int_equal(event_batch_get(slab->batch, 0)->time_ns, i);
        run_ingest_return(ingest, slab);
    }
    run_ingest_stats(ingest, &stats);
    assert_int_equal(stats.n_lost, 0);
    assert_int_equal(stats.n_pushed, 10000);
    run_ingest_free(ingest);
}

static void test_progress(void **state)
{
    (void)state;
    struct run_ingest *ingest = make(4, false);
    run_ingest_progress(ingest, 100 * NS_PER_MS);
    struct run_slab *slab = run_ingest_next(ingest);
    assert_non_null(slab);
    assert_int_equal(event_batch_count(slab->batch), 0);
    assert_int_equal(slab->complete_until_ns, 100 * NS_PER_MS);
    run_ingest_return(ingest, slab);
    run_ingest_progress(ingest, 105 * NS_PER_MS); /* too soon to be worth a wakeup */
    assert_null(run_ingest_next(ingest));
    run_ingest_progress(ingest, 120 * NS_PER_MS);
    slab = run_ingest_next(ingest);
    assert_int_equal(slab->complete_until_ns, 120 * NS_PER_MS);
    run_ingest_return(ingest, slab);

    /* The end never comes before what has been told. */
    run_ingest_end(ingest, 0);
    slab = run_ingest_wait(ingest, never, NULL);
    assert_true(slab->is_last);
    assert_int_equal(slab->complete_until_ns, 120 * NS_PER_MS);
    assert_null(run_ingest_wait(ingest, always, NULL));
    run_ingest_free(ingest);
}

enum { STREAM = 300000 };

static void *produce(void *userdata)
{
    struct run_ingest *ingest = userdata;
    struct event_sink sink = run_ingest_sink(ingest);
    uint64_t ips[16] = {0};
    struct event events[7];
    for (uint64_t i = 0; i < STREAM;) {
        size_t n_events = 0;
        for (; n_events < 7 && i < STREAM; n_events++, i++) {
            events[n_events] = sample(i, ips, 1 + i % 16);
        }
        sink.on_events(sink.userdata, events, n_events);
        if (i % 1001 == 0) {
            run_ingest_progress(ingest, i);
        }
    }
    run_ingest_end(ingest, 0);
    return NULL;
}

/* Across threads: a producer that waits for room loses nothing, and order is kept. */
static void test_two_threads(void **state)
{
    (void)state;
    struct run_ingest *ingest = make(4, true);
    pthread_t producer;
    uint64_t next = 0;
    bool is_over = false;
    assert_int_equal(pthread_create(&producer, NULL, produce, ingest), 0);
    while (!is_over) {
        struct run_slab *slab = run_ingest_next(ingest);
        if (!slab) {
            slab = run_ingest_wait(ingest, never, NULL);
        }
        if (!slab) {
            continue;
        }
        is_over = slab->is_last;
        for (size_t i = 0; !is_over && i < event_batch_count(slab->batch); i++) {
            const struct event *event = event_batch_get(slab->batch, i);
            assert_int_equal(event->time_ns, next);
            assert_int_equal(event->stack.n_ips, 1 + next % 16);
            next++;
        }
        run_ingest_return(ingest, slab);
    }
    pthread_join(producer, NULL);
    assert_int_equal(next, STREAM);
    struct run_ingest_stats stats;
    run_ingest_stats(ingest, &stats);
    assert_int_equal(stats.n_lost, 0);
    run_ingest_free(ingest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stacks_fill_slabs),
        cmocka_unit_test(test_deep_copies),
        cmocka_unit_test(test_drops_are_counted_and_told),
        cmocka_unit_test(test_samples_go_first),
        cmocka_unit_test(test_room_comes_back),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
