/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "query/path_sums.h"

static void add(struct path_sums *sums, struct path_sum_key key, uint64_t duration_ns)
{
    assert_int_equal(path_sums_add(sums, &key, duration_ns), 0);
}

static void equal_keys_are_one_row(void **state)
{
    (void)state;
    _cleanup_(path_sums_releasep) struct path_sums sums;
    path_sums_init(&sums);
    char same_text[] = "futex_wait"; /* elsewhere in memory */
    const struct path_sum_key wait = {
        .thread = 1, .other = 2, .kind = WHY_KIND_WAIT, .what = "futex_wait", .image = "[kernel]"};
    struct path_sum_key key = wait;
    add(&sums, key, 10);
    key.what = same_text;
    add(&sums, key, 30);
    assert_int_equal(sums.n_sums, 1);
    assert_int_equal(sums.sums[0].total_ns, 40);
    assert_int_equal(sums.sums[0].max_ns, 30);
    assert_int_equal(sums.sums[0].count, 2);

    /* Whatever differs makes another row. */
    key.what = NULL;
    add(&sums, key, 1);
    key = wait;
    key.image = NULL;
    add(&sums, key, 1);
    key = wait;
    key.thread = 2;
    add(&sums, key, 1);
    key = wait;
    key.other = 1;
    add(&sums, key, 1);
    key = wait;
    key.kind = WHY_KIND_RUN;
    add(&sums, key, 1);
    key = wait;
    key.reason = WAIT_REASON_LOCK;
    add(&sums, key, 1);
    key = wait;
    key.is_birth = true;
    add(&sums, key, 1);
    assert_int_equal(sums.n_sums, 8);
    add(&sums, wait, 2);
    assert_int_equal(sums.n_sums, 8);
}

static void the_largest_comes_first(void **state)
{
    (void)state;
    _cleanup_(path_sums_releasep) struct path_sums sums;
    path_sums_init(&sums);
    static char names[500][24];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(names[i], sizeof(names[i]), "function %d", i);
            add(&sums, (struct path_sum_key){.what = names[i]}, (uint64_t)(i * 7919 % 500));
        }
    }
    assert_int_equal(sums.n_sums, 500);
    path_sums_sort(&sums);
    for (size_t i = 0; i < 500; i++) {
        assert_int_equal(sums.sums[i].count, 3);
        assert_int_equal(sums.sums[i].total_ns, 3 * (499 - i));
    }
}

static void nothing_can_be_sorted(void **state)
{
    (void)state;
    _cleanup_(path_sums_releasep) struct path_sums sums;
    path_sums_init(&sums);
    path_sums_sort(&sums);
    assert_int_equal(sums.n_sums, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_keys_are_one_row),
        cmocka_unit_test(the_largest_comes_first),
        cmocka_unit_test(nothing_can_be_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
