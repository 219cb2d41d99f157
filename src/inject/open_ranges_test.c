/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "inject/open_ranges.h"

static struct open_key key_of(uint64_t owner, uint64_t i)
{
    return (struct open_key){.words = {owner, i, i >> 3, 7}};
}

static struct range range_of(uint64_t start_ns)
{
    return (struct range){.span = {.start_ns = start_ns}};
}

static void a_range_is_found_by_its_whole_key(void **state)
{
    (void)state;
    struct range range = range_of(5), found;
    struct open_key key = key_of(1, 2), other = key_of(1, 3);
    assert_false(open_ranges_take(&key, &found));
    assert_false(open_ranges_any());
    assert_true(open_ranges_put(&key, &range));
    assert_true(open_ranges_any());
    assert_false(open_ranges_take(&other, &found));
    assert_true(open_ranges_take(&key, &found));
    assert_int_equal(found.span.start_ns, 5);
    assert_false(open_ranges_take(&key, &found));
}

static void the_same_key_may_be_open_twice(void **state)
{
    (void)state;
    struct range first = range_of(5), second = range_of(6), found;
    struct open_key key = key_of(1, 2);
    assert_true(open_ranges_put(&key, &first));
    assert_true(open_ranges_put(&key, &second));
    uint64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        assert_true(open_ranges_take(&key, &found));
        sum += found.span.start_ns;
    }
    assert_int_equal(sum, 11);
    assert_false(open_ranges_take(&key, &found));
}

static void one_too_many_is_refused_and_all_others_are_found(void **state)
{
    (void)state;
    struct range range = range_of(1), found;
    size_t n_put = 0;
    static bool is_put[2 * OPEN_RANGES_MAX];
    for (size_t i = 0; i < 2 * OPEN_RANGES_MAX; i++) {
        struct open_key key = key_of(9, i);
        range.span.start_ns = i + 1;
        is_put[i] = open_ranges_put(&key, &range);
        n_put += is_put[i];
    }
    assert_in_range(n_put, OPEN_RANGES_MAX / 2, OPEN_RANGES_MAX);
    for (size_t i = 0; i < 2 * OPEN_RANGES_MAX; i++) {
        struct open_key key = key_of(9, i);
        assert_int_equal(open_ranges_take(&key, &found), is_put[i]);
        assert_true(!is_put[i] || found.span.start_ns == i + 1);
    }
}

static void a_cleared_table_is_empty_and_takes_again(void **state)
{
    (void)state;
    struct range range = range_of(5), found;
    struct open_key key = key_of(1, 2);
    assert_true(open_ranges_put(&key, &range));
    open_ranges_clear();
    assert_false(open_ranges_take(&key, &found));
    assert_true(open_ranges_put(&key, &range));
    assert_true(open_ranges_take(&key, &found));
}

#define THREADS 4
#define ROUNDS 20000

/* Each opens and closes its own: none may be lost, taken by another, or be torn. */
static void *open_and_close(void *userdata)
{
    uint64_t own = (uint64_t)(uintptr_t)userdata;
    uint64_t n_wrong = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct open_key key = key_of(own, i % 5);
        struct range range = range_of(own << 32 | i), found;
        n_wrong += !open_ranges_put(&key, &range);
        n_wrong += !open_ranges_take(&key, &found) || found.span.start_ns != (own << 32 | i);
    }
    return (void *)(uintptr_t)n_wrong;
}

static void threads_do_not_take_each_others(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *n_wrong;
        assert_int_equal(pthread_join(threads[i], &n_wrong), 0);
        assert_null(n_wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_found_by_its_whole_key),
        cmocka_unit_test(the_same_key_may_be_open_twice),
        cmocka_unit_test(one_too_many_is_refused_and_all_others_are_found),
        cmocka_unit_test(a_cleared_table_is_empty_and_takes_again),
        cmocka_unit_test(threads_do_not_take_each_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
