/* SPDX-License-Identifier: MIT */
#include "query/stack_frames.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "query/call_tree.h"
#include "query/query_names.h"

/* Fills up to `max` frames; how many there are. `frames` may be NULL where max is 0. */
static size_t walk(const struct query_context *context, stack_id stack, size_t max,
                   struct frame_result *frames)
{
    size_t n = 0;
    while (stack != STACK_ID_EMPTY) {
        struct stack_node node = snapshot_stack(context->snapshot, stack);
        struct name_chain chain;
        query_names_find_chain(context->names, context->snapshot, node.frame, &chain);
        for (uint32_t i = 0; i < chain.n_entries && n + i < max; i++) {
            const struct symbol_chain_entry *entry = &chain.entries[i];
            frames[n + i] = (struct frame_result){
                .name = entry->symbol->name,
                .image = entry->symbol->image,
                .kind = entry->symbol->kind,
                .inlined = entry->is_inlined,
                .address =
                    entry->is_inlined ? NULL : call_tree_address(context->arena, entry->symbol),
                .file = entry->file,
                .line = entry->line,
            };
        }
        n += chain.n_entries;
        stack = node.parent;
    }
    return n;
}

size_t stack_frames_count(const struct query_context *context, stack_id stack)
{
    return walk(context, stack, 0, NULL);
}

int frames_of_stack(const struct query_context *context, stack_id stack, size_t max,
                    struct frame_result **ret_frames, size_t *ret_n_frames)
{
    size_t n = stack_frames_count(context, stack);
    if (max > 0 && n > max) {
        n = max;
    }
    struct frame_result *frames = arena_alloc_array(context->arena, n, sizeof(*frames));
    if (!frames) {
        return -ENOMEM;
    }
    /* Names that came in between may have made the stack longer, or shorter. */
    size_t n_now = walk(context, stack, n, frames);
    *ret_frames = frames;
    *ret_n_frames = n_now < n ? n_now : n;
    return 0;
}

stack_id stack_without_scheduler(const struct query_context *context, stack_id stack)
{
    while (stack != STACK_ID_EMPTY) {
        struct stack_node node = snapshot_stack(context->snapshot, stack);
        image_id image = snapshot_frame(context->snapshot, node.frame).image;
        if (snapshot_image(context->snapshot, image)->kind != IMAGE_KIND_KERNEL) {
            break;
        }
        const char *name = query_names_find(context->names, context->snapshot, node.frame)->name;
        if (strcmp(name, "schedule") != 0 && strcmp(name, "__schedule") != 0) {
            break;
        }
        stack = node.parent;
    }
    return stack;
}
