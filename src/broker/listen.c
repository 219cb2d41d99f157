/* SPDX-License-Identifier: MIT */
#include "broker/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define FIRST_PASSED_FD 3
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t n_bytes = sizeof(value);
    (void)getsockopt(fd, SOL_SOCKET, option, &value, &n_bytes);
    return value;
}

int listen_adopt(void)
{
    const char *pid = getenv("LISTEN_PID"), *n_fds = getenv("LISTEN_FDS");
    if (!pid || !n_fds || strtol(pid, NULL, 10) != getpid()) {
        return -ENOENT;
    }
    if (strcmp(n_fds, "1") != 0 || option_of(FIRST_PASSED_FD, SO_DOMAIN) != AF_UNIX ||
        option_of(FIRST_PASSED_FD, SO_TYPE) != SOCK_SEQPACKET ||
        option_of(FIRST_PASSED_FD, SO_ACCEPTCONN) != 1 ||
        fd_set_cloexec(FIRST_PASSED_FD, true) != 0 ||
        fd_set_nonblocking(FIRST_PASSED_FD, true) != 0) {
        return -EINVAL;
    }
    return FIRST_PASSED_FD;
}

/* Only we and root can put anything there. */
static int check_folder(const char *path)
{
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct stat status;
    (void)snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (path[0] != '/' || !slash) {
        return -EINVAL;
    }
    slash[slash == folder] = '\0';
    if (lstat(folder, &status) < 0) {
        return -errno;
    }
    return S_ISDIR(status.st_mode) && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
                   (status.st_uid == 0 || status.st_uid == geteuid())
               ? 0
               : -EPERM;
}

int listen_open(const char *path, gid_t group)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *any = (const struct sockaddr *)&address;
    struct stat status;
    int r = strlen(path) < sizeof(address.sun_path) ? check_folder(path) : -ENAMETOOLONG;
    if (r != 0) {
        return r;
    }
    memcpy(address.sun_path, path, strlen(path));
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (lstat(path, &status) == 0) {
        if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid()) {
            return -EEXIST;
        }
        if (connect(fd, any, sizeof(address)) == 0 || errno != ECONNREFUSED) {
            return -EADDRINUSE;
        }
        (void)unlink(path);
    }
    mode_t before = umask(0777), mode = group == (gid_t)-1 ? 0666 : 0660;
    r = bind(fd, any, sizeof(address));
    (void)umask(before);
    if (r < 0 || chown(path, (uid_t)-1, group) < 0 || chmod(path, mode) < 0 ||
        listen(fd, SOMAXCONN) < 0) {
        return -errno;
    }
    return TAKE_FD(fd);
}

/* Read behind a descriptor that shows it is still the process that connected. */
static bool may_observe_all(int fd, const struct caller *caller)
{
    char path[32];
    struct target_facts facts;
    _cleanup_(fd_closep) int pidfd = -1;
    socklen_t n_bytes = sizeof(pidfd);
    if (caller->uid != 0 || getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n_bytes) < 0) {
        return false;
    }
    (void)snprintf(path, sizeof(path), "/proc/%d", (int)caller->pid);
    _cleanup_(fd_closep) int process_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return process_fd >= 0 && target_facts_read(process_fd, caller->pid, &facts) == 0 &&
           target_facts_is_alive(pidfd) && (facts.effective >> CAP_SYS_PTRACE & 1) != 0;
}

int listen_accept(int listen_fd, struct caller *ret_caller)
{
    struct ucred peer;
    socklen_t n_bytes = sizeof(peer);
    _cleanup_(fd_closep) int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_bytes) < 0) {
        return -errno;
    }
    *ret_caller = (struct caller){.uid = peer.uid, .gid = peer.gid, .pid = peer.pid};
    ret_caller->may_observe_all = may_observe_all(fd, ret_caller);
    return TAKE_FD(fd);
}
