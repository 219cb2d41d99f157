/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jsonrpc/rpc_error.h"

static void codes_have_numbers(void **state)
{
    (void)state;
    assert_int_equal(rpc_error_number("parse_error"), -32700);
    assert_int_equal(rpc_error_number("invalid_request"), -32600);
    assert_int_equal(rpc_error_number("not_found"), -32601);
    assert_int_equal(rpc_error_number("invalid_params"), -32602);
    assert_int_equal(rpc_error_number("internal"), -32603);
    assert_int_equal(rpc_error_number("no_active_run"), -32000);
    assert_int_equal(rpc_error_number(""), -32000);
}

static void an_error_travels(void **state)
{
    (void)state;
    struct error sent;
    struct error arrived;
    struct text text;
    error_set(&sent, "no_such_run", "there is no run %d", 7);
    error_hint(&sent, "stax list \"shows\" them");
    text_init(&text, 4096);
    struct json_writer writer = json_writer_of(&text);
    rpc_error_write(&writer, &sent);
    assert_string_equal(text.data,
                        "{\"code\":-32000,\"message\":\"there is no run 7\",\"data\":"
                        "{\"code\":\"no_such_run\",\"hint\":\"stax list \\\"shows\\\" them\"}}");
    struct json_scan scan = json_scan_of(text.data, text.length_bytes);
    rpc_error_read(&scan, &arrived);
    assert_true(json_scan_end(&scan));
    assert_string_equal(arrived.code, sent.code);
    assert_string_equal(arrived.message, sent.message);
    assert_string_equal(arrived.hint, sent.hint);
    text_release(&text);
}

static void foreign_errors_are_read_as_far_as_they_go(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *code;
        const char *message;
    } cases[] = {
        {"{}", "internal", "the server gave no reason"},
        {"null", "internal", "the server gave no reason"},
        {"{\"message\":\"m\",\"data\":5,\"more\":[{}]}", "internal", "m"},
        {"{\"data\":{\"more\":1,\"code\":\"c\",\"hint\":null},\"message\":1}", "c",
         "the server gave no reason"},
        {"{\"message\":\"cut", "internal", "the server gave no reason"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error error;
        struct json_scan scan = json_scan_of(cases[i].json, strlen(cases[i].json));
        rpc_error_read(&scan, &error);
        assert_string_equal(error.code, cases[i].code);
        assert_string_equal(error.message, cases[i].message);
        assert_string_equal(error.hint, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_numbers),
        cmocka_unit_test(an_error_travels),
        cmocka_unit_test(foreign_errors_are_read_as_far_as_they_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
