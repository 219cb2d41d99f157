/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * setup_run - programs of the system that setup runs, and those that belong to stax
 *
 * Owner:   the caller's memory. Threads: one; forks.
 * Tests:   setup_run_linux_test.c
 */

#include <stddef.h>

/* Runs a program from the system's own folders, its output on stderr, and waits. Its exit status,
 * or a negative errno. */
int setup_run(const char *const *argv);

/* The file of that name beside stax, as a path. 0 or a negative errno. */
int setup_run_path(const char *name, char *ret_path, size_t path_bytes);

/* The same opened, or the one at `installed` from there. A descriptor or a negative errno. */
int setup_run_find(const char *name, const char *installed);
