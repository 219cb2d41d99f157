/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "interchange/perf_data_order.h"

/* A record whose type says which one it is. */
static void add(struct perf_data_order *order, uint32_t number, uint64_t time_ns)
{
    uint8_t bytes[16] = {0};
    memcpy(bytes, &number, sizeof(number));
    const struct perf_data_record record = {
        .bytes = bytes, .n_bytes = 8 + number % 2 * 8, .type = number, .event = number * 3};
    assert_int_equal(perf_data_order_add(order, &record, time_ns), 0);
}

static uint32_t take(struct perf_data_order *order, uint64_t *ret_time_ns)
{
    struct perf_data_record record;
    if (!perf_data_order_take(order, &record, ret_time_ns)) {
        return 0;
    }
    assert_int_equal(record.event, record.type * 3);
    assert_int_equal(record.n_bytes, 8 + record.type % 2 * 8);
    return record.type;
}

static void test_rounds(void **state)
{
    (void)state;
    struct perf_data_order order;
    uint64_t time_ns;
    perf_data_order_init(&order);
    /* Two rings of one round, then what a later round has from before its mark. */
    add(&order, 1, 10);
    add(&order, 3, 30);
    add(&order, 2, 20);
    perf_data_order_end_round(&order);
    assert_int_equal(take(&order, &time_ns), 0);
    add(&order, 4, 25);
    add(&order, 5, 40);
    perf_data_order_end_round(&order);
    assert_int_equal(take(&order, &time_ns), 1);
    assert_int_equal(time_ns, 10);
    assert_int_equal(take(&order, &time_ns), 2);
    assert_int_equal(take(&order, &time_ns), 4);
    assert_int_equal(take(&order, &time_ns), 3);
    assert_int_equal(take(&order, &time_ns), 0);
    add(&order, 6, 35);
    perf_data_order_end(&order);
    assert_int_equal(take(&order, &time_ns), 6);
    assert_int_equal(take(&order, &time_ns), 5);
    assert_int_equal(take(&order, &time_ns), 0);
    perf_data_order_release(&order);
}

/* Of one time the order of the file stands; what has no time comes first. */
static void test_equal_times(void **state)
{
    (void)state;
    struct perf_data_order order;
    uint64_t time_ns;
    perf_data_order_init(&order);
    add(&order, 1, 50);
    add(&order, 2, 50);
    add(&order, 3, 0);
    add(&order, 4, 50);
    perf_data_order_end(&order);
    assert_int_equal(take(&order, &time_ns), 3);
    assert_int_equal(take(&order, &time_ns), 1);
    assert_int_equal(take(&order, &time_ns), 2);
    assert_int_equal(take(&order, &time_ns), 4);
    perf_data_order_release(&order);
}

/* Without marks memory stays bounded, and what comes out is in order all the same. */
static void test_without_marks(void **state)
{
    (void)state;
    struct perf_data_order order;
    uint64_t time_ns, latest_ns = 0, n_taken = 0;
    perf_data_order_init(&order);
    order.max_bytes = 4096;
    for (uint32_t i = 1; i <= 20000; i++) {
        add(&order, i, 1000 + (uint64_t)i * 10 + (i % 7) * 3);
        while (take(&order, &time_ns) != 0) {
            assert_true(time_ns >= latest_ns);
            latest_ns = time_ns;
            n_taken++;
        }
        assert_true(order.n_bytes + order.n_entries * 24 <= order.max_bytes + 64);
    }
    perf_data_order_end(&order);
    while (take(&order, &time_ns) != 0) {
        assert_true(time_ns >= latest_ns);
        latest_ns = time_ns;
        n_taken++;
    }
    assert_int_equal(n_taken, 20000);
    perf_data_order_release(&order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_equal_times),
        cmocka_unit_test(test_without_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
