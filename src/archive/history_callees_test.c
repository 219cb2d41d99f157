/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/history_callees.h"

static struct history_callee told(struct history_callees *callees, size_t caller, frame_id frame)
{
    struct history_callee callee;
    assert_int_equal(history_callees_tell(callees, caller, frame, &callee), 0);
    return callee;
}

static void what_came_last_is_told_by_its_place(void **state)
{
    (void)state;
    struct history_callees callees = {0};
    struct history_callee first = told(&callees, 0, 0);
    assert_int_equal(first.rank, HISTORY_CALLEES_OTHER);
    assert_int_equal(first.away, 0); /* the next new one */
    assert_int_equal(told(&callees, 0, 1).away, 0);
    assert_int_equal(told(&callees, 0, 1).rank, 0);
    assert_int_equal(told(&callees, 0, 0).rank, 1);
    assert_int_equal(told(&callees, 0, 0).rank, 0);
    /* Behind another caller nothing is known of them. */
    struct history_callee elsewhere = told(&callees, 5000, 0);
    assert_int_equal(elsewhere.rank, HISTORY_CALLEES_OTHER);
    assert_int_equal(elsewhere.away, 4); /* two below the next new one */
    /* One more than are remembered. */
    for (frame_id frame = 10; frame < 10 + HISTORY_CALLEES_RECENT; frame++) {
        told(&callees, 0, frame);
    }
    assert_int_equal(told(&callees, 0, 0).rank, HISTORY_CALLEES_OTHER);
    history_callees_release(&callees);
}

static void what_is_told_is_found(void **state)
{
    (void)state;
    struct history_callees teller = {0}, finder = {0};
    uint64_t random = 3;
    for (unsigned int i = 0; i < 100000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t caller = random >> 40 & 1023;
        frame_id frame = (frame_id)((caller * 7 + (random >> 20 & 31)) % 3000);
        frame = i % 1000 == 0 ? (frame_id)(random >> 38) : frame;
        frame_id found;
        struct history_callee callee = told(&teller, caller, frame);
        assert_int_equal(history_callees_find(&finder, caller, callee, &found), 0);
        assert_int_equal(found, frame);
    }
    history_callees_release(&teller);
    history_callees_release(&finder);
}

/* Nothing has come there so far: any number will do, as long as nothing breaks. */
static void a_place_that_is_empty_gives_no_frame(void **state)
{
    (void)state;
    struct history_callees callees = {0};
    frame_id frame;
    assert_int_equal(history_callees_find(&callees, 3, (struct history_callee){.rank = 2}, &frame),
                     0);
    assert_int_equal(frame, UINT32_MAX);
    history_callees_release(&callees);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_last_is_told_by_its_place),
        cmocka_unit_test(what_is_told_is_found),
        cmocka_unit_test(a_place_that_is_empty_gives_no_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
