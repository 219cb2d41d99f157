/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * path_search - the file that a command name stands for, as execvp(3) finds it
 *
 * Owner:   the caller's buffer.
 * Threads: any.
 * Tests:   path_search_test.c
 */

#include <stddef.h>

enum {
    PATH_SEARCH_E_NOT_FOUND = 1,
    PATH_SEARCH_E_NOT_EXECUTABLE, /* a file of that name is there, errno says why it won't do */
};

/*
 * A name with a slash is the path itself; any other is looked up in PATH. The
 * answer holds a slash in any case.
 *
 * Returns 0, PATH_SEARCH_E_…, or -ENAMETOOLONG.
 */
int path_search(const char *name, char *ret_path, size_t path_bytes);
