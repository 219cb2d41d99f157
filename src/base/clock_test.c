/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void the_clock_does_not_run_backwards(void **state)
{
    (void)state;
    uint64_t before_ns = clock_now_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now_ns = clock_now_ns();
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
}

static void it_is_the_monotonic_clock_in_nanoseconds(void **state)
{
    (void)state;
    struct timespec raw;
    uint64_t before_ns = clock_now_ns();
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &raw), 0);
    uint64_t raw_ns = (uint64_t)raw.tv_sec * 1000000000u + (uint64_t)raw.tv_nsec;
    uint64_t after_ns = clock_now_ns();
    assert_true(before_ns <= raw_ns && raw_ns <= after_ns);
}

static void wall_time_is_of_this_century(void **state)
{
    (void)state;
    assert_true(clock_now_unix_ns() / NS_PER_S > UINT64_C(946684800));
    assert_true(clock_now_unix_ns() / NS_PER_S < UINT64_C(4102444800));
    assert_true(NS_PER_S == 1000 * NS_PER_MS && NS_PER_MS == 1000 * NS_PER_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_does_not_run_backwards),
        cmocka_unit_test(it_is_the_monotonic_clock_in_nanoseconds),
        cmocka_unit_test(wall_time_is_of_this_century),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
