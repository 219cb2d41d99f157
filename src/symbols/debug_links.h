/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * debug_links - what a file says of where the rest of it is
 *
 * .gnu_debuglink names the file with what was stripped and gives its checksum;
 * .gnu_debugaltlink (or DWARF 5's .debug_sup) names the file that dwz shares
 * between several and gives its build-id.
 *
 * Owner:   names are borrowed from the elf_file.
 * Threads: the one of the elf_file; checksums any.
 * Limits:  a name of NAME_MAX bytes without '/' (a link), of LIMIT_PATH_BYTES
 *          (the other); anything else is no link.
 * Source:  GDB manual, "Debugging Information in Separate Files"; DWARF 5, 7.3.6.
 * Tests:   debug_links_test.c; tests/fuzz/fuzz_debug_links.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/elf_file.h"

struct debug_link {
    const char *name;
    uint32_t checksum; /* CRC-32 (IEEE 802.3) of the whole file */
};

struct debug_alternate_link {
    const char *path; /* absolute, or relative to the folder of the file that has the link */
    const uint8_t *build_id;
    size_t build_id_bytes; /* LIMIT_BUILD_ID_BYTES at most */
};

bool debug_link_read(struct elf_file *elf, struct debug_link *ret_link);
bool debug_alternate_link_read(struct elf_file *elf, struct debug_alternate_link *ret_link);

/* How much may be read for checksums, and whether anybody still waits for them. */
struct debug_checksum_effort {
    uint64_t n_left_bytes;
    const atomic_bool *is_cancelled; /* NULL: never */
};

/*
 * The checksum of an open file. The last few are remembered by the file and
 * its time, so that the same one is not read for every image that names it. 0,
 * -EFBIG where it takes more than what is left, -ECANCELED, or why it cannot
 * be read.
 */
int debug_link_checksum(int fd, struct debug_checksum_effort *effort, uint32_t *ret_checksum);
