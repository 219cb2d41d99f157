/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jsonrpc/json_write.h"

static struct text text;
static struct json_writer writer;

static int open_text(void **state)
{
    (void)state;
    text_init(&text, 1 << 20);
    writer = json_writer_of(&text);
    return 0;
}

static int close_text(void **state)
{
    (void)state;
    text_release(&text);
    return 0;
}

static void assert_string(const char *bytes, size_t n_bytes, const char *expected)
{
    text_clear(&text);
    writer = json_writer_of(&text);
    json_write_string_bytes(&writer, bytes, n_bytes);
    assert_string_equal(text.data, expected);
}

static void assert_real(double value, const char *expected)
{
    text_clear(&text);
    writer = json_writer_of(&text);
    json_write_f64(&writer, value);
    assert_string_equal(text.data, expected);
}

static void commas_stand_between_values_only(void **state)
{
    (void)state;
    json_write_object_begin(&writer);
    json_write_key(&writer, "a");
    json_write_array_begin(&writer);
    json_write_array_end(&writer);
    json_write_key(&writer, "b");
    json_write_array_begin(&writer);
    json_write_u64(&writer, 1);
    json_write_null(&writer);
    json_write_object_begin(&writer);
    json_write_object_end(&writer);
    json_write_bool(&writer, true);
    json_write_array_end(&writer);
    json_write_quoted_key(&writer, "\"c\":", 4);
    json_write_string(&writer, NULL);
    json_write_key(&writer, "d");
    json_write_raw(&writer, "[1]", 3);
    json_write_object_end(&writer);
    assert_string_equal(text.data, "{\"a\":[],\"b\":[1,null,{},true],\"c\":null,\"d\":[1]}");
    assert_false(text.is_cut);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    assert_string("", 0, "\"\"");
    assert_string("plain ~", 7, "\"plain ~\"");
    assert_string("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    assert_string("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
    assert_string("\x01\x1f\x7f", 3, "\"\\u0001\\u001f\\u007f\"");
    assert_string("a\0b", 3, "\"a\\u0000b\"");
}

static void utf8_passes(void **state)
{
    (void)state;
    assert_string("\u00e4\u20ac\U0001f600", 9, "\"\u00e4\u20ac\U0001f600\"");
    assert_string("\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\"");
    assert_string("\xed\x9f\xbf", 3, "\"\xed\x9f\xbf\"");
}

static void what_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    assert_string("a\xff\x62", 3, "\"a\ufffdb\"");
    assert_string("\x80", 1, "\"\ufffd\"");
    assert_string("\xc3", 1, "\"\ufffd\"");                     /* cut short */
    assert_string("\xc3(", 2, "\"\ufffd(\"");                   /* wrong second byte */
    assert_string("\xc0\xaf", 2, "\"\ufffd\ufffd\"");           /* overlong */
    assert_string("\xe0\x80\xaf", 3, "\"\ufffd\ufffd\ufffd\""); /* overlong */
    assert_string("\xed\xa0\x80", 3, "\"\ufffd\ufffd\ufffd\""); /* surrogate */
    assert_string("\xf4\x90\x80\x80", 4, "\"\ufffd\ufffd\ufffd\ufffd\"");
    assert_string("\xf0\x9f\x98", 3, "\"\ufffd\ufffd\ufffd\"");
}

static void integers_reach_their_ends(void **state)
{
    (void)state;
    json_write_array_begin(&writer);
    json_write_u64(&writer, 0);
    json_write_u64(&writer, UINT64_MAX);
    json_write_i64(&writer, INT64_MIN);
    json_write_i64(&writer, INT64_MAX);
    json_write_i64(&writer, -1);
    json_write_array_end(&writer);
    assert_string_equal(text.data, "[0,18446744073709551615,-9223372036854775808,"
                                   "9223372036854775807,-1]");
}

static void reals_are_short(void **state)
{
    (void)state;
    assert_real(0, "0");
    assert_real(50, "50");
    assert_real(12.5, "12.5");
    assert_real(-0.000001, "-0.000001");
    assert_real(99.95, "99.95");
    assert_real(0.1, "0.1");
    assert_real(100000000, "100000000");
}

static void reals_are_never_what_json_lacks(void **state)
{
    (void)state;
    assert_real(NAN, "null");
    assert_real(INFINITY, "null");
    assert_real(-INFINITY, "null");
}

static void reals_read_back_as_themselves(void **state)
{
    (void)state;
    static const double values[] = {
        DBL_MAX,  DBL_MIN, DBL_TRUE_MIN,        DBL_EPSILON,        1.0 / 3,      1e22,
        -2.0 / 3, 1e-7,    123456789.123456789, 9007199254740993.0, 8.9e9 + 1e-6, 0.3 - 0.1};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        text_clear(&text);
        writer = json_writer_of(&text);
        json_write_f64(&writer, values[i]);
        assert_true(strtod(text.data, NULL) == values[i]);
    }
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        double value =
            ldexp((double)random() * 1e9 + (double)random(), (int)(random() % 200) - 100);
        text_clear(&text);
        writer = json_writer_of(&text);
        json_write_f64(&writer, value);
        assert_true(strtod(text.data, NULL) == value);
    }
    assert_real(-0.0, "-0.00000000000000e+00");
}

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < 3 && !found; i++) {
        found = setlocale(LC_ALL, names[i]);
    }
    if (!found) {
        print_message("no locale with a decimal comma is installed\n");
    }
    assert_real(12.5, "12.5");
    assert_real(1e300, "1.00000000000000e+300");
    (void)setlocale(LC_ALL, "C");
}

static void a_full_text_is_said_to_be(void **state)
{
    (void)state;
    struct text small;
    text_init(&small, 8);
    struct json_writer cut = json_writer_of(&small);
    json_write_string(&cut, "far too long for it");
    assert_true(small.is_cut);
    text_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commas_stand_between_values_only, open_text, close_text),
        cmocka_unit_test_setup_teardown(strings_are_escaped, open_text, close_text),
        cmocka_unit_test_setup_teardown(utf8_passes, open_text, close_text),
        cmocka_unit_test_setup_teardown(what_is_not_utf8_is_replaced, open_text, close_text),
        cmocka_unit_test_setup_teardown(integers_reach_their_ends, open_text, close_text),
        cmocka_unit_test_setup_teardown(reals_are_short, open_text, close_text),
        cmocka_unit_test_setup_teardown(reals_are_never_what_json_lacks, open_text, close_text),
        cmocka_unit_test_setup_teardown(reals_read_back_as_themselves, open_text, close_text),
        cmocka_unit_test_setup_teardown(the_locale_does_not_matter, open_text, close_text),
        cmocka_unit_test_setup_teardown(a_full_text_is_said_to_be, open_text, close_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
