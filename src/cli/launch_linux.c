/* SPDX-License-Identifier: MIT */
#include "cli/launch_linux.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/group_ear_linux.h"

#define STATUS_SIGNAL_BASE 128
#define STATUS_ABORTED 125
#define WRITTEN_MAX_BYTES 4096
#define BURST_MAX 32
#define BURST_NS 10000000       /* see handle_burst() */
#define STOP_SETTLE_NS 20000000 /* see follow_stop() */

struct launch {
    pid_t pid;
    int release_fd; /* a byte lets the child go on */
    int report_fd;  /* the child's errno when exec fails, else its end */
    int signal_fd;
    struct group_ear ear;
    sigset_t inherited_mask;
    struct sigaction inherited_child_action;
    bool has_signals; /* the mask is ours */
    bool is_reaped;
    bool is_told_to_end;
};

/* What people and programs send to end, nudge or resize a program. */
static const int passed_on[] = {
    SIGHUP,    SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,  SIGUSR2, SIGALRM,
    SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR,  SIGWINCH, SIGTSTP,
};

static _Noreturn void run_child(const struct launch *launch, int gate_fd, int report_fd,
                                const char *path, char *const *argv)
{
    fd_close(launch->release_fd);
    char go;
    ssize_t n;
    do {
        n = read(gate_fd, &go, 1);
    } while (n < 0 && errno == EINTR);
    if (n != 1) {
        _exit(STATUS_ABORTED); /* stax has ended: nobody records, nobody waits */
    }
    sigaction(SIGCHLD, &launch->inherited_child_action, NULL);
    /* With a slash in it execvp() searches nothing; it runs scripts without "#!" as shells do. */
    execvp(path, argv);
    int error = errno;
    (void)fd_write_all(report_fd, &error, sizeof(error));
    _exit(error == ENOENT ? 127 : 126);
}

int launch_start(const char *path, char *const *argv, struct launch **ret_launch)
{
    _cleanup_(launch_freep) struct launch *launch = calloc(1, sizeof(*launch));
    if (!launch) {
        return -ENOMEM;
    }
    launch->release_fd = launch->report_fd = launch->signal_fd = launch->ear.socket_fd = -1;
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) < 0) {
        return -errno;
    }
    _cleanup_(fd_closep) int gate_fd = gate[0];
    launch->release_fd = gate[1];
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) {
        return -errno;
    }
    launch->report_fd = report[0];
    _cleanup_(fd_closep) int report_fd = report[1];

    /* Where SIGCHLD is inherited as ignored, the kernel would reap the child itself. */
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction(SIGCHLD, &action, &launch->inherited_child_action);
    sigprocmask(SIG_SETMASK, NULL, &launch->inherited_mask);

    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        run_child(launch, gate_fd, report_fd, path, argv);
    }
    launch->pid = pid;
    /* A child that was killed at the gate, or a server that went away, is told by EPIPE. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    *ret_launch = TAKE_PTR(launch);
    return 0;
}

struct launch *launch_free(struct launch *launch)
{
    if (launch) {
        fd_close(launch->release_fd);
        fd_close(launch->report_fd);
        fd_close(launch->signal_fd);
        group_ear_close(&launch->ear);
        free(launch);
    }
    return NULL;
}

pid_t launch_pid(const struct launch *launch)
{
    return launch->pid;
}

static int take_signals(struct launch *launch)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
        /* What stax was told to ignore (nohup, a shell's background job), the target ignores too.
         */
        struct sigaction action;
        if (sigaction(passed_on[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            sigaddset(&wanted, passed_on[i]);
        }
    }
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++) {
        sigaddset(&wanted, signal);
    }
    launch->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (launch->signal_fd < 0) {
        return -errno;
    }
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    launch->has_signals = true;
    return 0;
}

void launch_restore_signals(struct launch *launch)
{
    if (launch->has_signals) {
        sigprocmask(SIG_SETMASK, &launch->inherited_mask, NULL);
        launch->has_signals = false;
    }
}

static void reap(struct launch *launch)
{
    while (!launch->is_reaped && waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    launch->is_reaped = true;
}

int launch_release(struct launch *launch)
{
    int r = take_signals(launch);
    if (r < 0) {
        launch_abort(launch);
        return -r;
    }
    char go = 1;
    (void)fd_write_all(launch->release_fd, &go, 1);
    launch->release_fd = fd_close(launch->release_fd);
    int error = 0;
    ssize_t n;
    do {
        n = read(launch->report_fd, &error, sizeof(error));
    } while (n < 0 && errno == EINTR);
    launch->report_fd = fd_close(launch->report_fd);
    if (n != (ssize_t)sizeof(error)) {
        return 0;
    }
    reap(launch);
    return error;
}

void launch_abort(struct launch *launch)
{
    kill(launch->pid, SIGKILL);
    launch->release_fd = fd_close(launch->release_fd);
    reap(launch);
}

/* The signal that stopped the target for job control (Ctrl-Z, terminal access), or 0. */
static int find_job_stop(const struct launch *launch)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)launch->pid, &info, WSTOPPED | WNOHANG | WNOWAIT) < 0 ||
        info.si_pid == 0 || info.si_code != CLD_STOPPED) {
        return 0;
    }
    bool is_job_control =
        info.si_status == SIGTSTP || info.si_status == SIGTTIN || info.si_status == SIGTTOU;
    return is_job_control ? info.si_status : 0;
}

/* Stops this process by a signal that is blocked, and returns when it goes on. */
static void stop_self(int signal)
{
    sigset_t only;
    sigset_t before;
    sigemptyset(&only);
    sigaddset(&only, signal);
    kill(getpid(), signal);
    sigprocmask(SIG_UNBLOCK, &only, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/*
 * A shell suspends its job when the job's process stops; that is stax. So stax
 * stops once the target has, by the same signal. After `fg` both continue, but
 * one shortly after the other: looking twice keeps stax from stopping again
 * over a target that is about to go on.
 */
static void follow_stop(const struct launch *launch, const struct launch_listener *listener)
{
    if (find_job_stop(launch) == 0) {
        return;
    }
    nanosleep(&(struct timespec){.tv_nsec = STOP_SETTLE_NS}, NULL);
    int signal = find_job_stop(launch);
    if (signal == 0) {
        return;
    }
    if (listener->on_suspend) {
        listener->on_suspend(listener->userdata);
    }
    stop_self(signal);
    if (listener->on_resume) {
        listener->on_resume(listener->userdata);
    }
}

/* What the target sends to its parent is not for itself. */
static bool is_from_target(const struct launch *launch, const struct signalfd_siginfo *info)
{
    return info->ssi_code != SI_KERNEL && (pid_t)info->ssi_pid == launch->pid;
}

static bool asks_to_end(const struct signalfd_siginfo *info)
{
    return info->ssi_signo == SIGHUP || info->ssi_signo == SIGQUIT || info->ssi_signo == SIGTERM;
}

static void pass_on(const struct launch *launch, const struct signalfd_siginfo *info)
{
    if (info->ssi_code == SI_QUEUE) {
        union sigval value = {.sival_ptr = (void *)(uintptr_t)info->ssi_ptr};
        sigqueue(launch->pid, (int)info->ssi_signo, value);
    } else {
        kill(launch->pid, (int)info->ssi_signo);
    }
}

/* What came within one moment; the same signal of the same sender counts once, as when pending. */
struct burst {
    struct signalfd_siginfo items[BURST_MAX];
    size_t n_items;
};

static void collect(const struct launch *launch, struct burst *burst)
{
    struct signalfd_siginfo info;
    while (burst->n_items < BURST_MAX &&
           read(launch->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        bool is_new = info.ssi_signo != SIGCHLD;
        bool is_queued = (int)info.ssi_signo >= SIGRTMIN; /* these never merge */
        for (size_t i = 0; i < burst->n_items && is_new && !is_queued; i++) {
            const struct signalfd_siginfo *other = &burst->items[i];
            is_new = other->ssi_signo != info.ssi_signo || other->ssi_code != info.ssi_code ||
                     other->ssi_pid != info.ssi_pid;
        }
        if (is_new) {
            burst->items[burst->n_items++] = info;
        }
    }
}

static bool is_from_terminal(const struct signalfd_siginfo *info)
{
    return info->ssi_code == SI_KERNEL &&
           (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT || info->ssi_signo == SIGHUP ||
            info->ssi_signo == SIGWINCH || info->ssi_signo == SIGTSTP);
}

/* Returns how many of them were a Ctrl-C, of the terminal or sent to all of the group. */
static unsigned handle_burst(struct launch *launch, const struct launch_listener *listener,
                             struct burst *burst)
{
    bool needs_ear = false;
    for (size_t i = 0; i < burst->n_items; i++) {
        needs_ear = needs_ear || burst->items[i].ssi_code != SI_KERNEL;
    }
    if (needs_ear) {
        /* timeout(1) signals its child first and then the group: one moment, one signal. */
        nanosleep(&(struct timespec){.tv_nsec = BURST_NS}, NULL);
        collect(launch, burst);
    }
    unsigned n_interrupts = 0;
    for (size_t i = 0; i < burst->n_items; i++) {
        const struct signalfd_siginfo *info = &burst->items[i];
        if (listener->kept_signal != 0 && (int)info->ssi_signo == listener->kept_signal) {
            listener->on_kept_signal(listener->userdata);
            continue;
        }
        bool is_for_group =
            is_from_terminal(info) ||
            (info->ssi_code != SI_KERNEL &&
             group_ear_has_heard(&launch->ear, (int)info->ssi_signo, (pid_t)info->ssi_pid));
        if (!is_for_group && is_from_target(launch, info)) {
            continue;
        }
        launch->is_told_to_end = launch->is_told_to_end || asks_to_end(info);
        if (!is_for_group) {
            pass_on(launch, info);
        } else if (info->ssi_signo == SIGINT) {
            n_interrupts++;
        }
    }
    return n_interrupts;
}

int launch_wait(struct launch *launch, const struct launch_listener *listener)
{
    assert(launch->has_signals && !launch->is_reaped);
    /* Only now, so that the target's start does not wait for it. A deaf ear passes too much on. */
    (void)group_ear_open(&launch->ear);
    unsigned n_interrupts = 0;
    for (;;) {
        int status;
        pid_t pid = waitpid(launch->pid, &status, WNOHANG);
        if (pid == launch->pid) {
            launch->is_reaped = true;
            return WIFSIGNALED(status) ? STATUS_SIGNAL_BASE + WTERMSIG(status)
                                       : WEXITSTATUS(status);
        }
        follow_stop(launch, listener);
        struct pollfd wanted = {.fd = launch->signal_fd, .events = POLLIN};
        if (poll(&wanted, 1, -1) <= 0) {
            continue;
        }
        struct burst burst = {.n_items = 0};
        collect(launch, &burst);
        for (unsigned n = handle_burst(launch, listener, &burst); n > 0; n--) {
            n_interrupts++;
            launch->is_told_to_end = launch->is_told_to_end || n_interrupts > 1;
            if (listener->on_interrupt) {
                listener->on_interrupt(listener->userdata, n_interrupts);
            }
        }
    }
}

bool launch_was_told_to_end(const struct launch *launch)
{
    return launch->is_told_to_end;
}

uint64_t launch_read_written_bytes(pid_t pid)
{
    static const char member[] = "wchar:";
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    _cleanup_(freep) char *data = NULL;
    if (fd_read_file(path, WRITTEN_MAX_BYTES, &data, NULL) < 0) {
        return 0;
    }
    const char *at = strstr(data, member);
    return at ? strtoull(at + sizeof(member) - 1, NULL, 10) : 0;
}
