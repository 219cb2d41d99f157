/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "jsonrpc/json_scan.h"

static bool is_json(const char *json)
{
    struct json_scan scan = json_scan_of(json, strlen(json));
    return json_scan_skip(&scan, NULL, NULL) && json_scan_end(&scan);
}

static void documents_are_walked(void **state)
{
    (void)state;
    static const char json[] =
        " { \"a\" : [ 1 , -2.5 ] , \"b\":{}, \"c\":\"x\",\"d\":true, \"e\":null} ";
    struct json_scan scan = json_scan_of(json, sizeof(json) - 1);
    struct json_number number;
    struct arena arena;
    char *string;
    bool flag;
    char key[8];

    arena_init(&arena, 0);
    assert_true(json_scan_enter(&scan, '{'));
    assert_true(json_scan_next_member(&scan, key, sizeof(key)));
    assert_string_equal(key, "a");
    assert_int_equal(json_scan_kind(&scan), JSON_KIND_ARRAY);
    assert_true(json_scan_enter(&scan, '['));
    assert_true(json_scan_next_element(&scan));
    assert_true(json_scan_number(&scan, &number));
    assert_true(number.is_integer && !number.is_negative && number.magnitude == 1);
    assert_true(json_scan_next_element(&scan));
    assert_true(json_scan_number(&scan, &number));
    assert_true(!number.is_integer && number.real == -2.5);
    assert_false(json_scan_next_element(&scan));
    assert_true(json_scan_next_member(&scan, key, sizeof(key)));
    assert_true(json_scan_enter(&scan, '{'));
    assert_false(json_scan_next_member(&scan, key, sizeof(key)));
    assert_true(json_scan_next_member(&scan, key, sizeof(key)));
    assert_true(json_scan_string(&scan, &arena, &string));
    assert_string_equal(string, "x");
    assert_true(json_scan_next_member(&scan, key, sizeof(key)));
    assert_true(json_scan_bool(&scan, &flag) && flag);
    assert_true(json_scan_next_member(&scan, key, sizeof(key)));
    assert_int_equal(json_scan_kind(&scan), JSON_KIND_NULL);
    assert_true(json_scan_null(&scan));
    assert_false(json_scan_next_member(&scan, key, sizeof(key)));
    assert_true(json_scan_end(&scan));
    assert_null(scan.failure);
    arena_release(&arena);
}

static void strings_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *string; /* NULL: refused */
    } cases[] = {
        {"\"\"", ""},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz"},
        {"\"\\u0041\\u00e4\\u20AC\"", "A\u00e4\u20ac"},
        {"\"\\ud83d\\ude00\"", "\U0001f600"},
        {"\"\u00e4\"", "\u00e4"},
        {"\"\\u0000\"", NULL},
        {"\"\\ud83d\"", NULL},
        {"\"\\ud83dx\"", NULL},
        {"\"\\ud83d\\u0041\"", NULL},
        {"\"\\ude00\"", NULL},
        {"\"\\u12g4\"", NULL},
        {"\"\\x\"", NULL},
        {"\"\\\"", NULL},
        {"\"a", NULL},
        {"\"\t\"", NULL},
        {"\"\xc0\xaf\"", NULL},
        {"\"\xe2\x82\"", NULL},
        {"x", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_scan scan = json_scan_of(cases[i].json, strlen(cases[i].json));
        struct arena arena;
        char *string = NULL;
        arena_init(&arena, 0);
        assert_int_equal(json_scan_string(&scan, &arena, &string), cases[i].string != NULL);
        if (cases[i].string) {
            assert_string_equal(string, cases[i].string);
            assert_true(json_scan_end(&scan));
        } else {
            assert_non_null(scan.failure);
        }
        arena_release(&arena);
    }
}

static void numbers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool is_integer;
        bool is_negative;
        uint64_t magnitude;
        double real;
    } cases[] = {
        {"0", true, false, 0, 0},
        {"-0", true, true, 0, -0.0},
        {"18446744073709551615", true, false, UINT64_MAX, 18446744073709551615.0},
        {"18446744073709551616", false, false, 0, 18446744073709551616.0},
        {"-9223372036854775808", true, true, UINT64_C(1) << 63, -9223372036854775808.0},
        {"0.1", false, false, 0, 0.1},
        {"-1.7976931348623157e308", false, true, 0, -1.7976931348623157e308},
        {"2E+3", false, false, 0, 2000},
        {"5e-324", false, false, 0, 5e-324},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_scan scan = json_scan_of(cases[i].json, strlen(cases[i].json));
        struct json_number number;
        assert_int_equal(json_scan_kind(&scan), JSON_KIND_NUMBER);
        assert_true(json_scan_number(&scan, &number));
        assert_true(json_scan_end(&scan));
        assert_int_equal(number.is_integer, cases[i].is_integer);
        assert_int_equal(number.is_negative, cases[i].is_negative);
        assert_true(!number.is_integer || number.magnitude == cases[i].magnitude);
        assert_true(number.real == cases[i].real);
    }
}

static void what_is_json_is_passed_over(void **state)
{
    (void)state;
    static const char *const right[] = {
        "null",
        " [ ] ",
        "{}",
        "[[],[{}]]",
        "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\":false}",
        "\"x\"",
        "-1.5e3",
        "[\"]\",\"}\"]",
        "{\"\":0}",
    };
    static const char *const wrong[] = {
        "",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[1}",
        "{\"a\":1]",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "1e999",
        "nul",
        "truex",
        "tru",
        "nan",
        "Infinity",
        "1 2",
        "[]]",
        "\"",
        "{\"a\" 1}",
        "[\v1]",
        "\xef\xbb\xbf{}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "[[1,2],3,{]}]",
    };
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_true(is_json(right[i]));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (is_json(wrong[i])) {
            fail_msg("passed: %s", wrong[i]);
        }
    }
}

static void a_value_passed_over_is_handed_out(void **state)
{
    (void)state;
    static const char json[] = "[ {\"a\": [1, 2]} , 3]";
    struct json_scan scan = json_scan_of(json, sizeof(json) - 1);
    const char *value;
    size_t n_bytes;
    assert_true(json_scan_enter(&scan, '['));
    assert_true(json_scan_next_element(&scan));
    assert_true(json_scan_skip(&scan, &value, &n_bytes));
    assert_int_equal(n_bytes, 13);
    assert_memory_equal(value, "{\"a\": [1, 2]}", 13);
    assert_true(json_scan_next_element(&scan));
    assert_true(json_scan_skip(&scan, NULL, NULL));
    assert_false(json_scan_next_element(&scan));
    assert_true(json_scan_end(&scan));
}

static void nesting_ends_somewhere(void **state)
{
    (void)state;
    size_t n = JSON_SCAN_MAX_NESTING + 1;
    char *json = malloc(2 * n);
    memset(json, '[', n);
    memset(json + n, ']', n);
    struct json_scan scan = json_scan_of(json, 2 * n);
    assert_false(json_scan_skip(&scan, NULL, NULL));
    assert_string_equal(scan.failure, "nested too deeply");
    scan = json_scan_of(json + 1, 2 * n - 2);
    assert_true(json_scan_skip(&scan, NULL, NULL));
    assert_true(json_scan_end(&scan));
    free(json);
}

static void a_failure_stays(void **state)
{
    (void)state;
    struct json_scan scan = json_scan_of("[x,1]", 5);
    struct json_number number;
    bool flag;
    assert_true(json_scan_enter(&scan, '['));
    assert_true(json_scan_next_element(&scan));
    assert_false(json_scan_number(&scan, &number));
    const char *failure = scan.failure;
    assert_non_null(failure);
    assert_false(json_scan_next_element(&scan));
    assert_false(json_scan_bool(&scan, &flag));
    assert_false(json_scan_null(&scan));
    assert_false(json_scan_enter(&scan, '['));
    assert_false(json_scan_skip(&scan, NULL, NULL));
    assert_false(json_scan_end(&scan));
    assert_int_equal(json_scan_kind(&scan), JSON_KIND_NOTHING);
    assert_ptr_equal(scan.failure, failure);
}

static void long_keys_are_cut(void **state)
{
    (void)state;
    struct json_scan scan = json_scan_of("{\"abcdefgh\":1}", 14);
    char key[5];
    assert_true(json_scan_enter(&scan, '{'));
    assert_true(json_scan_next_member(&scan, key, sizeof(key)));
    assert_string_equal(key, "abcd");
    assert_true(json_scan_skip(&scan, NULL, NULL));
    assert_false(json_scan_next_member(&scan, key, sizeof(key)));
    assert_true(json_scan_end(&scan));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_walked),
        cmocka_unit_test(strings_are_decoded),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(what_is_json_is_passed_over),
        cmocka_unit_test(a_value_passed_over_is_handed_out),
        cmocka_unit_test(nesting_ends_somewhere),
        cmocka_unit_test(a_failure_stays),
        cmocka_unit_test(long_keys_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
