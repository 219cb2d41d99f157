/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * own_dwarf_test - the debug information of the test program that runs
 *
 * Owner:   the caller frees the file.
 * Threads: one.
 */

#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dwarf/dwarf_file.h"

static inline int own_take_bias(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size;
    *(uint64_t *)userdata = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

/* The link-time address of code of this program. */
static inline uint64_t own_address(const void *code)
{
    uint64_t bias = 0;
    dl_iterate_phdr(own_take_bias, &bias);
    return (uint64_t)(uintptr_t)code - bias;
}

static inline struct dwarf_file *own_dwarf(void)
{
    struct dwarf_file *file = NULL;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int r = dwarf_file_open(fd, -1, "/proc/self/exe", NULL, 0, &file);
    if (r < 0) {
        print_message("this program was built without debug information\n");
        skip();
    }
    return file;
}
