/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_directory - members as files below a directory
 *
 * Each part of a name is opened by itself and below the one before, following no
 * link: nothing outside of the directory is read, written or removed, whatever
 * somebody has put into it.
 *
 * Owner:   borrows the directory's descriptor.
 * Threads: any.
 * Tests:   archive_directory_test.c, archive_file_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/archive_manifest.h"

/* Writes one member, synced. 0 or a negative errno; -EEXIST where there is one. */
int archive_directory_write(int dir_fd, const char *name, const void *bytes, size_t n_bytes);

/* Syncs all directories in it. */
int archive_directory_sync(int dir_fd);

/*
 * Up to `max_bytes` of a member, free() them, and the size of the file. 0, or a
 * negative errno; -ENOENT where there is none, -EINVAL where it is no regular file.
 */
int archive_directory_read(int dir_fd, const char *name, size_t max_bytes, void **ret_bytes,
                           size_t *ret_n_bytes, uint64_t *ret_file_bytes);

/* Adds the files that are there and could be members, without looking into them. */
int archive_directory_find(int dir_fd, struct archive_members *members);

/*
 * Is it an archive, with nothing in it that does not belong to it, or empty? 1;
 * 0, and the name of a stranger (at most `size` bytes, "" where there is no
 * manifest of ours); or a negative errno.
 */
int archive_directory_is_ours(int dir_fd, char *ret_stranger, size_t size);

/* Removes a file, or a directory with all that is in it. */
int archive_directory_remove(int parent_fd, const char *name);
