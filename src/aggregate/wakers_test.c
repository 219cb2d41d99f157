/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/wakers.h"

static int set_up(void **state)
{
    static struct wakers wakers;
    *state = &wakers;
    return wakers_init(&wakers);
}

static int tear_down(void **state)
{
    wakers_release(*state);
    return 0;
}

static void outsiders_have_one_number_and_their_newest_name(void **state)
{
    struct wakers *wakers = *state;
    waker_id shell = wakers_outsider(wakers, 4000);
    waker_id other = wakers_outsider(wakers, 4001);
    assert_int_equal(shell, WAKER_ID_OUTSIDER | 0);
    assert_int_equal(other, WAKER_ID_OUTSIDER | 1);
    assert_int_equal(wakers_outsider(wakers, 4000), shell);
    assert_int_equal(wakers_get_outsider(wakers, other).tid, 4001);
    assert_string_equal(wakers_get_outsider(wakers, other).name, "");
    wakers_name_outsider(wakers, 4000, "bash");
    struct outsider before = wakers_get_outsider(wakers, shell);
    wakers_name_outsider(wakers, 4000, "sleep");
    wakers_name_outsider(wakers, 5000, "late");
    assert_string_equal(before.name, "bash"); /* whoever has read it may keep it */
    assert_string_equal(wakers_get_outsider(wakers, shell).name, "sleep");
    assert_string_equal(wakers_get_outsider(wakers, wakers_outsider(wakers, 5000)).name, "late");
    assert_int_equal(wakers->outsiders.n_items, 3);
}

static void there_is_an_end_to_outsiders(void **state)
{
    struct wakers *wakers = *state;
    for (int64_t tid = 1; tid <= OUTSIDERS_MAX; tid++) {
        assert_int_not_equal(wakers_outsider(wakers, tid), WAKER_ID_UNKNOWN);
    }
    assert_int_equal(wakers->n_turned_away, 0);
    assert_int_equal(wakers_outsider(wakers, OUTSIDERS_MAX + 1), WAKER_ID_UNKNOWN);
    assert_int_equal(wakers->n_turned_away, 1);
    wakers_name_outsider(wakers, OUTSIDERS_MAX + 1, "one too many");
    assert_int_equal(wakers_outsider(wakers, 7), WAKER_ID_OUTSIDER | 6);
    assert_true(wakers_memory_bytes(wakers) > OUTSIDERS_MAX * 16);
}

static void serials_are_those_of_a_thread(void **state)
{
    struct wakers *wakers = *state;
    assert_int_equal(wakers_find_stack(wakers, 0, 0), STACK_ID_EMPTY);
    wakers_remember(wakers, 3, 1, 77);
    wakers_remember(wakers, 4, 1, 78);
    wakers_remember(wakers, 3, 2, 79);
    assert_int_equal(wakers_find_stack(wakers, 3, 1), 77);
    assert_int_equal(wakers_find_stack(wakers, 4, 1), 78);
    assert_int_equal(wakers_find_stack(wakers, 3, 2), 79);
    assert_int_equal(wakers_find_stack(wakers, 4, 2), STACK_ID_EMPTY);
    wakers_remember(wakers, 3, 2, 80); /* told anew */
    assert_int_equal(wakers_find_stack(wakers, 3, 2), 80);
    /* Of what was told last, none takes another's place. */
    for (uint32_t i = 1; i <= 8000; i++) {
        wakers_remember(wakers, i % 13, i, i);
        uint32_t oldest = i > RECENT_WAKER_STACKS / 64 ? i - RECENT_WAKER_STACKS / 64 : 1;
        assert_int_equal(wakers_find_stack(wakers, oldest % 13, oldest), oldest);
    }
    /* Nothing is ever taken for something else, however many there are. */
    for (uint32_t i = 1; i <= 4 * RECENT_WAKER_STACKS; i++) {
        wakers_remember(wakers, i % 100, i, 100 + i);
    }
    size_t n_known = 0;
    for (uint32_t i = 1; i <= 4 * RECENT_WAKER_STACKS; i++) {
        stack_id stack = wakers_find_stack(wakers, i % 100, i);
        assert_true(stack == STACK_ID_EMPTY || stack == 100 + i);
        n_known += stack != STACK_ID_EMPTY;
    }
    assert_in_range(n_known, RECENT_WAKER_STACKS / 2, RECENT_WAKER_STACKS);
    assert_int_equal(
        wakers_find_stack(wakers, 4 * RECENT_WAKER_STACKS % 100, 4 * RECENT_WAKER_STACKS),
        100 + 4 * RECENT_WAKER_STACKS);
}

static void rows_are_of_waker_wakee_and_stack(void **state)
{
    struct wakers *wakers = *state;
    uint32_t one = wakers_find_sum(wakers, 1, 2, 3);
    assert_int_equal(wakers_find_sum(wakers, 1, 2, 3), one);
    assert_int_not_equal(wakers_find_sum(wakers, 2, 1, 3), one);
    assert_int_not_equal(wakers_find_sum(wakers, 1, 2, 4), one);
    assert_int_not_equal(wakers_find_sum(wakers, 1, 3, 3), one);
    uint32_t nobody = wakers_find_sum(wakers, WAKER_ID_NONE, 2, STACK_ID_EMPTY);
    assert_int_equal(wakers->n_sums, 5);
    for (uint32_t i = 0; i < 3000; i++) {
        wakers_find_sum(wakers, 10 + i % 3, i, i / 2);
    }
    assert_int_equal(wakers->n_sums, 3005);
    assert_int_equal(wakers->sums[nobody].waker, WAKER_ID_NONE);
    assert_int_equal(wakers->sums[nobody].wakee, 2);
    assert_int_equal(wakers->sums[one].waker_stack, 3);
    assert_int_equal(wakers->sums[one].n_wakeups, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outsiders_have_one_number_and_their_newest_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(there_is_an_end_to_outsiders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(serials_are_those_of_a_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_are_of_waker_wakee_and_stack, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
