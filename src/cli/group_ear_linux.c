/* SPDX-License-Identifier: MIT */
#include "cli/group_ear_linux.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define ANSWER_TIMEOUT_MS 100 /* the listener may be stopped, or starved */

struct asked {
    int32_t signal;
    int32_t sender;
};

static bool drain(int signal_fd, const struct asked *asked)
{
    bool has_heard = false;
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if ((int32_t)info.ssi_signo == asked->signal && (int32_t)info.ssi_pid == asked->sender) {
            has_heard = true;
        }
    }
    return has_heard;
}

static _Noreturn void listen_until_closed(int socket_fd, int signal_fd, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(0);
    }
    /* Whoever waits for the end of a pipe waits for stax and the target, not for this process. */
    if (dup2(socket_fd, 0) < 0 || dup2(signal_fd, 1) < 0) {
        _exit(1);
    }
    (void)syscall(SYS_close_range, 2, ~0u, 0);
    struct asked asked;
    while (recv(0, &asked, sizeof(asked), 0) == (ssize_t)sizeof(asked)) {
        char answer = drain(1, &asked) ? 1 : 0;
        (void)send(0, &answer, 1, MSG_NOSIGNAL);
    }
    _exit(0);
}

int group_ear_open(struct group_ear *ret_ear)
{
    *ret_ear = (struct group_ear){.socket_fd = -1, .pid = -1};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -errno;
    }
    _cleanup_(fd_closep) int own_fd = pair[0];
    _cleanup_(fd_closep) int listener_fd = pair[1];
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    _cleanup_(fd_closep) int signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0) {
        return -errno;
    }
    pid_t parent = getpid();
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        listen_until_closed(listener_fd, signal_fd, parent);
    }
    int r = pid < 0 ? -errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (r == 0) {
        *ret_ear = (struct group_ear){.socket_fd = TAKE_FD(own_fd), .pid = pid};
    }
    return r;
}

void group_ear_close(struct group_ear *ear)
{
    if (ear->socket_fd < 0) {
        return;
    }
    ear->socket_fd = fd_close(ear->socket_fd);
    kill(ear->pid, SIGKILL);
    while (waitpid(ear->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

bool group_ear_has_heard(const struct group_ear *ear, int signal, pid_t sender)
{
    if (ear->socket_fd < 0) {
        return false;
    }
    struct asked asked = {.signal = signal, .sender = sender};
    struct pollfd answered = {.fd = ear->socket_fd, .events = POLLIN};
    char answer = 0;
    while (recv(ear->socket_fd, &answer, 1, MSG_DONTWAIT) == 1) {
        /* An answer that came too late belongs to another question. */
    }
    answer = 0;
    return send(ear->socket_fd, &asked, sizeof(asked), MSG_NOSIGNAL) == (ssize_t)sizeof(asked) &&
           poll(&answered, 1, ANSWER_TIMEOUT_MS) == 1 && recv(ear->socket_fd, &answer, 1, 0) == 1 &&
           answer == 1;
}
