/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/capability.h"

static void every_kind_has_its_own_name(void **state)
{
    (void)state;
    for (int kind = 0; kind < CAPABILITY_KIND_N; kind++) {
        const char *name = capability_kind_name((enum capability_kind)kind);
        assert_non_null(name);
        assert_string_not_equal(name, "unknown");
        for (int other = 0; other < kind; other++) {
            assert_string_not_equal(name, capability_kind_name((enum capability_kind)other));
        }
    }
    assert_string_equal(capability_kind_name(CAPABILITY_ON_CPU), "on-cpu");
    assert_string_equal(capability_kind_name(CAPABILITY_OFF_CPU), "off-cpu");
    assert_string_equal(capability_kind_name(CAPABILITY_KERNEL_STACKS), "kernel-stacks");
}

static void a_kind_out_of_range_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(capability_kind_name(CAPABILITY_KIND_N), "unknown");
    assert_string_equal(capability_kind_name((enum capability_kind) - 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_its_own_name),
        cmocka_unit_test(a_kind_out_of_range_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
