/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * image_file - the bytes behind an image
 *
 * Opened through the target while it lives (/proc/PID/map_files, then
 * /proc/PID/root/PATH), so that containers and deleted files work, else by
 * path; accepted only when device and inode (or the build-id) are those of the
 * mapping. The vdso is copied from the target's memory (/proc/PID/mem).
 *
 * Owner:   image_file_open()/image_file_close(). The bytes are a private
 *          read-only mapping or a copy; the file may shrink under us, so
 *          parsers read through elf_file, which bounds everything.
 * Threads: one at a time.
 * Tests:   image_file_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "images/image_table.h"

struct image_file;

/* Opens and holds the descriptor only; cheap. 0 or negative errno, reason in reterr_error. */
int image_file_open(const struct image *image, struct image_file **ret_file,
                    struct error *reterr_error);
struct image_file *image_file_free(struct image_file *file);
DEFINE_FREEP(image_file);

/* A descriptor for libelf, borrowed; -1 for the vdso (then image_file_memory()). */
int image_file_descriptor(const struct image_file *file);
const void *image_file_memory(const struct image_file *file, size_t *ret_n_bytes);
