/* SPDX-License-Identifier: MIT */
#include "unwind/copy_wish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/limits.h"

/* How many wishes there were after so many samples. */
static unsigned note(struct copy_wish *wish, unsigned n_samples, uint64_t n_bytes, bool is_short)
{
    const struct copy_wish_need need = {.n_bytes = n_bytes, .is_short = is_short};
    unsigned n_wishes = 0;
    for (unsigned i = 0; i < n_samples; i++) {
        n_wishes += copy_wish_note(wish, &need);
    }
    return n_wishes;
}

static unsigned note_first(struct copy_wish *wish, unsigned n_samples, uint64_t n_bytes)
{
    const struct copy_wish_need need = {.n_bytes = n_bytes, .is_first = true};
    unsigned n_wishes = 0;
    for (unsigned i = 0; i < n_samples; i++) {
        n_wishes += copy_wish_note(wish, &need);
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
    unsigned n_wishes = note(&wish, 100 * COPY_WISH_SAMPLES, 800, false);
    assert_true(n_wishes >= 100 && n_wishes <= 102);
}

/* A wish with windows of full length. */
static struct copy_wish settled(void)
{
    struct copy_wish wish = {0};
    while (wish.window != COPY_WISH_SAMPLES || wish.n_samples > 0) {
        note(&wish, 1, 160, false);
    }
    assert_int_equal(wish.latest_bytes, 170);
    return wish;
}

static void one_sample_in_a_full_window_may_need_more(void **state)
{
    (void)state;
    struct copy_wish wish = settled();
    note(&wish, 10, 160, false);
    note(&wish, 1, 48000, true);
    assert_int_equal(note(&wish, COPY_WISH_SAMPLES - 11, 160, false), 1);
    assert_int_equal(wish.latest_bytes, 170);
    note(&wish, 1, 32000, false);
    note(&wish, 1, 48000, false);
    assert_int_equal(note(&wish, COPY_WISH_SAMPLES - 2, 160, false), 1);
    assert_int_equal(wish.latest_bytes, 34000);
    /* … but not in the first, short one. */
    wish = (struct copy_wish){0};
    note(&wish, 1, 32000, false);
    assert_int_equal(note(&wish, COPY_WISH_FIRST_SAMPLES - 1, 160, false), 1);
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

static void first_samples_of_threads_count_where_they_are_frequent(void **state)
{
    (void)state;
    struct copy_wish wish = {0};
    note_first(&wish, 1, 16000);
    assert_int_equal(note(&wish, COPY_WISH_FIRST_SAMPLES - 1, 160, false), 1);
    assert_int_equal(wish.latest_bytes, 170);
    wish = settled();
    note_first(&wish, COPY_WISH_SAMPLES / 20, 16000);
    note(&wish, COPY_WISH_SAMPLES - COPY_WISH_SAMPLES / 20, 160, false);
    assert_int_equal(wish.latest_bytes, 17000);
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
        cmocka_unit_test(one_sample_in_a_full_window_may_need_more),
        cmocka_unit_test(several_with_too_little_do_not_wait),
        cmocka_unit_test(first_samples_of_threads_count_where_they_are_frequent),
        cmocka_unit_test(it_stays_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
