/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * image_table - every file (or other source of code) that a run has met
 *
 * Shape:   image_id → struct image. Those below IMAGE_ID_FIRST are always
 *          there (IMAGE_ID_UNKNOWN, …_KERNEL, …_NAMED). Two mappings are the same
 *          image when path, device, inode and build-id agree.
 * Owner:   the table owns strings; nothing moves until image_table_free().
 * Threads: one writer (the aggregator). Readers may look at ids that the
 *          writer has published to them.
 * Limits:  IMAGE_TABLE_MAX images, then -ENOSPC.
 * Tests:   image_table_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/event.h"
#include "model/ids.h"

#define IMAGE_TABLE_MAX (1u << 20)

enum image_kind {
    IMAGE_KIND_UNKNOWN,
    IMAGE_KIND_KERNEL,
    IMAGE_KIND_FILE,
    IMAGE_KIND_VDSO,
    IMAGE_KIND_ANONYMOUS
};

struct image {
    image_id id;
    enum image_kind kind;
    const char *path; /* as mapped; "[kernel]", "[vdso]", "[unknown]", "[anon]" */
    const char *name; /* base name */
    uint64_t inode;
    uint32_t device_major, device_minor;
    uint8_t build_id_bytes;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    int64_t pid;       /* first process that mapped it */
    uint64_t start_ip; /* of its first mapping (for the vdso, read from memory) */
    uint64_t end_ip;
    uint64_t start_offset; /* in the file, of start_ip */
};

struct image_table;

int image_table_new(struct image_table **ret_table);
struct image_table *image_table_free(struct image_table *table);
DEFINE_FREEP(image_table);

/* Finds or adds the image of a mapping. *ret_is_new tells whether it was added. */
int image_table_intern(struct image_table *table, int64_t pid, const struct event_image *mapping,
                       image_id *ret_id, bool *ret_is_new);

/*
 * Puts an image of an earlier run behind the others, with all that is known of it but its id and
 * name; borrowed. It is not found by image_table_intern().
 */
int image_table_append(struct image_table *table, const struct image *image);

/* Any thread, for ids below a count that was handed over. */
const struct image *image_table_get(const struct image_table *table, image_id id);
uint32_t image_table_count(const struct image_table *table);
