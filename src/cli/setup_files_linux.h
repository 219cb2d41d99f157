/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * setup_files - files that root puts where nobody else can change them
 *
 * Every folder on the way is opened for itself, without following links, and
 * must belong to root (or whoever runs this) and be writable by nobody else:
 * what is installed is started as root later on.
 *
 * Owner:   the caller's memory. Threads: any.
 * Tests:   setup_files_linux_test.c; tests/e2e/test_setup.py
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct setup_content {
    const char *text; /* NULL: of the file … */
    size_t n_bytes;
    int fd; /* … borrowed */
};

/*
 * Writes a whole new file and puts it in the place of an old one; folders that
 * are missing are made. `root` (NULL: "/") is the folder that `path` is below.
 * 0 or a negative errno.
 */
int setup_files_put(const char *root, const char *path, const struct setup_content *content,
                    mode_t mode, struct error *reterr_error);

/* Removes a file, and its folder where that is empty then and its name is "stax". What is not
 * there is no error. */
int setup_files_remove(const char *root, const char *path, struct error *reterr_error);
