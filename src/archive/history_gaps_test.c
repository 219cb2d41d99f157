/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/history_gaps.h"

static void add(struct history_gaps *gaps, thread_id thread, uint64_t start_ns, uint64_t end_ns,
                enum gap_kind before)
{
    const struct stored_slice slice = {
        .start_ns = start_ns, .end_ns = end_ns, .thread = thread, .before = (uint8_t)before};
    assert_int_equal(history_gaps_add_slice(gaps, &slice), 0);
}

/* Waits at [10, 20), [30, 40), [60, 70) of thread 0 and [5, 32) of thread 1. */
static void make(struct history_gaps *gaps)
{
    *gaps = (struct history_gaps){0};
    assert_int_equal(history_gaps_add_thread(gaps, 10), 0);
    assert_int_equal(history_gaps_add_thread(gaps, 5), 0);
    add(gaps, 0, 20, 30, GAP_BLOCKED);
    add(gaps, 1, 32, 40, GAP_BLOCKED);
    add(gaps, 0, 40, 50, GAP_BLOCKED);
    add(gaps, 0, 55, 60, GAP_RUNNABLE);
    add(gaps, 0, 70, 80, GAP_BLOCKED);
    add(gaps, 7, 70, 80, GAP_BLOCKED); /* of no thread */
}

static uint8_t tell(struct history_gaps *gaps, thread_id thread, uint64_t start_ns, uint64_t end_ns)
{
    const struct stored_wait wait = {.thread = thread, .start_ns = start_ns, .end_ns = end_ns};
    return history_gaps_tell(gaps, &wait);
}

static void waits_are_told_by_the_gap_that_they_are(void **state)
{
    (void)state;
    struct history_gaps gaps;
    make(&gaps);
    assert_int_equal(tell(&gaps, 0, 10, 20), 1);
    assert_int_equal(tell(&gaps, 0, 10, 20), 0); /* it is taken */
    assert_int_equal(tell(&gaps, 1, 5, 33), 0);
    assert_int_equal(tell(&gaps, 1, 5, 32), 1);
    assert_int_equal(tell(&gaps, 1, 40, 50), 0);
    assert_int_equal(tell(&gaps, 0, 60, 70), 2); /* past one */
    assert_int_equal(tell(&gaps, 0, 30, 40), 0); /* which is gone */
    assert_int_equal(tell(&gaps, 2, 30, 40), 0);
    history_gaps_release(&gaps);
}

static void what_is_told_is_taken(void **state)
{
    (void)state;
    struct history_gaps gaps;
    struct history_gap gap;
    make(&gaps);
    assert_true(history_gaps_take(&gaps, 0, 1, &gap));
    assert_int_equal(gap.start_ns, 10);
    assert_int_equal(gap.end_ns, 20);
    assert_false(history_gaps_take(&gaps, 0, 3, &gap));
    assert_true(history_gaps_take(&gaps, 0, 2, &gap));
    assert_int_equal(gap.start_ns, 60);
    assert_int_equal(gap.end_ns, 70);
    assert_false(history_gaps_take(&gaps, 0, 1, &gap));
    assert_true(history_gaps_take(&gaps, 1, 1, &gap));
    assert_int_equal(gap.start_ns, 5);
    assert_false(history_gaps_take(&gaps, 2, 1, &gap));
    history_gaps_release(&gaps);
}

static void no_wait_looks_too_far_ahead(void **state)
{
    (void)state;
    struct history_gaps gaps = {0};
    assert_int_equal(history_gaps_add_thread(&gaps, 0), 0);
    for (uint64_t i = 1; i <= 600; i++) {
        add(&gaps, 0, 10 * i, 10 * i + 5, GAP_BLOCKED);
    }
    assert_int_equal(tell(&gaps, 0, 3995, 4000), 0);
    assert_int_equal(tell(&gaps, 0, 2495, 2500), HISTORY_GAPS_AHEAD);
    assert_int_equal(tell(&gaps, 0, 3995, 4000), 150);
    history_gaps_release(&gaps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_are_told_by_the_gap_that_they_are),
        cmocka_unit_test(what_is_told_is_taken),
        cmocka_unit_test(no_wait_looks_too_far_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
