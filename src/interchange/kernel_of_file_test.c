/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "interchange/kernel_of_file.h"

static void test_this_one(void **state)
{
    (void)state;
    struct utsname here;
    const char *why;
    assert_int_equal(uname(&here), 0);
    struct kernel_of_file kernel = {.host = here.nodename,
                                    .release = here.release,
                                    .symbol = "",
                                    .written_at_unix_ns = clock_now_unix_ns()};
    assert_true(kernel_of_file_is_here(&kernel, &why));
    assert_null(why);
    kernel.host = "another-machine.example";
    assert_false(kernel_of_file_is_here(&kernel, &why));
    assert_string_equal(why, "it is of another machine");
    kernel.host = kernel.release = ""; /* a file that tells nothing is believed */
    assert_true(kernel_of_file_is_here(&kernel, &why));
    kernel.written_at_unix_ns = NS_PER_S; /* 1970 */
    assert_false(kernel_of_file_is_here(&kernel, &why));
    assert_string_equal(why, "the machine has been booted since");
    kernel.release = "0.0.1-never";
    assert_false(kernel_of_file_is_here(&kernel, &why));
    assert_string_equal(why, "another kernel runs here");
}

static void test_notes(void **state)
{
    (void)state;
    static const uint8_t notes[] = {
        6, 0, 0, 0, 4, 0, 0, 0, 1, 1, 0, 0, 'L', 'i', 'n', 'u', 'x', 0, 0, 0, 9, 9,
        9, 9, 4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0,   0,   'G', 'N', 'U', 0, 7, 8, 9, 0,
    };
    uint8_t id[LIMIT_BUILD_ID_BYTES];
    assert_int_equal(kernel_notes_build_id(notes, sizeof(notes), id), 3);
    assert_memory_equal(id, "\x07\x08\x09", 3);
    for (size_t n_bytes = 0; n_bytes < sizeof(notes); n_bytes++) {
        assert_int_equal(kernel_notes_build_id(notes, n_bytes, id), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_one),
        cmocka_unit_test(test_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
