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

#include "target/server_path.h"

/* Where clients look for the server is where programs do: the same rows are right for
 * rpc_socket_path(). */
static void it_is_the_clients_path(void **state)
{
    (void)state;
    char by_uid[64];
    snprintf(by_uid, sizeof(by_uid), "/tmp/stax-server-%u.sock", (unsigned)getuid());
    const struct {
        const char *given, *runtime, *path;
    } rows[] = {
        {"/some/where.sock", "/run/user/7", "/some/where.sock"},
        {"relative", NULL, "relative"},
        {NULL, "/run/user/7", "/run/user/7/stax-server.sock"},
        {"", "/run/user/7", "/run/user/7/stax-server.sock"},
        {NULL, "relative", by_uid},
        {NULL, "", by_uid},
        {NULL, NULL, by_uid},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[TARGET_PATH_BYTES];
        unsetenv("STAX_SERVER_SOCKET");
        unsetenv("XDG_RUNTIME_DIR");
        if (rows[i].given) {
            setenv("STAX_SERVER_SOCKET", rows[i].given, 1);
        }
        if (rows[i].runtime) {
            setenv("XDG_RUNTIME_DIR", rows[i].runtime, 1);
        }
        assert_int_equal(target_server_path(path), 0);
        assert_string_equal(path, rows[i].path);
    }
}

static void a_path_has_a_length(void **state)
{
    (void)state;
    char path[TARGET_PATH_BYTES], given[300];
    memset(given, 'x', sizeof(given));
    given[TARGET_PATH_BYTES] = '\0';
    setenv("STAX_SERVER_SOCKET", given, 1);
    assert_int_equal(target_server_path(path), -ENAMETOOLONG);
    given[TARGET_PATH_BYTES - 1] = '\0';
    setenv("STAX_SERVER_SOCKET", given, 1);
    assert_int_equal(target_server_path(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_clients_path),
        cmocka_unit_test(a_path_has_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
