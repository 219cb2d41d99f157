/* SPDX-License-Identifier: MIT */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_MIN_BYTES ((size_t)4 << 10)

int fd_close(int fd)
{
    if (fd >= 0) {
        int saved_errno = errno;
        (void)close(fd);
        errno = saved_errno;
    }
    return -1;
}

int fd_read_file(const char *path, size_t max_bytes, char **ret_data, size_t *ret_n_bytes)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    return fd_read_all(fd, max_bytes, ret_data, ret_n_bytes);
}

/* Doubles the buffer, up to the maximum, the byte that would show the excess, and a NUL. */
static int grow(char **data, size_t *capacity_bytes, size_t max_bytes)
{
    size_t limit_bytes = max_bytes > SIZE_MAX - 2 ? SIZE_MAX : max_bytes + 2;
    size_t wanted_bytes = *capacity_bytes == 0 ? READ_MIN_BYTES : *capacity_bytes * 2;
    if (wanted_bytes > limit_bytes) {
        wanted_bytes = limit_bytes;
    }
    char *grown = realloc(*data, wanted_bytes);
    if (!grown) {
        return -ENOMEM;
    }
    *data = grown;
    *capacity_bytes = wanted_bytes;
    return 0;
}

int fd_read_all(int fd, size_t max_bytes, char **ret_data, size_t *ret_n_bytes)
{
    _cleanup_(freep) char *data = NULL;
    size_t capacity_bytes = 0;
    size_t n_bytes = 0;
    for (;;) {
        if (capacity_bytes < n_bytes + 2) {
            int r = grow(&data, &capacity_bytes, max_bytes);
            if (r < 0) {
                return r;
            }
        }
        ssize_t n_read = read(fd, data + n_bytes, capacity_bytes - n_bytes - 1);
        if (n_read < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        if (n_read == 0) {
            break;
        }
        n_bytes += (size_t)n_read;
        if (n_bytes > max_bytes) {
            return -EFBIG;
        }
    }
    data[n_bytes] = '\0';
    if (ret_n_bytes) {
        *ret_n_bytes = n_bytes;
    }
    *ret_data = TAKE_PTR(data);
    return 0;
}

int fd_write_all(int fd, const void *data, size_t n_bytes)
{
    const char *at = data;
    while (n_bytes > 0) {
        ssize_t n_written = write(fd, at, n_bytes);
        if (n_written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        if (n_written == 0) {
            return -EIO;
        }
        at += n_written;
        n_bytes -= (size_t)n_written;
    }
    return 0;
}

static int set_flag(int fd, int get_command, int set_command, int flag, bool wanted)
{
    int flags = fcntl(fd, get_command);
    if (flags < 0) {
        return -errno;
    }
    int wanted_flags = wanted ? flags | flag : flags & ~flag;
    if (wanted_flags != flags && fcntl(fd, set_command, wanted_flags) < 0) {
        return -errno;
    }
    return 0;
}

int fd_open_regular(const char *path)
{
    _cleanup_(fd_closep) int handle = open(path, O_PATH | O_CLOEXEC);
    struct stat status;
    if (handle < 0 || fstat(handle, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EINVAL;
    }
    char again[32];
    snprintf(again, sizeof(again), "/proc/self/fd/%d", handle);
    int fd = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

int fd_set_nonblocking(int fd, bool nonblocking)
{
    return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, nonblocking);
}

int fd_set_cloexec(int fd, bool cloexec)
{
    return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, cloexec);
}
