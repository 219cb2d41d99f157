/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "aggregate/pending_samples.h"
#include "aggregate/slice_class.h"

static void classes_double(void **state)
{
    (void)state;
    assert_int_equal(slice_class_of(0), 0);
    assert_int_equal(slice_class_of(SLICE_SHORTEST_NS - 1), 0);
    assert_int_equal(slice_class_of(SLICE_SHORTEST_NS), 1);
    assert_int_equal(slice_class_of(200000), 3);
    assert_int_equal(slice_class_of(SLICE_LONG_NS / 2), SLICE_CLASS_LONG - 1);
    assert_int_equal(slice_class_of(SLICE_LONG_NS - 1), SLICE_CLASS_LONG - 1);
    assert_int_equal(slice_class_of(SLICE_LONG_NS), SLICE_CLASS_LONG);
    assert_int_equal(slice_class_of(UINT64_MAX), SLICE_CLASS_LONG);
}

static pending_ticket add(struct pending_samples *pending, uint64_t time_ns, pending_ticket before)
{
    const struct stored_sample sample = {.time_ns = time_ns, .stack = (stack_id)time_ns};
    pending_ticket ticket;
    assert_int_equal(pending_samples_add(pending, &sample, before, &ticket), 0);
    assert_int_not_equal(ticket, 0);
    return ticket;
}

static void assert_taken(struct pending_samples *pending, uint64_t now_ns, bool is_forced,
                         uint64_t time_ns, uint8_t slice_class)
{
    struct stored_sample sample;
    assert_true(pending_samples_take(pending, now_ns, is_forced, &sample));
    assert_int_equal(sample.time_ns, time_ns);
    assert_int_equal(sample.stack, time_ns);
    assert_int_equal(sample.slice_class, slice_class);
}

static void samples_leave_in_the_order_of_their_times(void **state)
{
    (void)state;
    struct pending_samples pending = {0};
    struct stored_sample sample;
    assert_false(pending_samples_take(&pending, UINT64_MAX, true, &sample));
    pending_ticket one = add(&pending, 10, 0);
    pending_ticket other = add(&pending, 20, 0);
    one = add(&pending, 30, one);
    pending_samples_settle(&pending, other, 2);
    assert_false(pending_samples_take(&pending, 40, false, &sample)); /* the oldest still waits */
    struct stored_sample copies[3];
    assert_int_equal(pending_samples_count(&pending), 3);
    pending_samples_copy(&pending, copies);
    assert_int_equal(copies[0].slice_class, SLICE_CLASS_LONG);
    assert_int_equal(copies[1].slice_class, 2);
    assert_int_equal(copies[2].time_ns, 30);
    pending_samples_settle(&pending, one, 4);
    assert_taken(&pending, 40, false, 10, 4);
    assert_taken(&pending, 40, false, 20, 2);
    assert_taken(&pending, 40, false, 30, 4);
    assert_int_equal(pending_samples_count(&pending), 0);
    pending_samples_release(&pending);
}

static void a_long_slice_is_not_waited_for(void **state)
{
    (void)state;
    struct pending_samples pending = {0};
    struct stored_sample sample;
    pending_ticket newest = add(&pending, 10, 0);
    newest = add(&pending, 20, newest);
    assert_false(pending_samples_take(&pending, 9 + SLICE_LONG_NS, false, &sample));
    assert_taken(&pending, 10 + SLICE_LONG_NS, false, 10, SLICE_CLASS_LONG);
    assert_false(pending_samples_take(&pending, 10 + SLICE_LONG_NS, false, &sample));
    pending_samples_settle(&pending, newest, 6); /* the chain leads past the oldest */
    assert_taken(&pending, 10 + SLICE_LONG_NS, false, 20, 6);
    pending_samples_settle(&pending, newest, 1); /* nobody is left */
    newest = add(&pending, 30, 0);
    assert_taken(&pending, 0, true, 30, SLICE_CLASS_LONG);
    pending_samples_settle(&pending, newest, 1);
    pending_samples_release(&pending);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    struct pending_samples pending = {0};
    pending_ticket newest = 0;
    for (uint64_t i = 0; i < PENDING_SAMPLES_MAX; i++) {
        newest = add(&pending, i, newest);
        if (i % 3 == 0 && i < 1000) { /* the ring does not begin at its first slot */
            assert_taken(&pending, i, true, i / 3, SLICE_CLASS_LONG);
        }
    }
    while (pending_samples_count(&pending) < PENDING_SAMPLES_MAX) {
        newest = add(&pending, PENDING_SAMPLES_MAX, newest);
    }
    const struct stored_sample sample = {.time_ns = 1};
    pending_ticket none = 0;
    assert_int_equal(pending_samples_add(&pending, &sample, newest, &none), -ENOSPC);
    assert_int_equal(none, 0);
    assert_true(pending_samples_memory_bytes(&pending) <= PENDING_SAMPLES_MAX * UINT64_C(32));
    pending_samples_settle(&pending, newest, 5);
    for (uint64_t i = 334; i < PENDING_SAMPLES_MAX; i++) {
        assert_taken(&pending, 0, false, i, 5);
    }
    assert_int_equal(pending_samples_count(&pending), 334);
    pending_samples_release(&pending);
    assert_int_equal(pending_samples_memory_bytes(&pending), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_double),
        cmocka_unit_test(samples_leave_in_the_order_of_their_times),
        cmocka_unit_test(a_long_slice_is_not_waited_for),
        cmocka_unit_test(the_queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
