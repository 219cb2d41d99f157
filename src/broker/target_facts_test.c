/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "broker/target_facts.h"

static const char status[] = "Name:\tbash Uid: 7 Tgid: 9\n"
                             "Umask:\t0022\n"
                             "State:\tS (sleeping)\n"
                             "Tgid:\t4711\n"
                             "Ngid:\t0\n"
                             "Pid:\t4712\n"
                             "Uid:\t1000\t1001\t1002\t1003\n"
                             "Gid:\t100\t101\t102\t103\n"
                             "Groups:\t4 24 1000 \n"
                             "CapInh:\t0000000000000000\n"
                             "CapPrm:\t000001ffffffffff\n"
                             "CapEff:\t0000000000080000\n";

static void a_status_is_read(void **state)
{
    (void)state;
    struct target_facts facts;
    assert_int_equal(target_facts_parse(status, &facts), 0);
    assert_int_equal(facts.tgid, 4711);
    for (uint32_t i = 0; i < TARGET_IDS; i++) {
        assert_int_equal(facts.uids[i], 1000 + i);
        assert_int_equal(facts.gids[i], 100 + i);
    }
    assert_true(facts.permitted == UINT64_C(0x1ffffffffff));
    assert_true(facts.effective == 1u << 19);
    assert_false(facts.is_dumpable);
    assert_false(facts.kernel_agrees);
}

static void what_is_cut_off_is_refused(void **state)
{
    (void)state;
    char part[sizeof(status)];
    struct target_facts facts;
    for (size_t n = 0; n < sizeof(status) - 20; n++) {
        memcpy(part, status, n);
        part[n] = '\0';
        assert_int_equal(target_facts_parse(part, &facts), -EBADMSG);
    }
}

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(fd >= 0);
    return fd;
}

static void this_process(void **state)
{
    (void)state;
    pid_t pid;
    int process_fd, pidfd = open_pidfd(getpid());
    struct target_facts facts;
    uint64_t ticks;
    assert_int_equal(target_facts_open(pidfd, &pid, &process_fd), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(target_facts_read(process_fd, getpid(), &facts), 0);
    assert_int_equal(facts.tgid, getpid());
    assert_int_equal(facts.uids[1], geteuid());
    assert_int_equal(facts.gids[1], getegid());
    assert_true(facts.is_dumpable);
    assert_true(facts.kernel_agrees);
    assert_int_equal(target_facts_read(process_fd, 1, &facts), -ESRCH);
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    assert_int_equal(target_facts_start_ticks(process_fd, &ticks), 0);
    assert_in_range(ticks, ((uint64_t)now.tv_sec - 60) * 100, ((uint64_t)now.tv_sec + 1) * 100);
    fd_close(process_fd);
    fd_close(pidfd);
}

static void what_is_no_pidfd(void **state)
{
    (void)state;
    pid_t pid;
    int process_fd, fds[2];
    int folder_fd = open("/proc/self", O_RDONLY | O_DIRECTORY);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(target_facts_open(fds[0], &pid, &process_fd), -EBADF);
    assert_int_equal(target_facts_open(folder_fd, &pid, &process_fd), -EBADF);
    assert_int_equal(target_facts_open(9999, &pid, &process_fd), -EBADF);
    fd_close(fds[0]);
    fd_close(fds[1]);
    fd_close(folder_fd);
}

static void a_process_that_has_gone(void **state)
{
    (void)state;
    pid_t pid, child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    int process_fd, kept_fd, pidfd = open_pidfd(child);
    struct target_facts facts;
    assert_int_equal(target_facts_open(pidfd, &pid, &kept_fd), 0);
    assert_true(target_facts_is_alive(pidfd));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(target_facts_is_alive(pidfd));
    assert_int_equal(target_facts_open(pidfd, &pid, &process_fd), -ESRCH);
    /* The folder stays that of the dead one. */
    assert_int_equal(target_facts_read(kept_fd, child, &facts), -ESRCH);
    fd_close(kept_fd);
    fd_close(pidfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_is_read),
        cmocka_unit_test(what_is_cut_off_is_refused),
        cmocka_unit_test(this_process),
        cmocka_unit_test(what_is_no_pidfd),
        cmocka_unit_test(a_process_that_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
