/* SPDX-License-Identifier: MIT */
#include "query/shown_stacks.h"

#include <errno.h>
#include <stdlib.h>

void shown_stacks_init(const struct query_context *context, size_t max_frames,
                       struct shown_stacks *ret_stacks)
{
    *ret_stacks = (struct shown_stacks){.context = context, .max_frames = max_frames};
    hash_table_init(&ret_stacks->ids);
}

void shown_stacks_release(struct shown_stacks *stacks)
{
    hash_table_release(&stacks->ids);
    free(stacks->stacks);
    stacks->stacks = NULL;
}

int shown_stacks_get(struct shown_stacks *stacks, stack_id stack, struct shown_stack *ret_stack)
{
    uint32_t known = hash_table_find(&stacks->ids, stack);
    if (known != HASH_TABLE_NONE) {
        *ret_stack = stacks->stacks[known];
        return 0;
    }
    if (stacks->n_stacks == stacks->capacity) {
        uint32_t capacity = stacks->capacity ? 2 * stacks->capacity : 64;
        struct shown_stack *grown = reallocarray(stacks->stacks, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        stacks->stacks = grown;
        stacks->capacity = capacity;
    }
    struct shown_stack *shown = &stacks->stacks[stacks->n_stacks];
    int r = frames_of_stack(stacks->context, stack, stacks->max_frames, &shown->frames,
                            &shown->n_frames);
    r = r ? r : hash_table_add(&stacks->ids, stack, stacks->n_stacks);
    if (r != 0) {
        return r;
    }
    stacks->n_stacks++;
    *ret_stack = *shown;
    return 0;
}
