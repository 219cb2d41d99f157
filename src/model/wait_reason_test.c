/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/wait_reason.h"

static void the_names_are_those_of_the_documentation(void **state)
{
    (void)state;
    static const char *const names[] = {"idle", "lock",  "sem",   "ipc",  "ioR",
                                        "ioW",  "ready", "sleep", "conn", "other"};
    assert_int_equal(sizeof(names) / sizeof(names[0]), WAIT_REASON_N);
    for (int reason = 0; reason < WAIT_REASON_N; reason++) {
        assert_string_equal(wait_reason_name((enum wait_reason)reason), names[reason]);
    }
    assert_string_equal(wait_reason_name(WAIT_REASON_N), "unknown");
    assert_string_equal(wait_reason_name((enum wait_reason) - 1), "unknown");
}

static void a_name_is_parsed_in_any_case(void **state)
{
    (void)state;
    for (int reason = 0; reason < WAIT_REASON_N; reason++) {
        enum wait_reason parsed = WAIT_REASON_N;
        assert_true(wait_reason_parse(wait_reason_name((enum wait_reason)reason), &parsed));
        assert_int_equal(parsed, reason);
    }
    enum wait_reason parsed = WAIT_REASON_N;
    assert_true(wait_reason_parse("IOR", &parsed));
    assert_int_equal(parsed, WAIT_REASON_IO_R);
    assert_true(wait_reason_parse("iow", &parsed));
    assert_int_equal(parsed, WAIT_REASON_IO_W);
    assert_true(wait_reason_parse("Lock", &parsed));
    assert_int_equal(parsed, WAIT_REASON_LOCK);
}

static void what_is_no_name_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL, "", "io", "ioRW", "lock ", " lock", "unknown"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        enum wait_reason parsed = WAIT_REASON_N;
        assert_false(wait_reason_parse(wrong[i], &parsed));
        assert_int_equal(parsed, WAIT_REASON_N);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_are_those_of_the_documentation),
        cmocka_unit_test(a_name_is_parsed_in_any_case),
        cmocka_unit_test(what_is_no_name_is_refused_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
