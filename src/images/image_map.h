/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * image_map - what code is mapped where, now, in each process of a run
 *
 * Events arrive in time order, so the map of "now" is the right one for each
 * event; what it resolves is kept as (image, address), which no later
 * dlclose() or exec can falsify.
 *
 * Shape:   per pid a sorted array of non-overlapping ranges.
 * Owner:   the map. Threads: one (the aggregator).
 * Tests:   image_map_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ids.h"

struct image_map;

struct image_place {
    image_id image;
    /* File offset of the address; the run-time address itself for IMAGE_ID_UNKNOWN, the kernel and
     * anonymous code. */
    uint64_t offset;
};

int image_map_new(struct image_map **ret_map);
struct image_map *image_map_free(struct image_map *map);
DEFINE_FREEP(image_map);

/* Maps [start_ip, end_ip); whatever was there before is cut away. keeps_ip: offsets are run-time
 * addresses (anonymous code). */
int image_map_add(struct image_map *map, int64_t pid, uint64_t start_ip, uint64_t end_ip,
                  uint64_t file_offset, image_id image, bool keeps_ip);
int image_map_remove(struct image_map *map, int64_t pid, uint64_t start_ip, uint64_t end_ip);
void image_map_exec(struct image_map *map, int64_t pid);
int image_map_fork(struct image_map *map, int64_t pid, int64_t parent_pid);

/* Where `ip` of process `pid` lies: IMAGE_ID_UNKNOWN outside every mapping. */
struct image_place image_map_find(struct image_map *map, int64_t pid, uint64_t ip);

/* Grows whenever any answer of image_map_find() for this pid may have changed. */
uint64_t image_map_generation(const struct image_map *map, int64_t pid);

/* Calls on_range for each mapped range of a process, by address; offsets as image_map_find(). */
typedef void (*image_map_range_cb)(void *userdata, uint64_t start_ip, uint64_t end_ip,
                                   struct image_place start);
void image_map_each(const struct image_map *map, int64_t pid, image_map_range_cb on_range,
                    void *userdata);
