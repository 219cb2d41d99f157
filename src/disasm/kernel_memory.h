/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kernel_memory - the kernel's code as it is now, where we may read it
 *
 * The file looks like a core dump of the kernel: its program headers say which
 * addresses stand where.
 *
 * Owner:   the caller's buffer. Threads: any.
 * Limits:  KERNEL_MEMORY_MAX_SEGMENTS segments.
 * Source:  proc(5), /proc/kcore; System V ABI, chapter 5.
 * Tests:   kernel_memory_test.c
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define KERNEL_MEMORY_PATH "/proc/kcore"
#define KERNEL_MEMORY_MAX_SEGMENTS 4096u

/* How many bytes could be read, from the beginning; or a negative errno with the reason. */
ssize_t kernel_memory_read(const char *path, uint64_t address, void *buffer, size_t n_bytes,
                           struct error *reterr_error);
