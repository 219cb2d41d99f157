/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kernel_of_file - is the kernel of a recording the one that runs here?
 *
 * Addresses of the kernel mean something only for one kernel between one boot
 * and the next. Names of another one would be wrong without anybody noticing.
 *
 * Owner, Threads: values; reads /proc and /sys.
 * Tests:   kernel_of_file_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/limits.h"

/* What a file tells of its kernel. */
struct kernel_of_file {
    const char *host, *release; /* "": not told */
    uint64_t written_at_unix_ns;
    uint8_t build_id_bytes; /* 0: not told */
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    const char *symbol; /* "_text"; "": none */
    uint64_t symbol_ip; /* 0: hidden */
};

/* False where it is another, or has been booted again since; *ret_why (constant text) says so. */
bool kernel_of_file_is_here(const struct kernel_of_file *kernel, const char **ret_why);

/* The build-id among ELF notes; 0 bytes: none. */
size_t kernel_notes_build_id(const void *notes, size_t n_bytes,
                             uint8_t ret_build_id[LIMIT_BUILD_ID_BYTES]);
