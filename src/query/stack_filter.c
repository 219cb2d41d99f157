/* SPDX-License-Identifier: MIT */
#include "query/stack_filter.h"

#include <errno.h>

#include "query/pattern.h"
#include "query/query_names.h"

enum { FRAME_KNOWN = 4 };

static uint8_t flags_of_frame(const struct query_context *context, const struct patterns *exclude,
                              const struct patterns *focus, frame_id frame, uint8_t *frame_flags)
{
    if (!(frame_flags[frame] & FRAME_KNOWN)) {
        struct name_chain chain;
        query_names_find_chain(context->names, context->snapshot, frame, &chain);
        frame_flags[frame] = FRAME_KNOWN;
        for (uint32_t i = 0; i < chain.n_entries; i++) {
            const struct symbol *symbol = chain.entries[i].symbol;
            frame_flags[frame] |= (uint8_t)((patterns_match(exclude, symbol) ? STACK_EXCLUDED : 0) |
                                            (patterns_match(focus, symbol) ? STACK_FOCUSED : 0));
        }
    }
    return frame_flags[frame] & (STACK_EXCLUDED | STACK_FOCUSED);
}

/* Parents have smaller ids than their children: one forward pass hands their flags down. */
static int mark(const struct query_context *context, const struct patterns *exclude,
                const struct patterns *focus, uint8_t **ret_flags)
{
    const struct snapshot *snapshot = context->snapshot;
    uint8_t *frame_flags = arena_alloc(context->arena, snapshot->n_frames);
    uint8_t *stack_flags = arena_alloc(context->arena, snapshot->n_stacks);
    if (!frame_flags || !stack_flags) {
        return -ENOMEM;
    }
    for (stack_id id = 1; id < snapshot->n_stacks; id++) {
        struct stack_node node = snapshot_stack(snapshot, id);
        stack_flags[id] = stack_flags[node.parent] |
                          flags_of_frame(context, exclude, focus, node.frame, frame_flags);
    }
    *ret_flags = stack_flags;
    return 0;
}

static int make_flags(const struct query_context *context, uint8_t **ret_flags,
                      struct error *reterr_error)
{
    const struct view *view = context->view;
    struct patterns *both = arena_alloc_array(context->arena, 2, sizeof(*both));
    if (!both) {
        return -ENOMEM;
    }
    int r = patterns_compile(view->exclude, view->n_exclude, &both[0], reterr_error);
    r = r ? r : patterns_compile(view->focus, view->n_focus, &both[1], reterr_error);
    r = r ? r : mark(context, &both[0], &both[1], ret_flags);
    patterns_release(&both[0]);
    patterns_release(&both[1]);
    return r;
}

int stack_filter_flags(const struct query_context *context, const uint8_t **ret_flags,
                       struct error *reterr_error)
{
    uint8_t *flags;
    bool has_patterns = context->view->n_exclude > 0 || context->view->n_focus > 0;
    if (!has_patterns) {
        flags = arena_alloc(context->arena, context->snapshot->n_stacks);
        *ret_flags = flags;
        return flags ? 0 : -ENOMEM;
    }
    int r = make_flags(context, &flags, reterr_error);
    *ret_flags = r == 0 ? flags : NULL;
    return r;
}

int stack_filter_make(const struct query_context *context, const uint8_t **ret_is_kept,
                      struct error *reterr_error)
{
    const struct view *view = context->view;
    if (view->n_exclude == 0 && view->n_focus == 0) {
        *ret_is_kept = NULL;
        return 0;
    }
    uint8_t *flags;
    int r = make_flags(context, &flags, reterr_error);
    if (r != 0) {
        return r;
    }
    for (stack_id id = 0; id < context->snapshot->n_stacks; id++) {
        bool is_focused = view->n_focus == 0 || (flags[id] & STACK_FOCUSED);
        flags[id] = is_focused && !(flags[id] & STACK_EXCLUDED);
    }
    *ret_is_kept = flags;
    return 0;
}
