/* SPDX-License-Identifier: MIT */
/*
 * Two servers that start at the same moment must not both replace a stale
 * socket: whoever holds the lock beside it decides. The lock's file is checked
 * after locking, because the holder before may have removed it.
 */
#include "server/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

#define LOCK_ATTEMPTS 16
#define BACKLOG 128

static int refuse(struct error *reterr_error, int negative_errno, const char *path, const char *why)
{
    error_set(reterr_error, "permission", "%s %s", path, why);
    error_hint(reterr_error, "choose another socket: --socket PATH or STAX_SERVER_SOCKET");
    return negative_errno;
}

static int fail(struct error *reterr_error, const char *doing, const char *path)
{
    int saved = -errno;
    error_set(reterr_error, "internal", "%s %s: %s", doing, path, strerror(-saved));
    return saved;
}

/* Nobody else may rename or remove what is in the socket's folder. */
static int check_folder(const char *path, struct error *reterr_error)
{
    char folder[ACCESS_PATH_BYTES];
    struct stat status;
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash) {
        snprintf(folder, sizeof(folder), ".");
    } else {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    if (stat(folder, &status) < 0) {
        return fail(reterr_error, "looking at", folder);
    }
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return refuse(reterr_error, -EPERM, folder, "belongs to another user");
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0) {
        return refuse(reterr_error, -EPERM, folder, "can be written by other users");
    }
    return 0;
}

static bool is_same_file(const char *path, int fd)
{
    struct stat named, opened;
    return lstat(path, &named) == 0 && fstat(fd, &opened) == 0 && named.st_ino == opened.st_ino &&
           named.st_dev == opened.st_dev;
}

static int take_lock(struct access *access, struct error *reterr_error)
{
    const char *path = access->lock_path;
    for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
        _cleanup_(fd_closep) int fd =
            open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        struct stat status;
        if (fd < 0 && errno == ELOOP) {
            return refuse(reterr_error, -EPERM, path, "is a symbolic link");
        }
        if (fd < 0 || fstat(fd, &status) < 0) {
            return fail(reterr_error, "opening", path);
        }
        if (status.st_uid != geteuid() || !S_ISREG(status.st_mode)) {
            return refuse(reterr_error, -EPERM, path, "is not a file of ours");
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            error_set(reterr_error, "already_running",
                      "another stax-server is already running on %s", access->path);
            error_hint(reterr_error, "stax status asks it");
            return -EADDRINUSE;
        }
        if (is_same_file(path, fd)) {
            access->lock_fd = TAKE_FD(fd);
            return 0;
        }
    }
    error_set(reterr_error, "internal", "%s is removed again and again", path);
    return -EAGAIN;
}

static bool somebody_listens(const struct sockaddr_un *address)
{
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true;
    }
    /* EAGAIN: somebody listens, and has many callers already. */
    return connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
           errno == EAGAIN || errno == EINPROGRESS;
}

/* Removes a socket of ours that a dead server left; refuses anything else. */
static int clear_path(const struct sockaddr_un *address, struct error *reterr_error)
{
    const char *path = address->sun_path;
    struct stat status;
    if (lstat(path, &status) < 0) {
        return errno == ENOENT ? 0 : fail(reterr_error, "looking at", path);
    }
    if (S_ISLNK(status.st_mode)) {
        return refuse(reterr_error, -EPERM, path, "is a symbolic link");
    }
    if (!S_ISSOCK(status.st_mode)) {
        return refuse(reterr_error, -EPERM, path, "is not a socket");
    }
    if (status.st_uid != geteuid()) {
        return refuse(reterr_error, -EPERM, path, "belongs to another user");
    }
    if (somebody_listens(address)) {
        error_set(reterr_error, "already_running", "another program already listens on %s", path);
        error_hint(reterr_error, "stax status asks it, if it is a stax-server");
        return -EADDRINUSE;
    }
    return unlink(path) < 0 ? fail(reterr_error, "removing", path) : 0;
}

static int listen_on(struct access *access, const struct sockaddr_un *address,
                     struct error *reterr_error)
{
    struct stat status;
    access->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (access->fd < 0) {
        return fail(reterr_error, "making a socket for", access->path);
    }
    mode_t before = umask(0177);
    int r = bind(access->fd, (const struct sockaddr *)address, sizeof(*address));
    umask(before);
    if (r < 0) {
        return fail(reterr_error, "binding", access->path);
    }
    if (lstat(access->path, &status) < 0) {
        return fail(reterr_error, "looking at", access->path);
    }
    access->device = status.st_dev;
    access->inode = status.st_ino;
    if (listen(access->fd, BACKLOG) < 0) {
        return fail(reterr_error, "listening on", access->path);
    }
    return 0;
}

int access_open(const char *path, struct access *ret_access, struct error *reterr_error)
{
    _cleanup_(access_releasep) struct access access = {.fd = -1, .lock_fd = -1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path) ||
        strlen(path) >= sizeof(access.path)) {
        error_set(reterr_error, "invalid_params", "a socket's path has 1 to %zu characters: %s",
                  sizeof(address.sun_path) - 1, path);
        return -ENAMETOOLONG;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    snprintf(access.path, sizeof(access.path), "%s", path);
    snprintf(access.lock_path, sizeof(access.lock_path), "%s.lock", path);
    int r = check_folder(path, reterr_error);
    if (r < 0) {
        return r;
    }
    r = take_lock(&access, reterr_error);
    if (r < 0) {
        return r;
    }
    r = clear_path(&address, reterr_error);
    if (r < 0) {
        return r;
    }
    r = listen_on(&access, &address, reterr_error);
    if (r < 0) {
        return r;
    }
    *ret_access = access;
    access = (struct access){.fd = -1, .lock_fd = -1}; /* handed over */
    return 0;
}

void access_release(struct access *access)
{
    struct stat status;
    if (access->inode != 0 && lstat(access->path, &status) == 0 && status.st_ino == access->inode &&
        status.st_dev == access->device) {
        unlink(access->path);
    }
    access->inode = 0;
    access->fd = fd_close(access->fd);
    if (access->lock_fd >= 0 && is_same_file(access->lock_path, access->lock_fd)) {
        unlink(access->lock_path);
    }
    access->lock_fd = fd_close(access->lock_fd);
}

int access_check_peer(int connection_fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(connection_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return -EPERM;
    }
    return peer.uid == geteuid() ? 0 : -EPERM;
}

int64_t access_get_peer_pid(int connection_fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    bool is_known = getsockopt(connection_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    return is_known ? peer.pid : 0;
}
