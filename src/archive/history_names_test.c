/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "archive/history_names.h"

static uint32_t number_of(struct history_names *names, const char *name)
{
    uint32_t number = 77;
    assert_int_equal(history_names_put(names, name, &number), 0);
    return number;
}

static void names_are_kept_once(void **state)
{
    (void)state;
    struct history_names names;
    assert_int_equal(history_names_init(&names), 0);
    assert_int_equal(number_of(&names, ""), 0);
    assert_int_equal(number_of(&names, "main"), 1);
    assert_int_equal(number_of(&names, "worker"), 2);
    assert_int_equal(number_of(&names, "main"), 1);
    assert_int_equal(number_of(&names, "mai"), 3);
    assert_string_equal(history_names_get(&names, 2), "worker");
    assert_string_equal(history_names_get(&names, 4), "");
    assert_int_equal(names.n_bytes, 1 + 5 + 7 + 4);
    history_names_release(&names);
}

static void bytes_that_were_kept_are_the_same_names(void **state)
{
    (void)state;
    struct history_names names, read = {0};
    assert_int_equal(history_names_init(&names), 0);
    for (unsigned int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "/usr/lib/lib%u.so", i);
        assert_int_equal(number_of(&names, name), i + 1);
    }
    /* In parts that end anywhere. */
    for (size_t at = 0; at < names.n_bytes; at += 777) {
        size_t n_bytes = names.n_bytes - at < 777 ? names.n_bytes - at : 777;
        assert_int_equal(history_names_append(&read, names.bytes + at, n_bytes), 0);
    }
    assert_int_equal(read.n_names, names.n_names);
    for (uint32_t i = 0; i <= 5000; i++) {
        assert_string_equal(history_names_get(&read, i), history_names_get(&names, i));
    }
    history_names_release(&read);
    history_names_release(&names);
}

static void a_name_without_its_end_is_none(void **state)
{
    (void)state;
    struct history_names names = {0};
    assert_string_equal(history_names_get(&names, 0), "");
    assert_int_equal(history_names_append(&names, "\0one\0tw", 7), 0);
    assert_string_equal(history_names_get(&names, 1), "one");
    assert_string_equal(history_names_get(&names, 2), "");
    assert_string_equal(history_names_get(&names, UINT32_MAX), "");
    history_names_release(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_kept_once),
        cmocka_unit_test(bytes_that_were_kept_are_the_same_names),
        cmocka_unit_test(a_name_without_its_end_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
