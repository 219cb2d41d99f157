/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "capture/event_merge.h"

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % bound);
}

/*
 * What came out. Events carry (source, number) as pid and tid, and parts whose
 * content follows from the two, so that a part of another event is noticed.
 */
struct received {
    uint64_t last_ns, until_ns;
    uint64_t n_events;
    int64_t next_number[8]; /* by source */
    int answer;
    unsigned int n_calls;
};

static void check_parts(const struct event *event)
{
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), "/part/%d/%d", (int)event->pid, (int)event->tid);
    switch (event->kind) {
    case EVENT_SAMPLE:
        assert_int_equal(event->stack.n_ips, 1 + event->tid % 5);
        for (uint32_t i = 0; i < event->stack.n_ips; i++) {
            assert_int_equal(event->stack.ips[i],
                             (uint64_t)event->pid << 32 | (uint64_t)event->tid << 8 | i);
        }
        assert_int_equal(event->stack.copy != NULL, event->tid % 3 == 0);
        if (event->stack.copy) {
            assert_int_equal(event->stack.copy->sp, event->tid);
            assert_int_equal(event->stack.copy->n_bytes, event->tid % 97);
            for (uint32_t i = 0; i < event->stack.copy->n_bytes; i++) {
                assert_int_equal(event->stack.copy->bytes[i], (uint8_t)(event->tid + i));
            }
        }
        break;
    case EVENT_IMAGE:
        assert_string_equal(event->image->path, wanted);
        break;
    case EVENT_THREAD:
        assert_string_equal(event->thread.name, wanted);
        break;
    default:
        fail();
    }
}

static int on_events(void *userdata, const struct event *events, size_t n_events)
{
    struct received *received = userdata;
    received->n_calls++;
    assert_true(n_events > 0);
    for (size_t i = 0; i < n_events; i++) {
        assert_true(events[i].time_ns >= received->last_ns);
        assert_true(events[i].time_ns <= received->until_ns);
        received->last_ns = events[i].time_ns;
        assert_int_equal(events[i].tid, received->next_number[events[i].pid]);
        received->next_number[events[i].pid]++;
        check_parts(&events[i]);
    }
    received->n_events += n_events;
    return received->answer;
}

static void add_event(struct event_merge *merge, int source, int number, uint64_t time_ns)
{
    struct event_batch *batch = event_merge_batch(merge, (size_t)source);
    assert_true(event_batch_has_room(batch));
    char text[64];
    (void)snprintf(text, sizeof(text), "/part/%d/%d", source, number);
    struct event event = {.time_ns = time_ns, .pid = source, .tid = number};
    uint64_t ips[5];
    uint8_t stack[97];
    for (int i = 0; i < 97; i++) {
        stack[i] = (uint8_t)(number + i);
    }
    const struct event_stack_copy copy = {
        .sp = (uint64_t)number, .bytes = stack, .n_bytes = (uint32_t)number % 97};
    struct event_image image = {.change = EVENT_IMAGE_MAPPED, .path = text};
    switch (number % 7) {
    case 3:
        event.kind = EVENT_IMAGE;
        event.image = &image;
        break;
    case 5:
        event.kind = EVENT_THREAD;
        event.thread.change = EVENT_THREAD_NAMED;
        event.thread.name = text;
        break;
    default:
        event.kind = EVENT_SAMPLE;
        event.stack.ips = ips;
        event.stack.n_ips = 1 + (uint32_t)number % 5;
        event.stack.copy = number % 3 == 0 ? &copy : NULL;
        for (uint32_t i = 0; i < 5; i++) {
            ips[i] = (uint64_t)source << 32 | (uint64_t)number << 8 | i;
        }
    }
    assert_true(event_batch_add_deep(batch, &event));
}

static void random_sources_come_out_in_order(void **state)
{
    (void)state;
    for (int n_sources = 1; n_sources <= 8; n_sources++) {
        _cleanup_(event_merge_freep) struct event_merge *merge = NULL;
        assert_int_equal(event_merge_new((size_t)n_sources, &merge), 0);
        struct received received = {0};
        const struct event_sink sink = {.userdata = &received, .on_events = on_events};
        uint64_t clock_ns[8] = {0};
        int n_made[8] = {0};
        uint64_t n_total = 0;
        for (uint64_t round = 1; round <= 60; round++) {
            /* Each source goes on from where it was, some far ahead of what is delivered. */
            uint64_t until_ns = round * 1000;
            for (int source = 0; source < n_sources; source++) {
                uint64_t ahead_ns = random_below(4) == 0 ? 5000 : 500;
                while (clock_ns[source] < until_ns + ahead_ns) {
                    clock_ns[source] += 1 + random_below(100);
                    add_event(merge, source, n_made[source]++, clock_ns[source]);
                    n_total++;
                }
            }
            received.until_ns = until_ns;
            assert_int_equal(event_merge_deliver(merge, until_ns, &sink), 0);
        }
        assert_true(received.n_events < n_total);
        received.until_ns = UINT64_MAX;
        assert_int_equal(event_merge_deliver(merge, UINT64_MAX, &sink), 0);
        assert_int_equal(received.n_events, n_total);
        assert_int_equal(event_merge_delivered(merge), n_total);
        assert_int_equal(event_merge_late(merge), 0);
        for (int source = 0; source < n_sources; source++) {
            assert_int_equal(received.next_number[source], n_made[source]);
        }
    }
}

static void the_last_instant_is_included(void **state)
{
    (void)state;
    _cleanup_(event_merge_freep) struct event_merge *merge = NULL;
    assert_int_equal(event_merge_new(2, &merge), 0);
    struct received received = {.until_ns = 10};
    const struct event_sink sink = {.userdata = &received, .on_events = on_events};
    add_event(merge, 0, 0, 10);
    add_event(merge, 0, 1, 11);
    add_event(merge, 1, 0, 9);
    add_event(merge, 1, 1, 10);
    assert_int_equal(event_merge_deliver(merge, 8, &sink), 0);
    assert_int_equal(received.n_calls, 0);
    assert_int_equal(event_merge_deliver(merge, 10, &sink), 0);
    assert_int_equal(received.n_events, 3);
    received.until_ns = 11;
    assert_int_equal(event_merge_deliver(merge, 11, &sink), 0);
    assert_int_equal(received.n_events, 4);
}

/* The rest of a round must survive that its storage is filled anew, many times over. */
static void what_is_left_survives_rounds(void **state)
{
    (void)state;
    _cleanup_(event_merge_freep) struct event_merge *merge = NULL;
    assert_int_equal(event_merge_new(2, &merge), 0);
    struct received received = {.until_ns = UINT64_MAX};
    const struct event_sink sink = {.userdata = &received, .on_events = on_events};
    const uint64_t far_ns = 1000000;
    int n_early = 0;
    for (int i = 0; i < 10; i++) {
        add_event(merge, 1, i, far_ns + (uint64_t)i);
    }
    for (uint64_t round = 1; round <= 50; round++) {
        for (int i = 0; i < 2000; i++) {
            add_event(merge, 0, n_early++, round * 100);
        }
        received.until_ns = round * 100;
        assert_int_equal(event_merge_deliver(merge, round * 100, &sink), 0);
        assert_int_equal(received.n_events, n_early);
        assert_int_equal(event_batch_count(event_merge_batch(merge, 0)), 0);
        assert_int_equal(event_batch_count(event_merge_batch(merge, 1)), 10);
        if (round % 2 == 0) { /* part of a batch is delivered, part stays */
            int source = 1;
            received.until_ns = round * 100;
            add_event(merge, 0, n_early++, round * 100);
            add_event(merge, 0, n_early++, round * 100 + 50);
            assert_int_equal(event_merge_deliver(merge, round * 100, &sink), 0);
            assert_int_equal(event_batch_count(event_merge_batch(merge, 0)), 1);
            received.until_ns = round * 100 + 50;
            assert_int_equal(event_merge_deliver(merge, round * 100 + 50, &sink), 0);
            assert_int_equal(event_batch_count(event_merge_batch(merge, (size_t)source)), 10);
        }
    }
    received.until_ns = UINT64_MAX;
    assert_int_equal(event_merge_deliver(merge, UINT64_MAX, &sink), 0);
    assert_int_equal(received.next_number[1], 10);
    assert_int_equal(event_merge_late(merge), 0);
}

static void what_comes_late_is_moved_and_counted(void **state)
{
    (void)state;
    _cleanup_(event_merge_freep) struct event_merge *merge = NULL;
    assert_int_equal(event_merge_new(2, &merge), 0);
    struct received received = {.until_ns = 100};
    const struct event_sink sink = {.userdata = &received, .on_events = on_events};
    add_event(merge, 0, 0, 100);
    assert_int_equal(event_merge_deliver(merge, 100, &sink), 0);
    add_event(merge, 1, 0, 40);
    add_event(merge, 1, 1, 60);
    add_event(merge, 1, 2, 100); /* of the same instant: not late */
    assert_int_equal(event_merge_deliver(merge, 100, &sink), 0);
    assert_int_equal(received.n_events, 4);
    assert_int_equal(received.last_ns, 100);
    assert_int_equal(event_merge_late(merge), 2);
    assert_int_equal(event_merge_delivered(merge), 4);
}

static void a_refusal_is_passed_on_and_nothing_comes_twice(void **state)
{
    (void)state;
    _cleanup_(event_merge_freep) struct event_merge *merge = NULL;
    assert_int_equal(event_merge_new(1, &merge), 0);
    struct received received = {.until_ns = UINT64_MAX, .answer = -ECANCELED};
    const struct event_sink sink = {.userdata = &received, .on_events = on_events};
    for (int i = 0; i < 5000; i++) { /* more than are handed over at once */
        add_event(merge, 0, i, (uint64_t)i);
    }
    assert_int_equal(event_merge_deliver(merge, 4998, &sink), -ECANCELED);
    assert_true(received.n_calls > 1);
    assert_int_equal(received.n_events, 4999);
    received.answer = 0;
    assert_int_equal(event_merge_deliver(merge, 5000, &sink), 0);
    assert_int_equal(received.n_events, 5000);
}

static void free_accepts_nothing(void **state)
{
    (void)state;
    assert_null(event_merge_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sources_come_out_in_order),
        cmocka_unit_test(the_last_instant_is_included),
        cmocka_unit_test(what_is_left_survives_rounds),
        cmocka_unit_test(what_comes_late_is_moved_and_counted),
        cmocka_unit_test(a_refusal_is_passed_on_and_nothing_comes_twice),
        cmocka_unit_test(free_accepts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
