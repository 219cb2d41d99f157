/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "reasons/wait_cause.h"
#include "reasons/wait_object.h"

#define NR_MAX 1000u

static void the_first_argument_is_what_the_manual_says(void **state)
{
    (void)state;
    static const struct {
        uint32_t nr;
        enum wait_object_kind object;
        const char *name;
    } calls[] = {
        {SYS_read, WAIT_OBJECT_FD, "read"},
        {SYS_write, WAIT_OBJECT_FD, "write"},
        {SYS_pread64, WAIT_OBJECT_FD, "pread64"},
        {SYS_recvfrom, WAIT_OBJECT_FD, "recvfrom"},
        {SYS_sendmsg, WAIT_OBJECT_FD, "sendmsg"},
        {SYS_accept4, WAIT_OBJECT_FD, "accept4"},
        {SYS_connect, WAIT_OBJECT_FD, "connect"},
        {SYS_epoll_pwait, WAIT_OBJECT_FD, "epoll_pwait"},
        {SYS_io_uring_enter, WAIT_OBJECT_FD, "io_uring_enter"},
        {SYS_fsync, WAIT_OBJECT_FD, "fsync"},
        {SYS_flock, WAIT_OBJECT_FD, "flock"},
        {SYS_fcntl, WAIT_OBJECT_FD, "fcntl"},
        {SYS_mq_timedreceive, WAIT_OBJECT_FD, "mq_timedreceive"},
        {SYS_splice, WAIT_OBJECT_FD, "splice"},
        {SYS_futex, WAIT_OBJECT_FUTEX, "futex"},
        {455, WAIT_OBJECT_FUTEX, "futex_wait"},
        {SYS_wait4, WAIT_OBJECT_PID, "wait4"},
        /* The first argument says what the second one is. */
        {SYS_waitid, WAIT_OBJECT_NONE, "waitid"},
        /* It points at many of them. */
        {SYS_ppoll, WAIT_OBJECT_NONE, "ppoll"},
        {SYS_futex_waitv, WAIT_OBJECT_NONE, "futex_waitv"},
        {SYS_pselect6, WAIT_OBJECT_NONE, "pselect6"},
        /* It is a clock, an id, a folder. */
        {SYS_clock_nanosleep, WAIT_OBJECT_NONE, "clock_nanosleep"},
        {SYS_semtimedop, WAIT_OBJECT_NONE, "semtimedop"},
        {SYS_openat, WAIT_OBJECT_NONE, "openat"},
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        assert_int_equal(wait_object_of_syscall(calls[i].nr), calls[i].object);
        assert_non_null(wait_syscall_name(calls[i].nr));
        assert_string_equal(wait_syscall_name(calls[i].nr), calls[i].name);
    }
}

static void what_never_blocks_and_what_does_not_exist_has_no_name(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {SYS_getpid, SYS_gettid, SYS_umask,       SYS_dup,
                                       SYS_pipe2,  400u,       NR_MAX + 23456u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_null(wait_syscall_name(numbers[i]));
        assert_int_equal(wait_object_of_syscall(numbers[i]), WAIT_OBJECT_NONE);
    }
}

static void each_name_belongs_to_one_number(void **state)
{
    (void)state;
    size_t n_names = 0;
    for (uint32_t nr = 0; nr < NR_MAX; nr++) {
        const char *name = wait_syscall_name(nr);
        n_names += name != NULL;
        for (uint32_t other = 0; name != NULL && other < nr; other++) {
            const char *other_name = wait_syscall_name(other);
            assert_true(other_name == NULL || strcmp(name, other_name) != 0);
        }
    }
    assert_in_range(n_names, 100, 300);
}

/* Callers put "__x64_sys_" before the name where the kernel hides its half of the stack. */
static void the_table_of_reasons_knows_the_calls_that_wait_for_an_object(void **state)
{
    (void)state;
    static const char *const others[] = {"shutdown",        "fremovexattr", "flistxattr",
                                         "fchdir",          "finit_module", "ioctl",
                                         "process_mrelease"};
    for (uint32_t nr = 0; nr < NR_MAX; nr++) {
        const char *name = wait_syscall_name(nr);
        if (name == NULL || wait_object_of_syscall(nr) == WAIT_OBJECT_NONE) {
            continue;
        }
        char entry[64];
        (void)snprintf(entry, sizeof(entry), "__x64_sys_%s", name);
        const char *names[] = {entry};
        struct wait_cause cause =
            wait_cause_decide(&(struct wait_names){.names = names, .n_names = 1, .n_kernel = 1});
        bool is_other = false;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            is_other |= strcmp(name, others[i]) == 0;
        }
        if ((cause.reason == WAIT_REASON_OTHER) != is_other) {
            print_error("%s: %s\n", name, wait_reason_name(cause.reason));
        }
        assert_int_equal(cause.reason == WAIT_REASON_OTHER, is_other);
        assert_int_equal(cause.site, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_argument_is_what_the_manual_says),
        cmocka_unit_test(what_never_blocks_and_what_does_not_exist_has_no_name),
        cmocka_unit_test(each_name_belongs_to_one_number),
        cmocka_unit_test(the_table_of_reasons_knows_the_calls_that_wait_for_an_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
