/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "cli/quantity.h"

static void durations_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t expected_ns;
    } cases[] = {
        {"2.5", 2500000000},
        {"1500ms", 1500000000},
        {"2m", 120000000000},
        {"0.1", 100000000},
        {"1h", 3600000000000},
        {"10us", 10000},
        {"7ns", 7},
        {"3s", 3000000000},
        {"-5", -5000000000},
        {"-1500ms", -1500000000},
        {".5", 500000000},
        {"1.", 1000000000},
        {"0", 0},
        {"1.5m", 90000000000},
        {"0.0000000019", 1},
        {"2min", 120000000000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t parsed_ns = -1;
        assert_int_equal(quantity_parse_duration(cases[i].text, &parsed_ns), 0);
        assert_int_equal(parsed_ns, cases[i].expected_ns);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "-",  "s",   "abc", "1x", "1 s",   "1e3", "0x1",
                                        "--5", "+5", "inf", "nan", ".",  "1.2.3", " 1",  "5S"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t parsed_ns = 42;
        assert_int_equal(quantity_parse_duration(texts[i], &parsed_ns), -EINVAL);
        assert_int_equal(parsed_ns, 42);
    }
    int64_t parsed_ns = 42;
    assert_int_equal(quantity_parse_duration("9999999999h", &parsed_ns), -ERANGE);
    assert_int_equal(quantity_parse_duration("99999999999999999999999", &parsed_ns), -ERANGE);
    assert_int_equal(parsed_ns, 42);
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    int64_t n_bytes = 0;
    assert_int_equal(quantity_parse_bytes("2G", &n_bytes), 0);
    assert_int_equal(n_bytes, INT64_C(2) << 30);
    assert_int_equal(quantity_parse_bytes("1.5KiB", &n_bytes), 0);
    assert_int_equal(n_bytes, 1536);
    assert_int_equal(quantity_parse_bytes("4096", &n_bytes), 0);
    assert_int_equal(n_bytes, 4096);
    assert_int_equal(quantity_parse_bytes("-1", &n_bytes), -EINVAL);
    assert_int_equal(quantity_parse_bytes("much", &n_bytes), -EINVAL);
    assert_int_equal(quantity_parse_bytes("9999999T", &n_bytes), -ERANGE);
}

static void numbers_are_plain_digits(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_int_equal(quantity_parse_integer("900", &value), 0);
    assert_int_equal(value, 900);
    assert_int_equal(quantity_parse_integer("-3", &value), 0);
    assert_int_equal(value, -3);
    assert_int_equal(quantity_parse_integer("1.0", &value), -EINVAL);
    assert_int_equal(quantity_parse_integer("", &value), -EINVAL);
    assert_int_equal(quantity_parse_integer("9223372036854775808", &value), -ERANGE);
    double decimal = 0;
    assert_int_equal(quantity_parse_decimal("1.25", &decimal), 0);
    assert_true(decimal == 1.25);
    assert_int_equal(quantity_parse_decimal("-1", &decimal), -EINVAL);
}

static void durations_read_in_one_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t duration_ns;
        const char *expected;
    } cases[] = {
        {0, "0 ns"},
        {999, "999 ns"},
        {1000, "1.00 us"},
        {999499, "999 us"},
        {999999, "1.00 ms"},
        {12345678, "12.3 ms"},
        {999999999, "1.00 s"},
        {9994000000, "9.99 s"},
        {9999000000, "10.0 s"},
        {99960000000, "100 s"},
        {119 * NS_PER_S, "119 s"},
        {125 * NS_PER_S, "2m 05s"},
        {7260 * NS_PER_S, "2h 01m"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[QUANTITY_TEXT_BYTES];
        quantity_format_duration(cases[i].duration_ns, text);
        assert_string_equal(text, cases[i].expected);
    }
}

static void sizes_read_in_one_unit(void **state)
{
    (void)state;
    char text[QUANTITY_TEXT_BYTES];
    quantity_format_bytes(512, text);
    assert_string_equal(text, "512 B");
    quantity_format_bytes(1536, text);
    assert_string_equal(text, "1.50 KiB");
    quantity_format_bytes(UINT64_MAX, text);
    assert_string_equal(text, "16.0 EiB");
}

static void one_is_no_plural(void **state)
{
    (void)state;
    assert_string_equal(quantity_plural(0), "s");
    assert_string_equal(quantity_plural(1), "");
    assert_string_equal(quantity_plural(2), "s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_exact),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(numbers_are_plain_digits),
        cmocka_unit_test(durations_read_in_one_unit),
        cmocka_unit_test(sizes_read_in_one_unit),
        cmocka_unit_test(one_is_no_plural),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
