/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "query/pattern.h"

static bool is_match(const char *text, const char *name, const char *image)
{
    char copy[256];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    char *texts[] = {copy};
    struct patterns patterns;
    struct error error = {0};
    assert_int_equal(patterns_compile(texts, 1, &patterns, &error), 0);
    const struct symbol symbol = {.name = name, .image = image};
    bool matches = patterns_match(&patterns, &symbol);
    patterns_release(&patterns);
    return matches;
}

static void text_is_found_anywhere_whatever_the_case(void **state)
{
    (void)state;
    assert_true(is_match("memcpy", "memcpy", "libc.so.6"));
    assert_true(is_match("memcpy", "__memcpy_avx_unaligned", "libc.so.6"));
    assert_true(is_match("MemCpy", "memcpy", "libc.so.6"));
    assert_true(is_match("memcpy", "MEMCPY", "libc.so.6"));
    assert_true(is_match("LIBC", "memcpy", "libc.so.6")); /* the image counts too */
    assert_true(is_match("[kernel]", "schedule", "[kernel]"));
    assert_false(is_match("memcpy", "memmove", "libc.so.6"));
    assert_false(is_match("memcpy2", "memcpy", "libc.so.6"));
    /* Nothing in it is special. */
    assert_true(is_match("operator()(int*)", "ns::f::operator()(int*) const", "x"));
    assert_false(is_match("mem.py", "memcpy", "x"));
    assert_false(is_match("^memcpy$", "memcpy", "x"));
    assert_true(is_match("std::vec", "std::vector<int>::push_back", "x"));
}

static void expressions_stand_between_slashes(void **state)
{
    (void)state;
    assert_true(is_match("/^mem(cpy|move)$/", "memcpy", "x"));
    assert_true(is_match("/^mem(cpy|move)$/", "memmove", "x"));
    assert_false(is_match("/^mem(cpy|move)$/", "memmove2", "x"));
    assert_false(is_match("/^mem(cpy|move)$/", "Memcpy", "x")); /* they mind the case */
    assert_true(is_match("/^libc\\.so/", "f", "libc.so.6"));
    assert_true(is_match("/a.c/", "xabcx", "x"));
    /* What looks alike but is none. */
    assert_true(is_match("//", "a//b", "x"));
    assert_true(is_match("/", "a/b", "x"));
    assert_true(is_match("/usr", "f", "/usr/bin/x"));
    assert_false(is_match("a.c/", "abc", "x"));
}

static void any_of_several_is_enough(void **state)
{
    (void)state;
    char one[] = "alpha", two[] = "/^beta$/", *texts[] = {one, two};
    struct patterns patterns;
    struct error error = {0};
    assert_int_equal(patterns_compile(texts, 2, &patterns, &error), 0);
    const struct symbol alpha = {.name = "xalphax", .image = "i"};
    const struct symbol beta = {.name = "beta", .image = "i"};
    const struct symbol gamma = {.name = "gamma", .image = "i"};
    assert_true(patterns_match(&patterns, &alpha));
    assert_true(patterns_match(&patterns, &beta));
    assert_false(patterns_match(&patterns, &gamma));
    patterns_release(&patterns);
    assert_false(patterns_match(&patterns, &alpha)); /* no pattern matches nothing */
    patterns_release(&patterns);

    assert_int_equal(patterns_compile(NULL, 0, &patterns, &error), 0);
    assert_false(patterns_match(&patterns, &alpha));
    assert_false(error_is_set(&error));
}

static void what_is_no_expression_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"/(/", "/[a/", "/a{2,1}/", "/*/", "/\\/"};
    unsigned int n_refused = 0;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        char good[] = "/^good$/", copy[32];
        (void)snprintf(copy, sizeof(copy), "%s", broken[i]);
        char *texts[] = {good, copy, good}; /* what was compiled before is freed */
        struct patterns patterns;
        struct error error = {0};
        int r = patterns_compile(texts, 3, &patterns, &error);
        if (r == 0) { /* a C library may be generous with one of them */
            patterns_release(&patterns);
            continue;
        }
        n_refused++;
        assert_int_equal(r, -EINVAL);
        assert_int_equal(patterns.n_patterns, 0);
        assert_string_equal(error.code, "invalid_params");
        assert_non_null(strstr(error.message, broken[i]));
        assert_non_null(strstr(error.hint, "slashes"));
    }
    assert_true(n_refused >= 3);
}

static void there_may_not_be_too_many(void **state)
{
    (void)state;
    char text[] = "x", *texts[PATTERNS_MAX + 1];
    for (size_t i = 0; i <= PATTERNS_MAX; i++) {
        texts[i] = text;
    }
    struct patterns patterns;
    struct error error = {0};
    assert_int_equal(patterns_compile(texts, PATTERNS_MAX, &patterns, &error), 0);
    assert_int_equal(patterns.n_patterns, PATTERNS_MAX);
    patterns_release(&patterns);
    assert_int_equal(patterns_compile(texts, PATTERNS_MAX + 1, &patterns, &error), -EINVAL);
    assert_string_equal(error.code, "invalid_params");
    assert_int_equal(patterns.n_patterns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_found_anywhere_whatever_the_case),
        cmocka_unit_test(expressions_stand_between_slashes),
        cmocka_unit_test(any_of_several_is_enough),
        cmocka_unit_test(what_is_no_expression_is_refused),
        cmocka_unit_test(there_may_not_be_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
