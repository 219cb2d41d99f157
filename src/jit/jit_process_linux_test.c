/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "jit/jit_process.h"

#define PREFIX "stax-test-"

static void path_of(char *path, size_t n_bytes)
{
    snprintf(path, n_bytes, "/tmp/" PREFIX "%d.map", (int)getpid());
}

static void test_ourselves(void **state)
{
    (void)state;
    _cleanup_(jit_process_releasep) struct jit_process process;
    assert_int_equal(jit_process_open(getpid(), &process), 0);
    assert_int_equal(process.uid, geteuid());
    assert_true(process.inner_pid > 0);
    assert_false(jit_process_has_ended(&process));
    /* We began some time ago, but not long ago. */
    uint64_t now_ns = clock_now_unix_ns();
    assert_in_range(now_ns - process.start_unix_ns + NS_PER_S, 0, 3600 * NS_PER_S);
}

static void test_who_it_is(void **state)
{
    (void)state;
    _cleanup_(jit_process_releasep) struct jit_process process;
    assert_int_equal(jit_process_open(getpid(), &process), 0);
    assert_true(process.start_ticks > 0);
    assert_false(jit_process_is_replaced(&process));
    process.start_ticks--;
    assert_true(jit_process_is_replaced(&process));
    assert_int_equal(jit_process_parent_of(getpid()), getppid());
    process.pid = 44000044; /* no pid is that high */
    assert_false(jit_process_is_replaced(&process));
    assert_int_equal(jit_process_parent_of(44000044), -1);
}

static void test_files_that_are_believed(void **state)
{
    (void)state;
    _cleanup_(jit_process_releasep) struct jit_process process;
    char path[64];
    path_of(path, sizeof(path));
    assert_int_equal(jit_process_open(getpid(), &process), 0);
    unlink(path);
    assert_int_equal(jit_process_open_file(&process, PREFIX, ".map"), -ENOENT);

    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    fd_close(fd);
    fd = jit_process_open_file(&process, PREFIX, ".map");
    assert_true(fd >= 0);

    /* Left by an earlier process with the same pid. */
    const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(jit_process_check_file(&process, fd), -ESTALE);
    assert_int_equal(jit_process_open_file(&process, PREFIX, ".map"), -ESTALE);
    fd_close(fd);

    /* Links and queues that somebody laid there. */
    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(jit_process_open_file(&process, PREFIX, ".map"), -ELOOP);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(jit_process_open_file(&process, PREFIX, ".map"), -EPERM);
    unlink(path);
}

static void test_another_users_file(void **state)
{
    (void)state;
    _cleanup_(jit_process_releasep) struct jit_process process;
    char path[64];
    path_of(path, sizeof(path));
    if (geteuid() != 0) {
        skip(); /* only root can make one */
    }
    assert_int_equal(jit_process_open(getpid(), &process), 0);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0644);
    assert_int_equal(fchown(fd, 12345, 12345), 0);
    fd_close(fd);
    assert_int_equal(jit_process_open_file(&process, PREFIX, ".map"), -EPERM);
    process.uid = 12345; /* as if it were the process' own */
    fd = jit_process_open_file(&process, PREFIX, ".map");
    assert_true(fd >= 0);
    fd_close(fd);
    unlink(path);
}

static void test_the_end(void **state)
{
    (void)state;
    _cleanup_(jit_process_releasep) struct jit_process process;
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_int_equal(jit_process_open(child, &process), 0);
    assert_false(jit_process_has_ended(&process));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(jit_process_has_ended(&process));
    _cleanup_(jit_process_releasep) struct jit_process gone;
    assert_int_equal(jit_process_open(child, &gone), -ESRCH);
    assert_true(jit_process_has_ended(&gone));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ourselves),
        cmocka_unit_test(test_who_it_is),
        cmocka_unit_test(test_files_that_are_believed),
        cmocka_unit_test(test_another_users_file),
        cmocka_unit_test(test_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
