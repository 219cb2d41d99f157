/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * image_symbols - all that is known of one image's code, whatever its source
 *
 * Owner:   image_symbols_load_*()/image_symbols_free(); symbols live as long.
 * Threads: loading on one; then any number may find.
 * Tests:   symbolizer_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "images/elf_file.h"
#include "images/image_file.h"
#include "images/image_table.h"
#include "symbols/function_table.h"

struct image_symbols {
    struct elf_layout layout; /* no segments: offsets are addresses already */
    struct function_table *functions;
    const char *origin; /* as symbol_source_info.origin */
};

/* From the bytes of a file or vdso. 0, or a negative errno with the reason. */
int image_symbols_load_elf(const struct image *image, const struct image_file *file,
                           struct image_symbols **ret_symbols, struct error *reterr_error);

/* From the text of /proc/kallsyms, which is modified. */
int image_symbols_load_kernel(char *text, size_t n_bytes, struct image_symbols **ret_symbols,
                              struct error *reterr_error);

struct image_symbols *image_symbols_free(struct image_symbols *symbols);
DEFINE_FREEP(image_symbols);

/* See symbol_source_find(). */
const struct symbol *image_symbols_find(struct image_symbols *symbols, uint64_t offset,
                                        uint64_t *ret_image_addr);
