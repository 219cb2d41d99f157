/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/target_process.h"

#define NOBODY 65534

static pid_t start_child(const char *path, char *const *arguments)
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(path, arguments);
        _exit(127);
    }
    return pid;
}

static void stop_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int open_pid(int64_t pid, struct target_process *target, struct error *error)
{
    *error = (struct error){.code = ""};
    return target_process_open(pid, target, error);
}

static void test_a_child(void **state)
{
    (void)state;
    struct target_process target;
    struct error error;
    int ready[2], blocking[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(blocking), 0);
    pid_t pid = fork();
    if (pid == 0) {
        /* Closing at exec tells that the arguments are in place. */
        close(ready[0]);
        fcntl(ready[1], F_SETFD, FD_CLOEXEC);
        dup2(blocking[0], STDIN_FILENO);
        execv("/bin/sh", (char *[]){"sh", "-c", "read line", "", "a b", NULL});
        _exit(127);
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    assert_int_equal(open_pid(pid, &target, &error), 0);
    assert_int_equal(target.pid, pid);
    assert_true(target.pidfd >= 0);
    assert_string_equal(target.command, "sh -c 'read line' '' 'a b'");

    struct pollfd gone = {.fd = target.pidfd, .events = POLLIN};
    assert_int_equal(poll(&gone, 1, 0), 0);
    kill(pid, SIGKILL);
    assert_int_equal(poll(&gone, 1, 5000), 1);
    target_process_release(&target);
    assert_int_equal(target.pidfd, -1);

    /* A zombie now. */
    assert_int_equal(open_pid(pid, &target, &error), -ESRCH);
    assert_string_equal(error.code, "no_such_process");
    waitpid(pid, NULL, 0);
    assert_int_equal(open_pid(pid, &target, &error), -ESRCH);
    assert_string_equal(error.code, "no_such_process");
    close(blocking[0]);
    close(blocking[1]);
}

static void test_arguments_are_shown_as_typed(void **state)
{
    (void)state;
    char *arguments[] = {"sleep", "50", "60", NULL};
    struct target_process target;
    struct error error;
    pid_t pid = start_child("/bin/sleep", arguments);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(open_pid(pid, &target, &error), 0);
        if (strcmp(target.command, "sleep 50 60") == 0) {
            break;
        }
        target_process_release(&target);
        usleep(10000); /* not yet past its exec */
    }
    assert_string_equal(target.command, "sleep 50 60");
    target_process_release(&target);
    stop_child(pid);
}

static void test_no_process(void **state)
{
    (void)state;
    static const int64_t pids[] = {0, -1, INT64_MIN, INT64_MAX, 4194305, INT64_C(1) << 32};
    struct target_process target;
    struct error error;
    for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
        assert_int_equal(open_pid(pids[i], &target, &error), -ESRCH);
        assert_string_equal(error.code, "no_such_process");
    }
    assert_int_equal(open_pid(getpid(), &target, &error), -EINVAL);
    assert_string_equal(error.code, "invalid_params");
}

/* As an ordinary user: what belongs to root is refused with a name. */
static void test_somebody_elses(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        struct target_process target;
        struct error error;
        if (setuid(NOBODY) != 0) {
            _exit(3);
        }
        int r = open_pid(1, &target, &error);
        bool is_right = r == -EPERM && strcmp(error.code, "permission") == 0 &&
                        strstr(error.message, "root") && error.hint[0] != '\0';
        _exit(is_right ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void test_children_of_children(void **state)
{
    (void)state;
    int ready[2], blocking[2];
    pid_t inner = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(blocking), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(blocking[1]);
        inner = fork();
        if (inner != 0 && write(ready[1], &inner, sizeof(inner)) != (ssize_t)sizeof(inner)) {
            _exit(1);
        }
        (void)!read(blocking[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &inner, sizeof(inner)), sizeof(inner));
    assert_true(target_process_descends(pid, getpid()));
    assert_true(target_process_descends(inner, pid));
    assert_true(target_process_descends(inner, getpid()));
    assert_false(target_process_descends(pid, pid));
    assert_false(target_process_descends(pid, inner));
    assert_false(target_process_descends(getpid(), pid));
    assert_false(target_process_descends(-1, getpid()));
    close(blocking[1]);
    close(blocking[0]);
    waitpid(pid, NULL, 0);
    assert_false(target_process_descends(pid, getpid()));
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_child),        cmocka_unit_test(test_arguments_are_shown_as_typed),
        cmocka_unit_test(test_no_process),     cmocka_unit_test(test_children_of_children),
        cmocka_unit_test(test_somebody_elses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
