/* SPDX-License-Identifier: MIT */
#include "unwind/copy_wish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/limits.h"

/* How many wishes there were after so many samples. */
static unsigned note(struct copy_wish *wish, unsigned n_samples, uint64_t needed, bool is_short)
{
    unsigned n_wishes = 0;
    for (unsigned i = 0; i < n_samples; i++) {
        n_wishes += copy_wish_note(wish, needed, is_short);
    }
    return n_wishes;
}

static void it_is_told_soon_and_then_now_and_then(void **state)
{
    (void)state;
    struct copy_wish wish = {0};
    assert_int_equal(note(&wish, COPY_WISH_FIRST_SAMPLES - 1, 1600, false), 0);
    assert_int_equal(note(&wish, 1, 1600, false), 1);
    assert_int_equal(wish.latest_bytes, 1700);
    assert_int_equal(note(&wish, 2 * COPY_WISH_FIRST_SAMPLES - 1, 800, false), 0);
    assert_int_equal(wish.latest_bytes, 1700);
    assert_int_equal(note(&wish, 1, 800, false), 1);
    assert_int_equal(wish.latest_bytes, 850);
    assert_int_equal(note(&wish, 100 * COPY_WISH_SAMPLES, 800, false), 101);
}

/* A wish with windows of full length. */
static struct copy_wish settled(void)
{
    struct copy_wish wish = {0};
    while (wish.window != COPY_WISH_SAMPLES) {
        note(&wish, 1, 160, false);
    }
    assert_int_equal(wish.latest_bytes, 170);
    return wish;
}

static void few_samples_in_a_window_may_have_too_little(void **state)
{
    (void)state;
    const unsigned n_outliers = COPY_WISH_SAMPLES / COPY_WISH_PER_OUTLIER;
    struct copy_wish wish = settled();
    note(&wish, 10, 160, false);
    note(&wish, n_outliers, 48000, true);
    assert_int_equal(note(&wish, COPY_WISH_SAMPLES - 10 - n_outliers, 160, false), 1);
    assert_int_equal(wish.latest_bytes, 170);
    note(&wish, 1, 32000, false);
    note(&wish, n_outliers, 48000, true);
    assert_int_equal(note(&wish, COPY_WISH_SAMPLES - 1 - n_outliers, 160, false), 1);
    assert_int_equal(wish.latest_bytes, 34000);
}

static void several_with_too_little_do_not_wait(void **state)
{
    (void)state;
    struct copy_wish wish = settled();
    note(&wish, 100, 100, false);
    assert_int_equal(note(&wish, COPY_WISH_SHORT - 1, 3200, true), 0);
    assert_int_equal(note(&wish, 1, 3200, true), 1);
    assert_int_equal(wish.latest_bytes, 3400);
    assert_int_equal(wish.n_samples, 0);
    assert_int_equal(wish.n_short, 0);
}

static void it_stays_within_bounds(void **state)
{
    (void)state;
    struct copy_wish wish = {0};
    note(&wish, COPY_WISH_FIRST_SAMPLES, 0, false);
    assert_int_equal(wish.latest_bytes, COPY_WISH_MIN_BYTES);
    note(&wish, COPY_WISH_SAMPLES, UINT64_MAX, false);
    assert_int_equal(wish.latest_bytes, LIMIT_STACK_COPY_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_told_soon_and_then_now_and_then),
        cmocka_unit_test(few_samples_in_a_window_may_have_too_little),
        cmocka_unit_test(several_with_too_little_do_not_wait),
        cmocka_unit_test(it_stays_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
