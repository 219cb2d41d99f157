/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rpc/socket_path.h"

static void assert_path(const char *explicit_path, const char *expected)
{
    char path[108];
    struct error error;
    assert_int_equal(rpc_socket_path(explicit_path, path, sizeof(path), &error), 0);
    assert_string_equal(path, expected);
}

static void the_nearest_place_wins(void **state)
{
    (void)state;
    char last[64];
    snprintf(last, sizeof(last), "/tmp/stax-server-%u.sock", (unsigned)getuid());
    setenv("STAX_SERVER_SOCKET", "/run/s.sock", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
    assert_path("here.sock", "here.sock");
    assert_path(NULL, "/run/s.sock");
    setenv("STAX_SERVER_SOCKET", "", 1);
    assert_path(NULL, "/run/user/1/stax-server.sock");
    unsetenv("STAX_SERVER_SOCKET");
    assert_path(NULL, "/run/user/1/stax-server.sock");
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    assert_path(NULL, last);
    unsetenv("XDG_RUNTIME_DIR");
    assert_path(NULL, last);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    char path[512];
    char given[300];
    struct error error;
    memset(given, 'a', sizeof(given));
    given[299] = '\0';
    assert_int_equal(rpc_socket_path(given, path, sizeof(path), &error), -ENAMETOOLONG);
    assert_string_equal(error.code, "invalid_params");
    given[108] = '\0';
    assert_int_equal(rpc_socket_path(given, path, sizeof(path), &error), -ENAMETOOLONG);
    given[107] = '\0';
    assert_int_equal(rpc_socket_path(given, path, sizeof(path), &error), 0);
    assert_string_equal(path, given);
    assert_int_equal(rpc_socket_path("abcd", path, 4, &error), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_place_wins),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
