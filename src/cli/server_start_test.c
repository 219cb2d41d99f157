/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/server_start.h"

static char folder[] = "/tmp/server-start-XXXXXX";
static char state_folder[64], socket_path[64], server_path[64], log_path[96];

/*
 * The server is looked for beside this program first, where none is, and then
 * in PATH. A script stands in for it: it tells what it was given, and ends.
 */
static void write_server(const char *script, mode_t mode)
{
    FILE *file = fopen(server_path, "w");
    assert_non_null(file);
    fputs(script, file);
    fclose(file);
    chmod(server_path, mode);
}

static void a_server_that_ends_is_told(void **state)
{
    (void)state;
    write_server("#!/bin/sh\n"
                 "echo cwd=$(pwd) socket=$STAX_SERVER_SOCKET >&2\n"
                 "echo session=$(cut -d' ' -f6 /proc/$$/stat) >&2\n"
                 "test -e /proc/$$/fd/7 && echo has 7 >&2\n"
                 "exit 3\n",
                 0755);
    assert_int_equal(dup2(STDIN_FILENO, 7), 7);
    struct rpc_client *client = NULL;
    struct error error = {0};
    assert_true(server_start(socket_path, &client, &error) < 0);
    close(7);
    assert_null(client);
    assert_string_equal(error.message, "stax-server ended right after its start");
    assert_non_null(strstr(error.hint, log_path));
    _cleanup_(freep) char *log = NULL;
    assert_int_equal(fd_read_file(log_path, 65536, &log, NULL), 0);
    char expected[160];
    snprintf(expected, sizeof(expected), "cwd=/ socket=%s\n", socket_path);
    assert_non_null(strstr(log, expected));
    assert_null(strstr(log, "has 7"));
    const char *session = strstr(log, "session=");
    assert_non_null(session);
    long sid = strtol(session + strlen("session="), NULL, 10);
    assert_true(sid > 0);
    assert_int_not_equal(sid, getsid(0));
    struct stat status;
    assert_int_equal(stat(log_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void what_the_server_said_is_told(void **state)
{
    (void)state;
    write_server("#!/bin/sh\n"
                 "echo 'error: the sun is too low' >&2\n"
                 "echo 'hint: wait for noon' >&2\n"
                 "exit 1\n",
                 0755);
    struct rpc_client *client = NULL;
    struct error error = {0};
    assert_true(server_start(socket_path, &client, &error) < 0);
    assert_string_equal(error.message,
                        "stax-server ended right after its start: the sun is too low");
    assert_non_null(strstr(error.hint, "wait for noon; "));
    assert_non_null(strstr(error.hint, log_path));
    /* What an earlier one said does not count. */
    write_server("#!/bin/sh\nexit 1\n", 0755);
    assert_true(server_start(socket_path, &client, &error) < 0);
    assert_string_equal(error.message, "stax-server ended right after its start");
}

static void what_cannot_be_executed_is_told(void **state)
{
    (void)state;
    write_server("#!/nonexistent/interpreter\n", 0755);
    struct rpc_client *client = NULL;
    struct error error = {0};
    assert_true(server_start(socket_path, &client, &error) < 0);
    assert_non_null(strstr(error.message, "starting "));
    assert_non_null(strstr(error.message, "No such file or directory"));
}

static void without_a_server_the_error_says_so(void **state)
{
    (void)state;
    unlink(server_path);
    struct rpc_client *client = NULL;
    struct error error = {0};
    assert_true(server_start(socket_path, &client, &error) < 0);
    assert_string_equal(error.message,
                        "stax-server isn't running, and no stax-server was found to start");
    assert_string_not_equal(error.hint, "");
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(state_folder, sizeof(state_folder), "%s/state", folder);
    snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
    snprintf(server_path, sizeof(server_path), "%s/stax-server", folder);
    snprintf(log_path, sizeof(log_path), "%s/stax/server.log", state_folder);
    setenv("XDG_STATE_HOME", state_folder, 1);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
    return setenv("PATH", path, 1);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(server_path);
    unlink(log_path);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/stax", state_folder);
    rmdir(path);
    rmdir(state_folder);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_ends_is_told),
        cmocka_unit_test(what_the_server_said_is_told),
        cmocka_unit_test(what_cannot_be_executed_is_told),
        cmocka_unit_test(without_a_server_the_error_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
