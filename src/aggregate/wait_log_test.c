/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/wait_log.h"

#define MS UINT64_C(1000000)

static void sums_are_of_a_thread_in_a_stack(void **state)
{
    (void)state;
    struct wait_log log;
    assert_int_equal(wait_log_init(&log), 0);
    uint32_t one = wait_log_find_sum(&log, 1, 10);
    uint32_t other_stack = wait_log_find_sum(&log, 1, 11);
    uint32_t other_thread = wait_log_find_sum(&log, 2, 10);
    assert_int_equal(one, 0);
    assert_int_equal(other_stack, 1);
    assert_int_equal(other_thread, 2);
    assert_int_equal(wait_log_find_sum(&log, 1, 11), other_stack);
    assert_int_equal(log.n_sums, 3);
    assert_int_equal(log.sums[other_thread].thread, 2);
    assert_int_equal(log.sums[other_thread].stack, 10);
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(wait_log_find_sum(&log, 7, 100 + i), 3 + i);
    }
    assert_int_equal(log.sums[one].thread, 1); /* growing keeps what was there */
    assert_int_equal(log.sums[5002].stack, 5099);
    wait_log_release(&log);
}

static void long_waits_are_listed(void **state)
{
    (void)state;
    struct wait_log log;
    assert_int_equal(wait_log_init(&log), 0);
    uint32_t sum = wait_log_find_sum(&log, 1, 10);
    const struct stored_wait waits[] = {
        {.start_ns = 10, .wake_ns = 20, .end_ns = 30, .thread = 1, .stack = 10},
        {.start_ns = 30, .wake_ns = 31, .end_ns = 31 + 2000 * MS, .thread = 1, .stack = 10},
        {.start_ns = 40, .wake_ns = 40 + 1000 * MS, .end_ns = 40 + 1000 * MS, .thread = 1},
        {.start_ns = 50, .wake_ns = 51 + 1000 * MS, .end_ns = 51 + 1000 * MS, .thread = 1},
    };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(wait_log_store(&log, &waits[i], i < 2 ? sum : WAIT_SUM_NONE), 0);
    }
    assert_int_equal(log.waits.n_items, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct stored_wait *wait = chunked_get(&log.waits, i);
        assert_int_equal(wait->start_ns, waits[i].start_ns);
        assert_int_equal(wait->end_ns, waits[i].end_ns);
    }
    assert_int_equal(log.long_waits.n_items, 2); /* a second exactly is not long */
    assert_int_equal(*(const uint64_t *)chunked_get(&log.long_waits, 0), 1);
    assert_int_equal(*(const uint64_t *)chunked_get(&log.long_waits, 1), 3);
    assert_int_equal(log.sums[sum].max_blocked_ns, 10); /* the wait for a CPU is no part of it */
    wait_log_release(&log);
}

static void rows_have_an_end(void **state)
{
    (void)state;
    struct wait_log log;
    assert_int_equal(wait_log_init(&log), 0);
    for (uint32_t i = 0; i < WAIT_SUMS_MAX; i++) {
        assert_int_equal(wait_log_find_sum(&log, i % 64, i), i);
    }
    assert_int_equal(wait_log_find_sum(&log, 64, 1), WAIT_SUM_NONE);
    assert_int_equal(wait_log_find_sum(&log, 1, 65), 65);
    assert_true(wait_log_memory_bytes(&log) >= WAIT_SUMS_MAX * sizeof(struct wait_sums));
    const struct stored_wait wait = {.start_ns = 1, .wake_ns = 5, .end_ns = 9, .thread = 64};
    assert_int_equal(wait_log_store(&log, &wait, WAIT_SUM_NONE), 0);
    assert_int_equal(log.waits.n_items, 1);
    wait_log_release(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_of_a_thread_in_a_stack),
        cmocka_unit_test(long_waits_are_listed),
        cmocka_unit_test(rows_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
