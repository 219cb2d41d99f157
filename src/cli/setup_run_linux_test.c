/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "cli/setup_check_linux.h"
#include "cli/setup_run_linux.h"

static void a_program_of_the_system(void **state)
{
    (void)state;
    /* PATH is not asked: this is run as root. */
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
    assert_int_equal(setup_run((const char *const[]){"true", NULL}), 0);
    assert_int_equal(setup_run((const char *const[]){"sh", "-c", "exit 3", NULL}), 3);
    assert_int_equal(setup_run((const char *const[]){"no-such-program", NULL}), -ENOENT);
    assert_int_equal(setup_run((const char *const[]){"sh", "-c", "kill -9 $$", NULL}), -EINTR);
    assert_int_equal(setup_run((const char *const[]){"sh", "-c", "test -z \"$LD_PRELOAD\"", NULL}),
                     0);
}

static void a_program_beside_this_one(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_int_equal(setup_run_path("test_cli_setup_run_linux", path, sizeof(path)), 0);
    assert_int_equal(path[0], '/');
    assert_int_equal(setup_run_path("no-such-file", path, sizeof(path)), -ENOENT);
    assert_int_equal(setup_run_find("no-such-file", "neither"), -ENOENT);
    int fd = setup_run_find("no-such-file", "test_cli_setup_run_linux");
    assert_true(fd >= 0);
    fd_close(fd);
}

static void a_broker_that_is_not_there(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(setup_check("/tmp/no-such-socket", &error) < 0);
    assert_non_null(strstr(error.message, "asking staxd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_of_the_system),
        cmocka_unit_test(a_program_beside_this_one),
        cmocka_unit_test(a_broker_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
