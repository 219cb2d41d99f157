/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/code_epoch.h"
#include "base/clock.h"

#define MS NS_PER_MS

static _Atomic uint64_t n_reused;

static struct code_epochs *make(void)
{
    struct code_epochs *epochs;
    n_reused = 0;
    assert_int_equal(code_epochs_new(&n_reused, &epochs), 0);
    return epochs;
}

static void test_none_before_the_first(void **state)
{
    (void)state;
    _cleanup_(code_epochs_freep) struct code_epochs *epochs = make();
    assert_int_equal(code_epochs_now(epochs, 7, 100 * MS), 0);
    assert_int_equal(code_epochs_count(epochs), 0);
    uint32_t first = code_epochs_begin(epochs, 7, 100 * MS);
    assert_int_not_equal(first, 0);
    assert_int_equal(code_epochs_now(epochs, 7, 150 * MS), first);
    assert_int_equal(code_epochs_now(epochs, 8, 150 * MS), 0);
    assert_int_equal(code_epochs_get(epochs, first)->pid, 7);
    assert_int_equal(code_epochs_get(epochs, first)->from_ns, 100 * MS);
    assert_int_equal(code_epochs_get(epochs, first)->to_ns, 0);
}

/* Processes do not share epochs: the same address is other code in each. */
static void test_each_process_has_its_own(void **state)
{
    (void)state;
    _cleanup_(code_epochs_freep) struct code_epochs *epochs = make();
    uint32_t one = code_epochs_begin(epochs, 7, 100 * MS);
    uint32_t other = code_epochs_begin(epochs, 8, 100 * MS);
    assert_int_not_equal(one, other);
    assert_int_equal(code_epochs_begin(epochs, 7, 110 * MS), one);
    assert_int_equal(code_epochs_begin(epochs, 8, 110 * MS), other);
}

static void test_a_replacement_begins_one_soon(void **state)
{
    (void)state;
    _cleanup_(code_epochs_freep) struct code_epochs *epochs = make();
    uint32_t first = code_epochs_begin(epochs, 7, 100 * MS);
    n_reused++;
    assert_int_equal(code_epochs_now(epochs, 7, 105 * MS), first); /* not with every look */
    uint32_t second = code_epochs_now(epochs, 7, 130 * MS);
    assert_int_not_equal(second, first);
    assert_int_equal(code_epochs_get(epochs, first)->to_ns, 130 * MS);
    assert_int_equal(code_epochs_get(epochs, second)->from_ns, 130 * MS);
    assert_int_equal(code_epochs_now(epochs, 7, 160 * MS), second);
    code_epochs_cut(epochs, 7, 170 * MS); /* exec */
    assert_int_not_equal(code_epochs_now(epochs, 7, 170 * MS), second);
}

/* An hour without news takes hundreds of epochs, not tens of thousands. */
static void test_their_number_stays_small(void **state)
{
    (void)state;
    _cleanup_(code_epochs_freep) struct code_epochs *epochs = make();
    (void)code_epochs_begin(epochs, 7, 0);
    for (uint64_t ms = 0; ms < 3600 * 1000; ms += 10) {
        (void)code_epochs_now(epochs, 7, ms * MS);
    }
    assert_in_range(code_epochs_count(epochs), 100, 300);
    uint32_t quiet = code_epochs_count(epochs);
    for (uint64_t ms = 3600 * 1000; ms < 3600 * 1000 + 60 * 1000; ms += 10) {
        n_reused++;
        (void)code_epochs_now(epochs, 7, ms * MS);
    }
    assert_in_range(code_epochs_count(epochs) - quiet, 2, 10);
    assert_true(code_epochs_memory_bytes(epochs) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_before_the_first),
        cmocka_unit_test(test_each_process_has_its_own),
        cmocka_unit_test(test_a_replacement_begins_one_soon),
        cmocka_unit_test(test_their_number_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
