/* SPDX-License-Identifier: MIT */
#include "cli/setup_files_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define BINARY_MAX_BYTES (64u << 20)

/* Nobody but root and we ourselves can change what is in it. */
static int check_folder(int folder_fd, const char *path, struct error *reterr_error)
{
    struct stat status;
    if (fstat(folder_fd, &status) < 0) {
        return -errno;
    }
    if ((status.st_uid != 0 && status.st_uid != geteuid()) ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        error_set(reterr_error, "unsafe_folder", "others can write to a folder of %s", path);
        error_hint(reterr_error, "each folder on the way must be root's, and not writable by "
                                 "group or others: `ls -ld` shows which is not");
        return -EPERM;
    }
    return 0;
}

/* The folder that `path` lies in, opened; *ret_name points at the file's name. */
static int open_folder(const char *root, const char *path, bool makes_folders,
                       const char **ret_name, struct error *reterr_error)
{
    _cleanup_(fd_closep) int folder_fd = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *at = path, *last_slash = strrchr(path, '/');
    *ret_name = last_slash ? last_slash + 1 : path;
    int r = folder_fd < 0 ? -errno : check_folder(folder_fd, path, reterr_error);
    for (const char *slash; r == 0 && (slash = strchr(at + strspn(at, "/"), '/'));) {
        char name[NAME_MAX + 1];
        at += strspn(at, "/");
        if ((size_t)(slash - at) >= sizeof(name)) {
            return -ENAMETOOLONG;
        }
        memcpy(name, at, (size_t)(slash - at));
        name[slash - at] = '\0';
        if (makes_folders && mkdirat(folder_fd, name, 0755) < 0 && errno != EEXIST) {
            return -errno;
        }
        int next_fd = openat(folder_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = next_fd < 0 ? -errno : 0;
        fd_close(folder_fd);
        folder_fd = next_fd;
        r = r != 0 ? r : check_folder(folder_fd, path, reterr_error);
        at = slash;
    }
    return r != 0 ? r : TAKE_FD(folder_fd);
}

static int explain(int negative_errno, const char *doing, const char *path,
                   struct error *reterr_error)
{
    if (!error_is_set(reterr_error)) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s %.200s", doing, path);
        error_set_errno(reterr_error, negative_errno, text);
    }
    return negative_errno;
}

static int write_content(int fd, const struct setup_content *content)
{
    _cleanup_(freep) char *data = NULL;
    size_t n_bytes;
    if (content->text) {
        return fd_write_all(fd, content->text, content->n_bytes);
    }
    int r = fd_read_all(content->fd, BINARY_MAX_BYTES, &data, &n_bytes);
    return r < 0 ? r : fd_write_all(fd, data, n_bytes);
}

int setup_files_put(const char *root, const char *path, const struct setup_content *content,
                    mode_t mode, struct error *reterr_error)
{
    const char *name;
    char new_name[NAME_MAX + 1];
    mode_t mask = umask(022);
    _cleanup_(fd_closep) int folder_fd = open_folder(root, path, true, &name, reterr_error);
    (void)umask(mask);
    if (folder_fd < 0) {
        return explain(folder_fd, "installing", path, reterr_error);
    }
    (void)snprintf(new_name, sizeof(new_name), ".%.200s.new", name);
    /* O_PATH descriptors take no writes, but names below them do. */
    (void)unlinkat(folder_fd, new_name, 0);
    _cleanup_(fd_closep) int fd =
        openat(folder_fd, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_content(fd, content);
    if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
                   renameat(folder_fd, new_name, folder_fd, name) < 0)) {
        r = -errno;
    }
    if (r != 0) {
        (void)unlinkat(folder_fd, new_name, 0);
        return explain(r, "installing", path, reterr_error);
    }
    return 0;
}

int setup_files_remove(const char *root, const char *path, struct error *reterr_error)
{
    const char *name;
    _cleanup_(fd_closep) int folder_fd = open_folder(root, path, false, &name, reterr_error);
    int r = folder_fd;
    if (folder_fd >= 0) {
        r = unlinkat(folder_fd, name, 0) < 0 ? -errno : 0;
    }
    if (r != 0 && r != -ENOENT) {
        return explain(r, "removing", path, reterr_error);
    }
    static const char own_folder[] = "/stax/";
    const char *found = strstr(path, own_folder);
    if (r == 0 && found && found + sizeof(own_folder) - 1 == name) {
        /* …/stax/NAME: its folder is its own, by path from the parent that was checked as well. */
        char folder[PATH_MAX];
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(name - path) - 1, path);
        const char *folder_name;
        _cleanup_(fd_closep) int parent_fd =
            open_folder(root, folder, false, &folder_name, reterr_error);
        if (parent_fd >= 0) {
            (void)unlinkat(parent_fd, folder_name, AT_REMOVEDIR);
        }
    }
    return 0;
}
