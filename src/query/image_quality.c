/* SPDX-License-Identifier: MIT */
#include "query/image_quality.h"

#include <errno.h>
#include <string.h>

#include "query/query_names.h"

/* What stands in for a missing name is "image+0xoffset", the place or where its function starts. */
static bool is_named(const struct symbol *symbol)
{
    return !symbol->is_nameless && (symbol->size_bytes > 0 || !strstr(symbol->name, "+0x"));
}

int image_quality_compute(const struct snapshot *snapshot, struct query_names *names,
                          struct arena *arena, struct image_quality **ret_qualities)
{
    struct image_quality *qualities =
        arena_alloc_array(arena, snapshot->n_images, sizeof(*qualities));
    if (!qualities) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        stack_id stack = snapshot_pair(snapshot, i).stack;
        if (stack == STACK_ID_EMPTY) {
            continue;
        }
        frame_id frame = snapshot_stack(snapshot, stack).frame;
        image_id image = snapshot_frame(snapshot, frame).image;
        if (image < snapshot->n_images) {
            uint64_t count = snapshot->pair_counts[i];
            bool has_name = is_named(query_names_find(names, snapshot, frame));
            qualities[image].n_samples += count;
            qualities[image].n_named += has_name ? count : 0;
        }
    }
    *ret_qualities = qualities;
    return 0;
}
