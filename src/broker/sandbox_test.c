/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "broker/sandbox.h"

#define SOMEBODY 60101

/* What is done to credentials stays in a process of its own. */
static int in_child(int (*function)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        _exit(function());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool status_says(const char *line)
{
    _cleanup_(freep) char *text = NULL;
    return fd_read_file("/proc/self/status", 1 << 16, &text, NULL) == 0 && strstr(text, line);
}

static int give_up_privilege(void)
{
    if (sandbox_enter() != 0) {
        return 1;
    }
    if (!status_says("CapEff:\t000000c4000000c0\n") ||
        !status_says("CapBnd:\t0000000000000000\n") || !status_says("NoNewPrivs:\t1\n")) {
        return 2;
    }
    /* None of root's ways past the permissions of files is left. */
    int fd = open("/etc/shadow", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && geteuid() != 0 ? 3 : 0;
}

static int look_as_somebody(void)
{
    if (sandbox_enter() != 0 || !sandbox_become(SOMEBODY, SOMEBODY)) {
        return 1;
    }
    if (!status_says("CapEff:\t0000000000000000\n") || access("/proc/self", F_OK) != 0 ||
        open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0 ||
        open("/proc/1/environ", O_RDONLY | O_CLOEXEC) >= 0) {
        return 2;
    }
    if (!status_says("Uid:\t0\t0\t0\t60101\n") || !status_says("Gid:\t0\t0\t0\t60101\n")) {
        return 3;
    }
    sandbox_return();
    return status_says("Uid:\t0\t0\t0\t0\n") && status_says("CapEff:\t000000c4000000c0\n") ? 0 : 4;
}

static int enter_without_privilege(void)
{
    return setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 ? sandbox_enter() == -EPERM ? 0 : 1 : 2;
}

static void privilege_is_given_up(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        assert_int_equal(sandbox_enter(), -EPERM);
        skip();
    }
    assert_int_equal(in_child(give_up_privilege), 0);
}

static void files_are_opened_as_somebody(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(look_as_somebody), 0);
}

static void an_ordinary_user_cannot(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(enter_without_privilege), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(privilege_is_given_up),
        cmocka_unit_test(files_are_opened_as_somebody),
        cmocka_unit_test(an_ordinary_user_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
