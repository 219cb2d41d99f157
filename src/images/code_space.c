/* SPDX-License-Identifier: MIT */
#include "images/code_space.h"

#include <errno.h>
#include <stdlib.h>

int code_space_new(struct code_space **ret_space)
{
    _cleanup_(code_space_freep) struct code_space *space = calloc(1, sizeof(*space));
    if (!space) {
        return -ENOMEM;
    }
    int r = image_table_new(&space->images);
    r = r ? r : image_map_new(&space->map);
    if (r == 0) {
        *ret_space = TAKE_PTR(space);
    }
    return r;
}

struct code_space *code_space_free(struct code_space *space)
{
    if (space) {
        image_table_free(space->images);
        image_map_free(space->map);
        free(space);
    }
    return NULL;
}

static int map_image(struct code_space *space, const struct event *event,
                     const struct image **ret_new)
{
    image_id id;
    bool is_new;
    int r = image_table_intern(space->images, event->pid, event->image, &id, &is_new);
    if (r != 0) {
        return r;
    }
    const struct image *image = image_table_get(space->images, id);
    if (is_new) {
        *ret_new = image;
    }
    bool keeps_ip = image->kind == IMAGE_KIND_ANONYMOUS || image->kind == IMAGE_KIND_UNKNOWN ||
                    image->kind == IMAGE_KIND_KERNEL;
    return image_map_add(space->map, event->pid, event->image->start_ip, event->image->end_ip,
                         event->image->file_offset, id, keeps_ip);
}

int code_space_apply(struct code_space *space, const struct event *event,
                     const struct image **ret_new)
{
    *ret_new = NULL;
    switch (event->image->change) {
    case EVENT_IMAGE_MAPPED:
        return map_image(space, event, ret_new);
    case EVENT_IMAGE_UNMAPPED:
        return image_map_remove(space->map, event->pid, event->image->start_ip,
                                event->image->end_ip);
    case EVENT_IMAGE_EXEC:
        image_map_exec(space->map, event->pid);
        return 0;
    case EVENT_IMAGE_FORKED:
        return image_map_fork(space->map, event->pid, event->image->parent_pid);
    }
    return -EINVAL;
}
