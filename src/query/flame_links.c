/* SPDX-License-Identifier: MIT */
#include "query/flame_links.h"

#include <errno.h>
#include <stdlib.h>

#include "query/stack_frames.h"

static int by_node(const void *left, const void *right)
{
    const struct flame_link *a = left, *b = right;
    if (a->node != b->node) {
        return a->node < b->node ? -1 : 1;
    }
    if (a->lane != b->lane) {
        return a->lane < b->lane ? -1 : 1;
    }
    return a->name < b->name ? -1 : a->name > b->name;
}

/* Where the tree has this stack; CALL_TREE_ROOT: nowhere. */
static uint32_t find_node(const struct query_context *context,
                          const struct attribution *attribution, const struct call_tree *calls,
                          stack_id stack)
{
    if (attribution->stack_is_kept && !attribution->stack_is_kept[stack]) {
        return CALL_TREE_ROOT;
    }
    uint32_t node = calls->node_of_stack[stack];
    /* Waits are counted without the frames of the scheduler. */
    return node != CALL_TREE_ROOT ? node
                                  : calls->node_of_stack[stack_without_scheduler(context, stack)];
}

static size_t merge(struct flame_link *links, size_t n_links)
{
    size_t n_merged = 0;
    if (n_links > 1) {
        qsort(links, n_links, sizeof(*links), by_node);
    }
    for (size_t i = 0; i < n_links; i++) {
        if (n_merged > 0 && by_node(&links[n_merged - 1], &links[i]) == 0) {
            links[n_merged - 1].n_waits += links[i].n_waits;
            links[n_merged - 1].waited_ns += links[i].waited_ns;
        } else {
            links[n_merged++] = links[i];
        }
    }
    return n_merged;
}

int flame_links_make(const struct query_context *context, const struct attribution *attribution,
                     const struct call_tree *calls, struct flame_links *ret_links)
{
    const struct snapshot *snapshot = context->snapshot;
    const struct span_view *view = attribution->span_view;
    *ret_links = (struct flame_links){0};
    if (!view || view->has_range || snapshot->n_span_wait_sums == 0) {
        return 0;
    }
    struct flame_link *links =
        arena_alloc_array(context->arena, snapshot->n_span_wait_sums, sizeof(*links));
    if (!links) {
        return -ENOMEM;
    }
    size_t n_links = 0;
    for (size_t i = 0; i < snapshot->n_span_wait_sums; i++) {
        const struct span_wait_sums *sums = &snapshot->span_wait_sums[i];
        bool is_chosen = sums->thread < snapshot->n_threads &&
                         attribution->threads[sums->thread].is_in_view &&
                         span_view_keeps(view, sums->lane, sums->name, STACK_ID_EMPTY);
        uint32_t node =
            is_chosen ? find_node(context, attribution, calls, sums->stack) : CALL_TREE_ROOT;
        if (node != CALL_TREE_ROOT) {
            links[n_links++] = (struct flame_link){
                .node = node,
                .lane = sums->lane,
                .name = sums->name,
                .n_waits = sums->n_waits,
                .waited_ns = sums->waited_ns,
            };
        }
    }
    ret_links->links = links;
    ret_links->n_links = merge(links, n_links);
    return 0;
}

const struct flame_link *flame_links_of(const struct flame_links *links, uint32_t node,
                                        size_t *ret_n_links)
{
    size_t low = 0, high = links->n_links;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (links->links[middle].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < links->n_links && links->links[end].node == node) {
        end++;
    }
    *ret_n_links = end - low;
    return &links->links[low];
}
