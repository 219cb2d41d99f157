/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/launch_linux.h"

#define SH "/bin/sh"

/*
 * launch_release() takes over the signals of the process and the target shares
 * its group, so that each case runs in a process and a group of its own; the
 * case's exit status is what it found.
 */
static int run_apart(int (*body)(void *userdata), void *userdata)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setpgid(0, 0);
        _exit(body(userdata));
    }
    setpgid(pid, pid);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static const struct launch_listener deaf;

static void count_interrupt(void *userdata, unsigned count)
{
    *(unsigned *)userdata = count;
}

static int launch_script(void *userdata)
{
    char *argv[] = {SH, "-c", userdata, NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    if (launch_start(SH, argv, &launch) < 0 || launch_release(launch) != 0) {
        return 200;
    }
    int status = launch_wait(launch, &deaf);
    launch_restore_signals(launch);
    return status;
}

static void the_exit_status_is_the_targets(void **state)
{
    (void)state;
    assert_int_equal(run_apart(launch_script, "exit 0"), 0);
    assert_int_equal(run_apart(launch_script, "exit 42"), 42);
    assert_int_equal(run_apart(launch_script, "exit 255"), 255);
    assert_int_equal(run_apart(launch_script, "kill -TERM $$"), 128 + SIGTERM);
    assert_int_equal(run_apart(launch_script, "kill -KILL $$"), 128 + SIGKILL);
}

static int launch_waits_for_release(void *userdata)
{
    (void)userdata;
    char path[] = "/tmp/launch-XXXXXX";
    int fd = mkstemp(path);
    char script[64];
    snprintf(script, sizeof(script), "echo ran > %s", path);
    char *argv[] = {SH, "-c", script, NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    if (launch_start(SH, argv, &launch) < 0) {
        return 1;
    }
    nanosleep(&(struct timespec){.tv_nsec = 50 * NS_PER_MS}, NULL);
    struct stat status;
    if (fstat(fd, &status) < 0 || status.st_size != 0 || kill(launch_pid(launch), 0) < 0) {
        return 2;
    }
    if (launch_release(launch) != 0 || launch_wait(launch, &deaf) != 0) {
        return 3;
    }
    int code = stat(path, &status) < 0 || status.st_size != 4 ? 4 : 0;
    unlink(path);
    return code;
}

static void nothing_runs_before_the_release(void **state)
{
    (void)state;
    assert_int_equal(run_apart(launch_waits_for_release, NULL), 0);
}

static int launch_and_abort(void *userdata)
{
    char *argv[] = {SH, "-c", userdata, NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    if (launch_start(SH, argv, &launch) < 0) {
        return 1;
    }
    pid_t pid = launch_pid(launch);
    launch_abort(launch);
    return kill(pid, 0) < 0 && errno == ESRCH ? 0 : 2;
}

static void an_aborted_launch_never_runs(void **state)
{
    (void)state;
    char script[] = "touch /tmp/launch-aborted-must-not-exist";
    assert_int_equal(run_apart(launch_and_abort, script), 0);
    assert_int_equal(access("/tmp/launch-aborted-must-not-exist", F_OK), -1);
}

static int launch_bad(void *userdata)
{
    char *argv[] = {userdata, NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    return launch_start(userdata, argv, &launch) < 0 ? 200 : launch_release(launch);
}

static void a_failed_exec_tells_its_errno(void **state)
{
    (void)state;
    assert_int_equal(run_apart(launch_bad, "/nonexistent/program"), ENOENT);
    assert_int_equal(run_apart(launch_bad, "/"), EACCES);
    assert_int_equal(run_apart(launch_bad, "/etc/passwd"), EACCES);
}

static int launch_path(void *userdata)
{
    char *argv[] = {userdata, NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    if (launch_start(userdata, argv, &launch) < 0 || launch_release(launch) != 0) {
        return 200;
    }
    return launch_wait(launch, &deaf);
}

static void scripts_without_an_interpreter_run(void **state)
{
    (void)state;
    char path[] = "/tmp/launch-script-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(fd_write_all(fd, "exit 7\n", 7), 0);
    fchmod(fd, 0755);
    close(fd);
    char script[64];
    snprintf(script, sizeof(script), "%s", path);
    assert_int_equal(run_apart(launch_path, script), 7);
    unlink(path);
}

/* Runs `target` and sends signals to it as `send` says once it has written a line. */
struct signalled {
    const char *script;
    void (*send)(pid_t launcher);
    unsigned n_interrupts;
};

static int launch_signalled(void *userdata)
{
    struct signalled *signalled = userdata;
    int ready[2];
    if (pipe(ready) < 0) {
        return 200;
    }
    pid_t launcher = getpid();
    pid_t sender = fork();
    if (sender == 0) {
        setpgid(0, 0); /* not one of the group that it signals */
        char line[16];
        if (read(ready[0], line, sizeof(line)) > 0) {
            nanosleep(&(struct timespec){.tv_nsec = 30 * NS_PER_MS}, NULL);
            signalled->send(launcher);
        }
        _exit(0);
    }
    dup2(ready[1], STDOUT_FILENO);
    close(ready[1]);
    char *argv[] = {SH, "-c", (char *)signalled->script, NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    if (launch_start(SH, argv, &launch) < 0 || launch_release(launch) != 0) {
        return 201;
    }
    struct launch_listener listener = {
        .userdata = &signalled->n_interrupts,
        .on_interrupt = count_interrupt,
    };
    int status = launch_wait(launch, &listener);
    waitpid(sender, NULL, 0);
    return (int)signalled->n_interrupts * 100 + status;
}

static void send_term_to_stax(pid_t launcher)
{
    kill(launcher, SIGTERM);
}

static void send_usr1_to_group(pid_t launcher)
{
    kill(-launcher, SIGUSR1);
}

static void send_usr1_to_stax_twice(pid_t launcher)
{
    kill(launcher, SIGUSR1);
    nanosleep(&(struct timespec){.tv_nsec = 100 * NS_PER_MS}, NULL);
    kill(launcher, SIGUSR1);
}

static void send_usr1_to_both(pid_t launcher)
{
    kill(launcher, SIGUSR1);
    kill(-launcher, SIGUSR1);
}

static void send_interrupt_to_group(pid_t launcher)
{
    kill(-launcher, SIGINT);
}

static void send_interrupt_to_stax(pid_t launcher)
{
    kill(launcher, SIGINT);
}

/* Counts USR1, and exits with the count a while after the first one. */
#define COUNTING                                                                                   \
    "exec 2>/dev/null; n=0; trap 'n=$((n+1))' USR1; echo ready; i=0; "                             \
    "while [ $i -lt 40 ]; do sleep 0.01; i=$((i+1)); done; exit $n"

static int run_signalled(const char *script, void (*send)(pid_t launcher))
{
    struct signalled signalled = {.script = script, .send = send};
    return run_apart(launch_signalled, &signalled);
}

static void a_signal_for_stax_is_passed_on(void **state)
{
    (void)state;
    assert_int_equal(run_signalled("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done",
                                   send_term_to_stax),
                     9);
    assert_int_equal(run_signalled("echo ready; exec sleep 10", send_term_to_stax), 128 + SIGTERM);
    assert_int_equal(run_signalled(COUNTING, send_usr1_to_stax_twice), 2);
}

static void a_signal_for_the_group_arrives_once(void **state)
{
    (void)state;
    assert_int_equal(run_signalled(COUNTING, send_usr1_to_group), 1);
    assert_int_equal(run_signalled(COUNTING, send_usr1_to_both), 1);
}

static void interrupts_of_the_group_are_counted(void **state)
{
    (void)state;
    char script[] = "trap 'exit 3' INT; echo ready; while :; do sleep 0.01; done";
    assert_int_equal(run_signalled(script, send_interrupt_to_group), 103);
    /* An interrupt for stax alone is the target's: it is passed on, not counted. */
    assert_int_equal(run_signalled(script, send_interrupt_to_stax), 3);
}

static int launch_grep(char *pattern)
{
    char *argv[] = {"grep", "-q", pattern, "/proc/self/status", NULL};
    _cleanup_(launch_freep) struct launch *launch = NULL;
    if (launch_start("/bin/grep", argv, &launch) < 0 || launch_release(launch) != 0) {
        return 200;
    }
    return launch_wait(launch, &deaf);
}

static int launch_with_odd_signals(void *userdata)
{
    /* Whoever runs the test may ignore some: nohup, a shell's background jobs. */
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    signal(SIGUSR2, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGWINCH);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    return launch_grep(userdata);
}

static void signal_settings_are_inherited(void **state)
{
    (void)state;
    /* Bit n-1 stands for signal n: WINCH is 28, USR2 12, CHLD 17. */
    assert_int_equal(run_apart(launch_with_odd_signals, "^SigBlk:\\s0000000008000000$"), 0);
    assert_int_equal(run_apart(launch_with_odd_signals, "^SigIgn:\\s0000000000010800$"), 0);
}

static int launch_counting_files(void *userdata)
{
    for (int fd = 3; fd < 64; fd++) {
        close(fd);
    }
    int inherited = open("/dev/null", O_RDONLY); /* 3: of the caller, not of stax */
    return inherited == 3 ? launch_script(userdata) : 201;
}

static void only_the_callers_descriptors_are_inherited(void **state)
{
    (void)state;
    char script[] = "test -e /proc/$$/fd/3 || exit 50; for n in 4 5 6 7 8 9; do "
                    "test ! -e /proc/$$/fd/$n || exit $n; done";
    assert_int_equal(run_apart(launch_counting_files, script), 0);
}

int main(void)
{
    /* A shell that starts the tests in the background has them ignore these. */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_the_targets),
        cmocka_unit_test(nothing_runs_before_the_release),
        cmocka_unit_test(an_aborted_launch_never_runs),
        cmocka_unit_test(a_failed_exec_tells_its_errno),
        cmocka_unit_test(scripts_without_an_interpreter_run),
        cmocka_unit_test(a_signal_for_stax_is_passed_on),
        cmocka_unit_test(a_signal_for_the_group_arrives_once),
        cmocka_unit_test(interrupts_of_the_group_are_counted),
        cmocka_unit_test(signal_settings_are_inherited),
        cmocka_unit_test(only_the_callers_descriptors_are_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
