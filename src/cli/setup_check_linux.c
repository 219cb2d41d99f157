/* SPDX-License-Identifier: MIT */
#include "cli/setup_check_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "broker_wire/fd_pass.h"
#include "broker_wire/wire.h"

#define NOBODY 65534
#define WAIT_S 10 /* a service may have to be started first */

/* Is the answer yes? *ret_reason says why not. */
static bool ask(int fd, const void *request, size_t n_bytes, int give_fd, const char **ret_reason)
{
    struct broker_reply reply = {0};
    _cleanup_(fd_closep) int got_fd = -1;
    int r = fd_pass_send(fd, request, n_bytes, give_fd, true);
    ssize_t n_read = r != 0 ? r : fd_pass_receive(fd, &reply, sizeof(reply), &got_fd, true);
    if (n_read != (ssize_t)sizeof(reply)) {
        *ret_reason = "it does not answer";
        return false;
    }
    *ret_reason = reply.status < 0 ? strerror(-reply.status)
                                   : broker_refusal_name((enum broker_refusal)reply.status);
    return reply.status == 0;
}

static int check(const char *socket_path, struct error *reterr_error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = WAIT_S};
    const struct broker_short_request hello = {.verb = BROKER_HELLO, .word = BROKER_VERSION};
    const struct broker_short_request session = {.verb = BROKER_OPEN_SESSION};
    const struct broker_event_request event = {
        .verb = BROKER_OPEN_EVENT,
        .kind = BROKER_KIND_ANCHOR,
        .tid = (int32_t)syscall(SYS_gettid),
        .cpu = -1,
        .flags = BROKER_FLAG_EXCLUDE_KERNEL,
    };
    const char *reason = "";
    if (strlen(socket_path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    _cleanup_(fd_closep) int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (pidfd < 0 || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int r = -errno;
        error_set_errno(reterr_error, r, "asking staxd");
        return r;
    }
    if (!ask(fd, &hello, sizeof(hello), -1, &reason) ||
        !ask(fd, &session, sizeof(session), pidfd, &reason) ||
        !ask(fd, &event, sizeof(event), -1, &reason)) {
        error_set(reterr_error, "no_broker", "staxd opened no event: %s", reason);
        error_hint(reterr_error, "`journalctl -u staxd` has its log");
        return -EACCES;
    }
    return 0;
}

/* From here on an ordinary process of nobody's, in the group of the socket. */
static int become_ordinary(const char *socket_path)
{
    struct stat status;
    if (stat(socket_path, &status) < 0 || setgroups(1, &status.st_gid) < 0 ||
        setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
        prctl(PR_SET_DUMPABLE, 1) < 0) {
        return -errno;
    }
    return 0;
}

int setup_check(const char *socket_path, struct error *reterr_error)
{
    if (geteuid() != 0) {
        return check(socket_path, reterr_error);
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    pid_t child = fork();
    if (child == 0) {
        struct error error = {0};
        int r = become_ordinary(socket_path);
        if (r != 0) {
            error_set_errno(&error, r, "asking staxd as an ordinary user");
        } else {
            r = check(socket_path, &error);
        }
        (void)fd_write_all(ends[1], &error, sizeof(error));
        _exit(r == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    fd_close(ends[1]);
    _cleanup_(freep) char *answer = NULL;
    size_t n_bytes = 0;
    int status = 1;
    int r = child < 0 ? -errno : fd_read_all(ends[0], sizeof(struct error), &answer, &n_bytes);
    fd_close(ends[0]);
    if (child > 0 && waitpid(child, &status, 0) == child && status == 0) {
        return 0;
    }
    if (r == 0 && n_bytes == sizeof(*reterr_error)) {
        memcpy(reterr_error, answer, sizeof(*reterr_error));
    }
    return r != 0 ? r : -EACCES;
}
