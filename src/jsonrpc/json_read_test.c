/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "jsonrpc/json_read.h"

static const struct json_limits limits = {.max_bytes = 1000, .max_nesting = 4};

static int read_text(const char *json, struct error *error)
{
    json_t *tree = NULL;
    int r = json_read(json, strlen(json), &limits, &tree, error);
    assert_true((r == 0) == (tree != NULL));
    json_tree_free(tree);
    return r;
}

static void a_document_becomes_a_tree(void **state)
{
    (void)state;
    json_t *tree = NULL;
    const char *json = "{\"a\":[1,\"x\"]} trailing";
    assert_int_equal(json_read(json, 13, &limits, &tree, NULL), 0);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(tree, "a"), 0)), 1);
    assert_null(json_tree_free(tree));
    assert_null(json_tree_free(NULL));
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{",
        "{}{}",
        "{\"a\":1,}",
        "[1,]",
        "01",
        "+1",
        "1.",
        "nan",
        "'a'",
        "{\"a\":1,\"a\":2}",
        "1e999",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\xff\"",
        "\"\n\"",
        "123456789012345678901",
        "/**/1",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct error error = {.code = ""};
        assert_int_equal(read_text(wrong[i], &error), -EBADMSG);
        assert_string_equal(error.code, "parse_error");
        assert_non_null(strstr(error.message, "not JSON at byte"));
    }
}

static void a_nul_is_never_json(void **state)
{
    (void)state;
    json_t *tree = NULL;
    struct error error;
    assert_int_equal(json_read("5\0", 2, &limits, &tree, &error), -EBADMSG);
    assert_string_equal(error.message, "not JSON at byte 1: a NUL");
    assert_int_equal(json_read("[2\0]", 4, &limits, &tree, &error), -EBADMSG);
    assert_null(tree);
}

static void length_is_bounded(void **state)
{
    (void)state;
    char json[1002];
    struct error error;
    memset(json, ' ', sizeof(json));
    json[0] = '1';
    json[1000] = '\0';
    assert_int_equal(read_text(json, &error), 0);
    json[1000] = ' ';
    json[1001] = '\0';
    assert_int_equal(read_text(json, &error), -EMSGSIZE);
    assert_string_equal(error.code, "parse_error");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(read_text("[{\"a\":[[1]]}]", &error), 0);
    assert_int_equal(read_text("[{\"a\":[[[1]]]}]", &error), -E2BIG);
    assert_int_equal(read_text("[\"[[[[[[{{{{\"]", &error), 0);
    assert_int_equal(read_text("[\"\\\"[[[[[[{{{{\"]", &error), 0);
    assert_int_equal(read_text("[[],[],[],{},{}]", &error), 0);
}

static void nesting_of_anything_is_counted(void **state)
{
    (void)state;
    assert_int_equal(json_nesting("", 0), 0);
    assert_int_equal(json_nesting("[[[", 3), 3);
    assert_int_equal(json_nesting("]]][", 4), 1);
    assert_int_equal(json_nesting("\"[\\", 3), 0);
    assert_int_equal(json_nesting("\"\\\\\"[", 5), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_tree),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(a_nul_is_never_json),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(nesting_of_anything_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
