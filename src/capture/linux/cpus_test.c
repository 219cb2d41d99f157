/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "capture/linux/cpus.h"

static void lists_are_read(void **state)
{
    (void)state;
    const struct {
        const char *list;
        size_t n_cpus;
        uint32_t cpus[8];
    } cases[] = {
        {"0", 1, {0}},
        {"0\n", 1, {0}},
        {"0-3\n", 4, {0, 1, 2, 3}},
        {"0-3,8\n", 5, {0, 1, 2, 3, 8}},
        {"2,4-5,7", 4, {2, 4, 5, 7}},
        {"5-5", 1, {5}},
        {"65535", 1, {65535}},
        {"0,", 1, {0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _cleanup_(freep) uint32_t *cpus = NULL;
        size_t n_cpus = 0;
        assert_int_equal(cpus_parse(cases[i].list, &cpus, &n_cpus), 0);
        assert_int_equal(n_cpus, cases[i].n_cpus);
        for (size_t k = 0; k < n_cpus; k++) {
            assert_int_equal(cpus[k], cases[i].cpus[k]);
        }
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "",      "\n",      ",",   "-",     "-1",    "1-",   "1--2",
        "3-1",   "a",       "0-a", "0,,1",  "0 1",   " 0",   "0x1",
        "65536", "0-65536", "+1",  "0-3;5", "0-1-2", "1,-2", "99999999999999999999999",
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        uint32_t untouched = 7, *cpus = &untouched;
        size_t n_cpus = 77;
        if (cpus_parse(lists[i], &cpus, &n_cpus) != -EBADMSG) {
            fail_msg("'%s' is accepted", lists[i]);
        }
        assert_ptr_equal(cpus, &untouched);
        assert_int_equal(n_cpus, 77);
    }
}

static void a_list_that_repeats_itself_is_bounded(void **state)
{
    (void)state;
    _cleanup_(freep) uint32_t *cpus = NULL;
    size_t n_cpus = 0;
    assert_int_equal(cpus_parse("0-65535,0-65535,0-65535", &cpus, &n_cpus), 0);
    assert_int_equal(n_cpus, 65536);
    assert_int_equal(cpus[65535], 65535);
}

static void this_machine_has_cpus(void **state)
{
    (void)state;
    _cleanup_(freep) uint32_t *cpus = NULL;
    size_t n_cpus = 0;
    assert_int_equal(cpus_online(&cpus, &n_cpus), 0);
    assert_int_equal(n_cpus, sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 1; i < n_cpus; i++) {
        assert_true(cpus[i] > cpus[i - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_list_that_repeats_itself_is_bounded),
        cmocka_unit_test(this_machine_has_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
