/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "jsonrpc/request.h"

static const struct json_limits limits = {.max_bytes = 1 << 20, .max_nesting = 32};

static int parse(const char *json, struct jsonrpc_request *request, struct error *error)
{
    *error = (struct error){.code = ""};
    return jsonrpc_request_parse(json, strlen(json), &limits, request, error);
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    struct jsonrpc_request request;
    struct error error;
    assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a.b\",\"params\":{\"x\":1}}",
                           &request, &error),
                     0);
    assert_string_equal(request.id, "7");
    assert_string_equal(request.method, "a.b");
    assert_false(request.is_notification);
    assert_int_equal(json_integer_value(json_object_get(request.params, "x")), 1);
    jsonrpc_request_release(&request);
    jsonrpc_request_release(&request);
}

static void ids_come_back_as_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *kept; /* NULL: refused */
    } cases[] = {
        {"0", "0"},
        {"-5", "-5"},
        {"9223372036854775807", "9223372036854775807"},
        {"\"\"", "\"\""},
        {"\"a\\\"b\"", "\"a\\\"b\""},
        {"null", "null"},
        {"1.5", NULL},
        {"true", NULL},
        {"[1]", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char json[200];
        struct jsonrpc_request request;
        struct error error;
        snprintf(json, sizeof(json), "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":%s}",
                 cases[i].given);
        assert_int_equal(parse(json, &request, &error), cases[i].kept ? 0 : -EINVAL);
        assert_string_equal(request.id, cases[i].kept ? cases[i].kept : "null");
        assert_false(request.is_notification);
        jsonrpc_request_release(&request);
    }
}

static void the_longest_id_fits(void **state)
{
    (void)state;
    char id[64 * 6 + 1] = "";
    char json[600];
    struct jsonrpc_request request;
    struct error error;
    for (size_t i = 0; i < 64; i++) {
        memcpy(id + i * 6, "\\u0001", 7);
    }
    snprintf(json, sizeof(json), "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"%s\"}", id);
    assert_int_equal(parse(json, &request, &error), 0);
    assert_int_equal(strlen(request.id), sizeof(id) - 1 + 2);
    jsonrpc_request_release(&request);
    snprintf(json, sizeof(json), "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"%sx\"}", id);
    assert_int_equal(parse(json, &request, &error), -EINVAL);
}

static void without_id_it_is_a_notification(void **state)
{
    (void)state;
    struct jsonrpc_request request;
    struct error error;
    assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", &request, &error), 0);
    assert_true(request.is_notification);
    assert_null(request.params);
    jsonrpc_request_release(&request);
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *id;
        const char *message;
    } cases[] = {
        {"[]", "null", "batches"},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}]", "null", "batches"},
        {"1", "null", "a JSON object"},
        {"{}", "null", "jsonrpc"},
        {"{\"id\":1,\"method\":\"m\"}", "1", "jsonrpc"},
        {"{\"jsonrpc\":\"1.0\",\"id\":\"x\",\"method\":\"m\"}", "\"x\"", "jsonrpc"},
        {"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"m\"}", "1", "jsonrpc"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1}", "1", "method"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", "1", "method"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[1]}", "1", "params"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":null}", "1", "params"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\""
         "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\"}",
         "1", "too long"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct jsonrpc_request request;
        struct error error;
        assert_int_equal(parse(cases[i].json, &request, &error), -EINVAL);
        assert_string_equal(error.code, "invalid_request");
        assert_non_null(strstr(error.message, cases[i].message));
        assert_string_equal(request.id, cases[i].id);
        assert_false(request.is_notification);
        assert_null(request.document);
    }
}

static void what_cannot_be_read_has_no_id(void **state)
{
    (void)state;
    struct jsonrpc_request request;
    struct error error;
    assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":1,", &request, &error), -EBADMSG);
    assert_string_equal(request.id, "null");
    assert_string_equal(error.code, "parse_error");
    assert_false(request.is_notification);

    char deep[200];
    memset(deep, '[', sizeof(deep));
    assert_int_equal(jsonrpc_request_parse(deep, sizeof(deep), &limits, &request, &error), -E2BIG);
    assert_string_equal(error.code, "parse_error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(ids_come_back_as_they_were),
        cmocka_unit_test(the_longest_id_fits),
        cmocka_unit_test(without_id_it_is_a_notification),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(what_cannot_be_read_has_no_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
