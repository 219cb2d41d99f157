/* SPDX-License-Identifier: MIT */
#include "archive/archive_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/archive_file.h"
#include "archive/archive_name.h"
#include "base/fd.h"

#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define REMOVE_MAX_DEPTH 32u

static void close_listing(DIR **listing)
{
    if (*listing) {
        (void)closedir(*listing);
    }
}

/* A listing of its own position. */
static DIR *list(int dir_fd)
{
    int fd = openat(dir_fd, ".", DIRECTORY);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        (void)fd_close(fd);
    }
    return listing;
}

/* The next entry but for "." and ".."; NULL at the end. */
static const char *next_entry(DIR *listing)
{
    for (;;) {
        const struct dirent *entry = readdir(listing);
        if (!entry) {
            return NULL;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            return entry->d_name;
        }
    }
}

/*
 * Opens the directory that a name's last part is in; `ret_last` is that part.
 * The descriptor, or a negative errno.
 */
static int open_parent(int dir_fd, const char *name, bool may_make, const char **ret_last)
{
    if (!archive_name_is_valid(name)) {
        return -EINVAL;
    }
    _cleanup_(fd_closep) int at_fd = openat(dir_fd, ".", DIRECTORY);
    const char *slash;
    for (; at_fd >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
        char part[ARCHIVE_NAME_BYTES + 1];
        memcpy(part, name, (size_t)(slash - name));
        part[slash - name] = '\0';
        if (may_make && mkdirat(at_fd, part, 0700) < 0 && errno != EEXIST) {
            return -errno;
        }
        int inner_fd = openat(at_fd, part, DIRECTORY);
        (void)fd_close(at_fd);
        at_fd = inner_fd;
    }
    if (at_fd < 0) {
        return -errno;
    }
    *ret_last = name;
    return TAKE_FD(at_fd);
}

int archive_directory_write(int dir_fd, const char *name, const void *bytes, size_t n_bytes)
{
    const char *last = NULL;
    _cleanup_(fd_closep) int parent_fd = open_parent(dir_fd, name, true, &last);
    if (parent_fd < 0) {
        return parent_fd;
    }
    _cleanup_(fd_closep) int fd =
        openat(parent_fd, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    int r = fd_write_all(fd, bytes, n_bytes);
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    /* Some file systems tell only now that there was no room. */
    if (close(TAKE_FD(fd)) < 0 && r == 0) {
        r = -errno;
    }
    return r;
}

static int sync_below(int dir_fd, unsigned int depth)
{
    _cleanup_(close_listing) DIR *listing = list(dir_fd);
    if (!listing) {
        return -errno;
    }
    const char *entry;
    while (depth > 0 && (entry = next_entry(listing))) {
        _cleanup_(fd_closep) int inner_fd = openat(dir_fd, entry, DIRECTORY);
        int r = inner_fd < 0 ? 0 : sync_below(inner_fd, depth - 1);
        if (r < 0) {
            return r;
        }
    }
    /* EINVAL: directories cannot be synced there, and need not be. */
    return fsync(dirfd(listing)) < 0 && errno != EINVAL ? -errno : 0;
}

int archive_directory_sync(int dir_fd)
{
    return sync_below(dir_fd, ARCHIVE_NAME_PARTS);
}

/* -EINVAL for what is no regular file; a FIFO is not waited for. */
static int open_member(int dir_fd, const char *name, uint64_t *ret_file_bytes)
{
    const char *last = NULL;
    _cleanup_(fd_closep) int parent_fd = open_parent(dir_fd, name, false, &last);
    struct stat status;
    if (parent_fd < 0 || !last) {
        return parent_fd == -ENOTDIR || parent_fd == -ELOOP ? -EINVAL : parent_fd;
    }
    if (fstatat(parent_fd, last, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EINVAL;
    }
    _cleanup_(fd_closep) int fd =
        openat(parent_fd, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        return errno == ELOOP ? -EINVAL : -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EINVAL;
    }
    *ret_file_bytes = (uint64_t)status.st_size;
    return TAKE_FD(fd);
}

int archive_directory_read(int dir_fd, const char *name, size_t max_bytes, void **ret_bytes,
                           size_t *ret_n_bytes, uint64_t *ret_file_bytes)
{
    *ret_file_bytes = 0;
    _cleanup_(fd_closep) int fd = open_member(dir_fd, name, ret_file_bytes);
    if (fd < 0) {
        return fd;
    }
    size_t n_wanted = *ret_file_bytes < max_bytes ? (size_t)*ret_file_bytes : max_bytes;
    _cleanup_(freep) uint8_t *bytes = malloc(n_wanted + 1);
    if (!bytes) {
        return -ENOMEM;
    }
    size_t n_bytes = 0;
    while (n_bytes < n_wanted) {
        ssize_t n_read = read(fd, bytes + n_bytes, n_wanted - n_bytes);
        if (n_read < 0 && errno == EINTR) {
            continue;
        }
        if (n_read < 0) {
            return -errno;
        }
        if (n_read == 0) {
            break;
        }
        n_bytes += (size_t)n_read;
    }
    bytes[n_bytes] = '\0';
    *ret_bytes = TAKE_PTR(bytes);
    *ret_n_bytes = n_bytes;
    return 0;
}

/* `prefix` is "" or ends in a slash. */
static int find_below(int dir_fd, const char *prefix, unsigned int depth,
                      struct archive_members *members)
{
    _cleanup_(close_listing) DIR *listing = list(dir_fd);
    if (!listing) {
        return -errno;
    }
    const char *entry;
    while ((entry = next_entry(listing))) {
        char name[ARCHIVE_NAME_BYTES + 2];
        struct stat status;
        int length = snprintf(name, sizeof(name), "%s%s", prefix, entry);
        if (length > (int)ARCHIVE_NAME_BYTES || !archive_name_is_valid(name) ||
            fstatat(dir_fd, entry, &status, AT_SYMLINK_NOFOLLOW) < 0) {
            continue;
        }
        int r = 0;
        if (S_ISREG(status.st_mode)) {
            const struct archive_listed member = {.name = name,
                                                  .n_bytes = (uint64_t)status.st_size};
            r = archive_members_add(members, &member);
        } else if (S_ISDIR(status.st_mode) && depth > 0) {
            _cleanup_(fd_closep) int inner_fd = openat(dir_fd, entry, DIRECTORY);
            name[length] = '/';
            name[length + 1] = '\0';
            r = inner_fd < 0 ? 0 : find_below(inner_fd, name, depth - 1, members);
        }
        if (r == -ENOMEM || r == -E2BIG) {
            return r;
        }
    }
    return 0;
}

int archive_directory_find(int dir_fd, struct archive_members *members)
{
    int r = find_below(dir_fd, "", ARCHIVE_NAME_PARTS, members);
    return r == -E2BIG ? 0 : r;
}

/* 1, or 0 and the first file that is none of the members. `prefix` as above. */
static int has_only(int dir_fd, const char *prefix, const struct archive_members *members,
                    char *ret_stranger, size_t size)
{
    _cleanup_(close_listing) DIR *listing = list(dir_fd);
    if (!listing) {
        return -errno;
    }
    const char *entry;
    int r = 1;
    while (r == 1 && (entry = next_entry(listing))) {
        char name[ARCHIVE_NAME_BYTES + NAME_MAX + 2];
        struct stat status;
        int length = snprintf(name, sizeof(name), "%s%s", prefix, entry);
        if (fstatat(dir_fd, entry, &status, AT_SYMLINK_NOFOLLOW) < 0) {
            return -errno;
        }
        if (S_ISDIR(status.st_mode) && length < (int)ARCHIVE_NAME_BYTES) {
            _cleanup_(fd_closep) int inner_fd = openat(dir_fd, entry, DIRECTORY);
            name[length] = '/';
            name[length + 1] = '\0';
            r = inner_fd < 0 ? -errno : has_only(inner_fd, name, members, ret_stranger, size);
        } else if (!S_ISREG(status.st_mode) || (strcmp(name, ARCHIVE_MANIFEST_NAME) != 0 &&
                                                !archive_members_find(members, name))) {
            (void)snprintf(ret_stranger, size, "%s", name);
            r = 0;
        }
    }
    return r;
}

int archive_directory_is_ours(int dir_fd, char *ret_stranger, size_t size)
{
    _cleanup_(freep) void *text = NULL;
    _cleanup_(archive_members_releasep) struct archive_members members;
    size_t n_bytes = 0;
    uint64_t file_bytes;
    archive_members_init(&members);
    ret_stranger[0] = '\0';
    int r = archive_directory_read(dir_fd, ARCHIVE_MANIFEST_NAME, ARCHIVE_MAX_MANIFEST_BYTES, &text,
                                   &n_bytes, &file_bytes);
    if (r == -ENOENT) {
        _cleanup_(close_listing) DIR *listing = list(dir_fd);
        return listing ? !next_entry(listing) : -errno;
    }
    if (r < 0) {
        return r == -EINVAL ? 0 : r;
    }
    struct archive_manifest manifest;
    r = archive_manifest_read(text, n_bytes, &manifest, &members);
    if (r == -ENOMEM) {
        return r;
    }
    return r < 0 ? 0 : has_only(dir_fd, "", &members, ret_stranger, size);
}

static int remove_below(int parent_fd, const char *name, unsigned int depth)
{
    if (unlinkat(parent_fd, name, 0) == 0) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return -errno;
    }
    _cleanup_(fd_closep) int dir_fd = openat(parent_fd, name, DIRECTORY);
    _cleanup_(close_listing) DIR *listing = dir_fd < 0 ? NULL : list(dir_fd);
    if (!listing || depth == 0) {
        return listing ? -ELOOP : -errno;
    }
    const char *entry;
    while ((entry = next_entry(listing))) {
        int r = remove_below(dir_fd, entry, depth - 1);
        if (r < 0 && r != -ENOENT) {
            return r;
        }
    }
    return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int archive_directory_remove(int parent_fd, const char *name)
{
    return remove_below(parent_fd, name, REMOVE_MAX_DEPTH);
}
