/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/method_table.h"

/* What schema/ promises is answered by somebody, and nothing is answered that it does not know. */
static void test_table_and_schema_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < rpc_n_methods; i++) {
        const struct method_entry *entry = method_table_find(rpc_methods[i].name);
        if (!entry || !entry->handler) {
            fail_msg("%s has no handler", rpc_methods[i].name);
        }
    }
    static const char *const known[] = {"profile.top", "run.start", "run.wait", "subscribe",
                                        "rpc.discover"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_non_null(rpc_method_find(known[i]));
        assert_non_null(method_table_find(known[i]));
    }
}

static void test_unknown(void **state)
{
    (void)state;
    assert_null(method_table_find(""));
    assert_null(method_table_find("profile"));
    assert_null(method_table_find("profile.top "));
    assert_null(method_table_find("PROFILE.TOP"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_and_schema_agree),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
