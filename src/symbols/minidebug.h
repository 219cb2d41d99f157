/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * minidebug - the small symbol table that some distributions leave in a file
 *
 * .gnu_debugdata holds an ELF file with a .symtab and little else, packed by
 * xz: the names of the functions that .dynsym does not have.
 *
 * Owner:   the unpacked bytes are the caller's (free()).
 * Threads: any.
 * Limits:  MINIDEBUG_MAX_BYTES unpacked, MINIDEBUG_MAX_DECODER_BYTES of memory
 *          for the decoder: past them the section is as good as absent.
 * Source:  GDB manual, "Debugging information in a special section"; the xz
 *          file format, 1.0.4.
 * Tests:   minidebug_test.c; tests/fuzz/fuzz_debug_links.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "images/elf_file.h"

#define MINIDEBUG_MAX_BYTES (64u << 20)
/* "xz -9" asks for 65 MiB. */
#define MINIDEBUG_MAX_DECODER_BYTES (UINT64_C(80) << 20)

/*
 * 0; -ENOENT: the file has none; -EFBIG past a limit; -EBADMSG: corrupt or cut
 * off; -ENOMEM.
 */
int minidebug_unpack(struct elf_file *elf, char **ret_data, size_t *ret_n_bytes);

/* The same for packed bytes. */
int minidebug_unpack_bytes(struct bytes packed, size_t max_bytes, char **ret_data,
                           size_t *ret_n_bytes);
