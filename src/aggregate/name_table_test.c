/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aggregate/name_table.h"

static void equal_names_are_one(void **state)
{
    (void)state;
    struct name_table table;
    assert_int_equal(name_table_init(&table), 0);
    uint32_t futex, poll, again, empty;
    assert_int_equal(name_table_intern(&table, "futex_wait_queue", &futex), 0);
    assert_int_equal(name_table_intern(&table, "do_poll", &poll), 0);
    assert_int_equal(name_table_intern(&table, "", &empty), 0);
    char copy[] = "futex_wait_queue";
    assert_int_equal(name_table_intern(&table, copy, &again), 0);
    assert_int_equal(again, futex);
    assert_int_not_equal(poll, futex);
    copy[0] = '?'; /* the table has its own */
    assert_string_equal(name_table_get(&table, futex), "futex_wait_queue");
    assert_string_equal(name_table_get(&table, poll), "do_poll");
    assert_string_equal(name_table_get(&table, empty), "");
    name_table_release(&table);
}

static void long_names_are_cut(void **state)
{
    (void)state;
    struct name_table table;
    assert_int_equal(name_table_init(&table), 0);
    char name[2 * NAME_TABLE_NAME_BYTES];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    uint32_t number, cut;
    assert_int_equal(name_table_intern(&table, name, &number), 0);
    assert_int_equal(strlen(name_table_get(&table, number)), NAME_TABLE_NAME_BYTES - 1);
    name[NAME_TABLE_NAME_BYTES - 1] = '\0';
    assert_int_equal(name_table_intern(&table, name, &cut), 0);
    assert_int_equal(cut, number);
    name[NAME_TABLE_NAME_BYTES - 2] = '\0'; /* shorter than what was cut */
    assert_int_equal(name_table_intern(&table, name, &cut), 0);
    assert_int_not_equal(cut, number);
    name_table_release(&table);
}

static void there_is_an_end_to_names(void **state)
{
    (void)state;
    struct name_table table;
    assert_int_equal(name_table_init(&table), 0);
    uint32_t number;
    char name[32];
    for (unsigned int i = 0; i < NAME_TABLE_MAX; i++) {
        (void)snprintf(name, sizeof(name), "place_%u", i);
        assert_int_equal(name_table_intern(&table, name, &number), 0);
        assert_int_equal(number, i);
    }
    size_t memory_bytes = name_table_memory_bytes(&table);
    assert_true(memory_bytes > NAME_TABLE_MAX * 8);
    assert_int_equal(name_table_intern(&table, "one_more", &number), -ENOSPC);
    assert_int_equal(name_table_intern(&table, "place_777", &number), 0);
    assert_int_equal(number, 777);
    assert_int_equal(name_table_memory_bytes(&table), memory_bytes);
    name_table_release(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_names_are_one),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(there_is_an_end_to_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
