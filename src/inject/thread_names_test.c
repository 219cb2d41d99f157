/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "inject/thread_names.h"

static char label[THREAD_LABEL_BYTES];

static void a_thread_without_a_name_is_its_number(void **state)
{
    (void)state;
    thread_names_label(17, label);
    assert_string_equal(label, "thread 17");
}

static void the_kernels_name_counts_where_it_is_not_the_programs(void **state)
{
    (void)state;
    char before[16] = "";
    assert_int_equal(pthread_getname_np(pthread_self(), before, sizeof(before)), 0);
    assert_int_equal(pthread_setname_np(pthread_self(), "decoder"), 0);
    thread_names_label(17, label);
    assert_int_equal(pthread_setname_np(pthread_self(), before), 0);
    assert_string_equal(label, "decoder (17)");
}

static void a_given_name_stands_alone_until_it_is_given_twice(void **state)
{
    (void)state;
    uint32_t version = thread_names_version();
    thread_names_set(17, "loader");
    assert_int_not_equal(thread_names_version(), version);
    thread_names_label(17, label);
    assert_string_equal(label, "loader");
    thread_names_set(18, "loader");
    thread_names_label(17, label);
    assert_string_equal(label, "loader (17)");
    thread_names_label(18, label);
    assert_string_equal(label, "loader (18)");
    thread_names_set(18, "");
    thread_names_label(17, label);
    assert_string_equal(label, "loader");
    thread_names_set(17, "");
    thread_names_label(17, label);
    assert_string_equal(label, "thread 17");
}

static void no_name_at_all_changes_nothing(void **state)
{
    (void)state;
    uint32_t version = thread_names_version();
    thread_names_set(99, "");
    thread_names_set(0, "nobody");
    assert_int_equal(thread_names_version(), version);
}

static void long_names_are_cut_and_too_many_are_left_out(void **state)
{
    (void)state;
    char name[200];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    thread_names_set(5, name);
    thread_names_label(5, label);
    assert_int_equal(strlen(label), 63);
    thread_names_set(5, "");
    for (uint32_t tid = 1000; tid < 4000; tid++) {
        thread_names_set(tid, "many");
    }
    thread_names_label(1000, label);
    assert_string_equal(label, "many (1000)");
    thread_names_label(3999, label);
    assert_string_equal(label, "thread 3999");
    for (uint32_t tid = 1000; tid < 4000; tid++) {
        thread_names_set(tid, "");
    }
}

static void a_fork_keeps_the_name_of_the_one_that_is_left(void **state)
{
    (void)state;
    thread_names_set(20, "main");
    thread_names_set(21, "worker");
    thread_names_forked(20, 40);
    thread_names_label(40, label);
    assert_string_equal(label, "main");
    thread_names_label(21, label);
    assert_string_equal(label, "thread 21");
    thread_names_set(40, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_without_a_name_is_its_number),
        cmocka_unit_test(the_kernels_name_counts_where_it_is_not_the_programs),
        cmocka_unit_test(a_given_name_stands_alone_until_it_is_given_twice),
        cmocka_unit_test(no_name_at_all_changes_nothing),
        cmocka_unit_test(long_names_are_cut_and_too_many_are_left_out),
        cmocka_unit_test(a_fork_keeps_the_name_of_the_one_that_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
