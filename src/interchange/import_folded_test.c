/* SPDX-License-Identifier: MIT */
#include "interchange/import_test.h"

#include "base/clock.h"
#include "interchange/import_reader.h"

static const struct symbol *find(const struct kept_symbols *kept, uint64_t offset)
{
    uint64_t address;
    return kept_symbols_find(kept, offset, &address);
}

static void see_text_file(const char *text, struct seen *seen)
{
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, text, strlen(text));
    assert_int_equal(import_detect(path), IMPORT_FOLDED);
    see_file(path, seen);
    unlink(path);
}

static void test_counts_are_samples(void **state)
{
    (void)state;
    struct seen seen;
    see_text_file("main;work;inner 12\r\n"
                  "# a comment\n"
                  "\n"
                  "main;work;read_[k] 3\n"
                  "no number at all\n"
                  "main;C++ name (int, char) 5",
                  &seen);
    assert_int_equal(seen.n_samples, 20);
    assert_int_equal(seen.periods_ns, 20 * NS_PER_MS);
    assert_int_equal(seen.n_kernel_ips, 3);
    assert_int_equal(seen.n_ips, 12 * 3 + 3 * 3 + 5 * 2);
    assert_true(has_note(&seen, "each of their samples counts as 1 ms"));
    assert_true(has_note(&seen, "1 of 4 lines do not end with a number"));
}

/* Numbers that no profiler could count to are times. */
static void test_large_numbers_are_times(void **state)
{
    (void)state;
    struct seen seen;
    see_text_file("a;b 9000000000\na;c 1000000\n", &seen);
    assert_int_equal(seen.periods_ns, 9001000000);
    assert_int_equal(seen.n_samples, 4);
    assert_true(has_note(&seen, "taken for nanoseconds"));
}

static bool is_folded(const char *text)
{
    return import_folded_ops.is_mine((const uint8_t *)text, strlen(text));
}

static void test_detection(void **state)
{
    (void)state;
    assert_true(is_folded("a;b 1\n"));
    assert_true(is_folded("a 1"));
    assert_false(is_folded(""));
    assert_false(is_folded("int main(void)\n{\n    return 0;\n}\n"));
    assert_false(is_folded("{\"a\": 1}\nb 1\n"));
    assert_false(is_folded("a\001b 1\n"));
    assert_false(is_folded("1\n2\n3\n"));
    assert_false(is_folded("a 99999999999999999999999\n"));
    assert_true(is_folded("[unknown];a 1\n"));
    assert_true(is_folded("[a b] 1\n"));
    assert_false(is_folded("[1, 2]\n"));
    assert_false(is_folded("[\n  1\n]\n"));
    assert_true(is_folded("a;b 12.5\n"));
    assert_false(is_folded("a;b 12.\na;c .5\na;d 1.2.3\na;e 1.x\n"));
}

/* More than is looked at. */
static void test_long_first_line(void **state)
{
    (void)state;
    struct seen seen;
    char text[6000];
    memset(text, 'a', sizeof(text));
    for (size_t i = 50; i < 5900; i += 50) {
        text[i] = ';';
    }
    memcpy(text + 5990, "bcd 17\n", 8);
    see_text_file(text, &seen);
    assert_int_equal(seen.n_samples, 17);
}

static void test_decimal_counts(void **state)
{
    (void)state;
    struct seen seen;
    see_text_file("a;b 12.5\na;c 3.49999\na;d 7\n", &seen);
    assert_int_equal(seen.n_samples, 13 + 3 + 7);
    assert_true(has_note(&seen, "the numbers of 2 lines are rounded"));
}

/* Some functions end with a number; where all do, it is one. */
static void test_two_counts(void **state)
{
    (void)state;
    struct import *import = NULL;
    struct error error = {0};
    struct seen seen;
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, "a;b 10 20\na;c 1 0\n", 18);
    assert_true(import_open(path, &import, &error) < 0);
    assert_non_null(strstr(error.message, "compares two profiles"));
    unlink(path);
    see_text_file("a;worker 10 20\na;c 1\n", &seen);
    assert_int_equal(seen.n_samples, 21);
}

static void test_nothing_in_it(void **state)
{
    (void)state;
    struct import *import = NULL;
    struct error error = {0};
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, "a;b 0\n", 6);
    assert_true(import_open(path, &import, &error) < 0);
    assert_string_equal(error.code, "archive_invalid");
    unlink(path);
}

/* The same file twice has the same addresses: names of one reading fit another's events. */
static void test_names_fit(void **state)
{
    (void)state;
    struct import *import = NULL;
    char path[] = "/tmp/stax-import-XXXXXX";
    write_bytes(path, "main;work 1\n", 12);
    assert_int_equal(import_open(path, &import, NULL), 0);
    struct kept_run kept = import_kept_run(import);
    assert_false(kept.may_look_at_files);
    const struct image image = {.kind = IMAGE_KIND_FILE, .path = "/[folded]"};
    struct kept_symbols *symbols = kept.find_symbols(kept.userdata, &image);
    assert_non_null(symbols);
    /* From the innermost on: the first place is "work". */
    assert_string_equal(find(symbols, 16)->name, "work");
    assert_string_equal(find(symbols, 32)->name, "main");
    import_free(import);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_are_samples), cmocka_unit_test(test_large_numbers_are_times),
        cmocka_unit_test(test_detection),          cmocka_unit_test(test_nothing_in_it),
        cmocka_unit_test(test_names_fit),          cmocka_unit_test(test_long_first_line),
        cmocka_unit_test(test_decimal_counts),     cmocka_unit_test(test_two_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
