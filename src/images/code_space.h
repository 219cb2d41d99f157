/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_space - the images of a run and where they are mapped, as events tell
 *
 * Owner:   code_space_new()/_free().
 * Threads: one writer; code_space.images may be read by others for ids that
 *          were handed to them.
 * Tests:   code_space_test.c
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "images/image_map.h"
#include "images/image_table.h"
#include "model/event.h"

struct code_space {
    struct image_table *images;
    struct image_map *map;
};

int code_space_new(struct code_space **ret_space);
struct code_space *code_space_free(struct code_space *space);
DEFINE_FREEP(code_space);

/*
 * Applies an EVENT_IMAGE. *ret_new: an image that was not known before, or
 * NULL. 0, -ENOMEM, or -ENOSPC where a table is full.
 */
int code_space_apply(struct code_space *space, const struct event *event,
                     const struct image **ret_new);
