/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "symbols/perf_map.h"

static bool next(const char *text, bool has_end, size_t *inout_used, struct perf_map_line *ret_line)
{
    return perf_map_next(text, strlen(text), has_end, inout_used, ret_line);
}

static void test_lines(void **state)
{
    (void)state;
    const char *text = "7f8649fe3f40 378 JS:~fib /tmp/hot file.js:1:13\n"
                       "0x1000 0xAb int Foo.bar(int)\r\n";
    struct perf_map_line line;
    size_t used = 0;
    assert_true(next(text, false, &used, &line));
    assert_int_equal(line.start_ip, 0x7f8649fe3f40);
    assert_int_equal(line.n_bytes, 0x378);
    assert_int_equal(line.n_name_bytes, strlen("JS:~fib /tmp/hot file.js:1:13"));
    assert_memory_equal(line.name, "JS:~fib /tmp/hot file.js:1:13", line.n_name_bytes);
    assert_true(next(text, false, &used, &line));
    assert_int_equal(line.start_ip, 0x1000);
    assert_int_equal(line.n_bytes, 0xab);
    assert_int_equal(line.n_name_bytes, strlen("int Foo.bar(int)"));
    assert_false(next(text, false, &used, &line));
    assert_int_equal(used, strlen(text));
}

/* The writer is in the middle of a line, or was when it died. */
static void test_a_line_without_its_end(void **state)
{
    (void)state;
    struct perf_map_line line;
    size_t used = 0;
    assert_true(next("10 1 a\n20 2 half", false, &used, &line));
    assert_false(next("10 1 a\n20 2 half", false, &used, &line));
    assert_int_equal(used, 7);
    assert_true(next("10 1 a\n20 2 half", true, &used, &line));
    assert_memory_equal(line.name, "half", 4);
    assert_int_equal(used, 16);
}

static void test_nonsense_is_skipped(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "xyz 10 name",
        "10 name",
        "10  ",
        "10 20 ",
        "10 20",
        "-10 20 name",
        "fffffffffffffffff 20 name",
        "fffffffffffffff0 20 wraps",
        "0x 20 name",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        char text[128];
        struct perf_map_line line;
        size_t used = 0;
        snprintf(text, sizeof(text), "%s\n30 4 good\n", lines[i]);
        assert_true(next(text, false, &used, &line));
        assert_int_equal(line.start_ip, 0x30);
        assert_memory_equal(line.name, "good", 4);
        assert_int_equal(used, strlen(text));
    }
}

static void test_too_long_a_line(void **state)
{
    (void)state;
    static char text[PERF_MAP_MAX_LINE_BYTES + 64];
    struct perf_map_line line;
    size_t used = 0;
    memset(text, 'n', PERF_MAP_MAX_LINE_BYTES + 10);
    memcpy(text, "10 20 ", 6);
    memcpy(text + PERF_MAP_MAX_LINE_BYTES + 10, "\n30 4 good\n", 11);
    assert_true(perf_map_next(text, PERF_MAP_MAX_LINE_BYTES + 21, false, &used, &line));
    assert_int_equal(line.start_ip, 0x30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_a_line_without_its_end),
        cmocka_unit_test(test_nonsense_is_skipped),
        cmocka_unit_test(test_too_long_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
