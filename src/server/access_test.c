/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/access.h"

#define NOBODY 65534

static char folder[64];
static char path[ACCESS_PATH_BYTES];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/stax-access-XXXXXX");
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/s.sock", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails when a test left something behind */
}

static int open_access(struct access *access, struct error *error)
{
    *error = (struct error){.code = ""};
    return access_open(path, access, error);
}

static int connect_to(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        return fd_close(fd);
    }
    return fd;
}

static void test_private_and_tidy(void **state)
{
    (void)state;
    struct access access;
    struct error error;
    struct stat status;
    mode_t before = umask(0);
    assert_int_equal(open_access(&access, &error), 0);
    assert_int_equal(umask(before), 0); /* as it was */
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(lstat(access.lock_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    int fd = connect_to(path);
    assert_true(fd >= 0);
    fd_close(fd);
    access_release(&access);
    assert_int_equal(lstat(path, &status), -1);
    access_release(&access); /* harmless */
}

static void test_one_server_only(void **state)
{
    (void)state;
    struct access access, second;
    struct error error;
    assert_int_equal(open_access(&access, &error), 0);
    assert_int_equal(open_access(&second, &error), -EADDRINUSE);
    assert_non_null(strstr(error.message, "already running"));
    int fd = connect_to(path); /* the first one is unharmed */
    assert_true(fd >= 0);
    fd_close(fd);
    access_release(&access);
    assert_int_equal(open_access(&second, &error), 0);
    access_release(&second);
}

/* A server that was killed leaves both files. */
static void test_stale_socket_is_replaced(void **state)
{
    (void)state;
    struct access access;
    struct error error;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(open_access(&access, &error) == 0 ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(connect_to(path), -1);
    assert_int_equal(open_access(&access, &error), 0);
    int fd = connect_to(path);
    assert_true(fd >= 0);
    fd_close(fd);
    access_release(&access);
}

/* Somebody listens who knows nothing of our lock. */
static void test_live_socket_is_left_alone(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct access access;
    struct error error;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(open_access(&access, &error), -EADDRINUSE);
    int caller = connect_to(path);
    assert_true(caller >= 0);
    fd_close(caller);
    fd_close(fd);
}

static void test_refuses_what_is_no_socket_of_ours(void **state)
{
    (void)state;
    struct access access;
    struct error error;
    struct stat status;
    assert_int_equal(symlink("/nonexistent", path), 0);
    assert_int_equal(open_access(&access, &error), -EPERM);
    assert_string_equal(error.code, "permission");
    assert_non_null(strstr(error.message, "symbolic link"));
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISLNK(status.st_mode)); /* and is still there */
    unlink(path);

    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    fd_close(fd);
    assert_int_equal(open_access(&access, &error), -EPERM);
    assert_int_equal(lstat(path, &status), 0);
    unlink(path);

    char lock_path[ACCESS_PATH_BYTES + 8];
    snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    assert_int_equal(symlink("/nonexistent", lock_path), 0);
    assert_int_equal(open_access(&access, &error), -EPERM);
    assert_int_equal(access_open("", &access, &error), -ENAMETOOLONG);
    unlink(lock_path);
}

static void test_refuses_an_open_folder(void **state)
{
    (void)state;
    struct access access;
    struct error error;
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(open_access(&access, &error), -EPERM);
    assert_non_null(strstr(error.message, "other users"));
    assert_int_equal(chmod(folder, 01777), 0); /* as /tmp is */
    assert_int_equal(open_access(&access, &error), 0);
    access_release(&access);
    snprintf(path, sizeof(path), "%s/missing/s.sock", folder);
    assert_true(open_access(&access, &error) < 0);
    assert_true(error.message[0] != '\0');
}

static void test_long_paths(void **state)
{
    (void)state;
    char name[300];
    struct access access;
    struct error error;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(access_open(name, &access, &error), -ENAMETOOLONG);
}

/* Runs in a child that has become another user; the exit status tells what it saw. */
static int as_nobody(int (*attempt)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(setgid(NOBODY) == 0 && setuid(NOBODY) == 0 ? attempt() : 99);
    }
    waitpid(pid, &status, 0);
    return status;
}

static int open_and_be_refused(void)
{
    struct access access;
    struct error error;
    return open_access(&access, &error) < 0 && error.message[0] != '\0' ? 0 : 1;
}

static int connect_and_wait(void)
{
    char byte;
    int fd = connect_to(path);
    return fd >= 0 && read(fd, &byte, 1) == 0 ? 0 : 1;
}

static void test_another_users_path(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    struct access access;
    struct error error;
    assert_int_equal(chmod(folder, 01777), 0);
    assert_int_equal(open_access(&access, &error), 0);
    assert_int_equal(as_nobody(open_and_be_refused), 0);
    int fd = connect_to(path);
    assert_true(fd >= 0);
    fd_close(fd);
    access_release(&access);
}

static void test_peers(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(access_check_peer(pair[0]), 0);
    fd_close(pair[0]);
    fd_close(pair[1]);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(access_check_peer(pipes[0]), -EPERM);
    fd_close(pipes[0]);
    fd_close(pipes[1]);
    if (geteuid() != 0) {
        return;
    }
    /* Another user who got past the mode of the socket is still refused. */
    struct access access;
    struct error error;
    assert_int_equal(open_access(&access, &error), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(path, 0666), 0);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        fd_close(access.fd);
        _exit(setgid(NOBODY) == 0 && setuid(NOBODY) == 0 ? connect_and_wait() : 99);
    }
    fcntl(access.fd, F_SETFL, 0);
    int fd = accept(access.fd, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(access_check_peer(fd), -EPERM);
    fd_close(fd);
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    access_release(&access);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_private_and_tidy),
        TEST(test_one_server_only),
        TEST(test_stale_socket_is_replaced),
        TEST(test_live_socket_is_left_alone),
        TEST(test_refuses_what_is_no_socket_of_ours),
        TEST(test_refuses_an_open_folder),
        TEST(test_long_paths),
        TEST(test_another_users_path),
        TEST(test_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
