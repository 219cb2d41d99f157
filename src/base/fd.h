/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * fd - file descriptors with an owner
 *
 * Owner:   `_cleanup_(fd_closep) int fd = -1;`
 * Threads: any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes if >= 0, keeps errno, returns -1. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
    *fd = fd_close(*fd);
}

/* Reads a whole small file (procfs sizes are unknown): NUL-terminated, free() it. -EFBIG past
 * max_bytes. */
int fd_read_file(const char *path, size_t max_bytes, char **ret_data, size_t *ret_n_bytes);
int fd_read_all(int fd, size_t max_bytes, char **ret_data, size_t *ret_n_bytes);

/* Writes all or returns a negative errno; EINTR is retried. */
int fd_write_all(int fd, const void *data, size_t n_bytes);

/*
 * Opens a regular file for reading and nothing else: what is looked at first touches no device and
 * waits for no FIFO. A negative errno; -EINVAL for what is no regular file.
 */
int fd_open_regular(const char *path);

int fd_set_nonblocking(int fd, bool nonblocking);
int fd_set_cloexec(int fd, bool cloexec);
