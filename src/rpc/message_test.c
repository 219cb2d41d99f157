/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/requests.h"
#include "rpc/message.h"
#include "rpc/service.h"
#include "rpc/tables.h"

static void assert_text(struct text *text, const char *expected)
{
    assert_string_equal(text->data, expected);
    assert_false(text->is_cut);
    text_clear(text);
}

static void documents_are_lines(void **state)
{
    (void)state;
    struct text text;
    struct error error;
    const struct subscription subscription = {.subscription = 4};
    const struct run_request run = {.run = 2};
    text_init(&text, 10000);

    message_result(&text, "\"x\"", NULL, NULL);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n");
    message_result(&text, "1", &rpc_type_subscription, &subscription);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"subscription\":4}}\n");
    message_result_json(&text, "1", "[1]", 3);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[1]}\n");

    error_set(&error, "invalid_params", "limit: no");
    message_error(&text, "null", &error);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32602,"
                       "\"message\":\"limit: no\",\"data\":{\"code\":\"invalid_params\"}}}\n");

    message_update(&text, 4, 9, &rpc_type_run_request, &run);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":{\"subscription\":4,"
                       "\"sequence\":9,\"result\":{\"run\":2}}}\n");
    message_update_json(&text, 4, 10, "{}", 2);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":{\"subscription\":4,"
                       "\"sequence\":10,\"result\":{}}}\n");

    message_request(&text, 7, "run.list", NULL, NULL);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"run.list\"}\n");
    message_request(&text, 8, "run.stop", &rpc_type_run_request, &run);
    assert_text(&text, "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"run.stop\","
                       "\"params\":{\"run\":2}}\n");
    text_release(&text);
}

static void a_text_that_is_too_small_says_so(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 20);
    message_result(&text, "1", NULL, NULL);
    assert_true(text.is_cut);
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_lines),
        cmocka_unit_test(a_text_that_is_too_small_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
