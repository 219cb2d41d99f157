/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "query/flame_tree.h"

/* JSON nests twice per frame; readers bound their depth. */
#define DEPTH_MAX 900u

/* CPU time without a place is a child of the root like any other. */
static int add_placeless(const struct attribution *attribution, struct arena *arena,
                         struct flame_node *root)
{
    struct flame_node *children = arena_alloc_array(arena, root->n_children + 2, sizeof(*children));
    if (!children) {
        return -ENOMEM;
    }
    size_t n_children = root->n_children;
    for (size_t i = 0; i < n_children; i++) {
        children[i] = root->children[i];
    }
    if (attribution->unsampled_ns > 0) {
        children[n_children++] = (struct flame_node){
            .name = "(not sampled)",
            .image = "",
            .active_ns = attribution->unsampled_ns,
            .self_active_ns = attribution->unsampled_ns,
        };
    }
    if (attribution->stack_samples[STACK_ID_EMPTY] > 0) {
        children[n_children++] = (struct flame_node){
            .name = "(no stack)",
            .image = "",
            .active_ns = attribution->stack_ns[STACK_ID_EMPTY],
            .self_active_ns = attribution->stack_ns[STACK_ID_EMPTY],
            .samples = attribution->stack_samples[STACK_ID_EMPTY],
        };
    }
    qsort(children, n_children, sizeof(*children), flame_tree_by_weight);
    root->children = children;
    root->n_children = n_children;
    return 0;
}

static int refuse_mode(enum view_mode mode, struct error *reterr_error)
{
    if (mode == VIEW_MODE_ACTIVE || mode == VIEW_MODE_CPU) {
        return 0;
    }
    error_set(reterr_error, "not_supported", "this version has the modes `active` and `cpu` only");
    error_hint(reterr_error, "`stax threads` shows how long each thread waited");
    return -EINVAL;
}

int query_flame(const struct query_context *context, const struct query_flame_options *options,
                struct flame_result *ret_result, struct error *reterr_error)
{
    struct attribution attribution;
    struct call_tree calls;
    int r = refuse_mode(context->view->mode, reterr_error);
    r = r ? r : attribution_compute(context, &attribution, reterr_error);
    r = r ? r : call_tree_build(context, &attribution, CALL_TREE_BY_FUNCTION, &calls);
    if (r != 0) {
        return r;
    }
    const struct totals *totals = &attribution.totals;
    bool has_depth = options->max_depth > 0 && options->max_depth < DEPTH_MAX;
    struct flame_tree tree = {
        .calls = &calls,
        .arena = context->arena,
        .threshold_ns = (uint64_t)((double)totals->active_ns * options->threshold_pct / 100.0),
        .max_depth = has_depth ? options->max_depth : DEPTH_MAX,
    };
    struct flame_node root = {
        .name = "(all)",
        .image = "",
        .active_ns = totals->active_ns,
        .off_cpu_ns = totals->off_cpu_ns,
        .samples = totals->samples,
    };
    r = options->invert ? flame_tree_build_inverted(&tree, &root) : flame_tree_build(&tree, &root);
    r = r ? r : add_placeless(&attribution, context->arena, &root);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct flame_result){
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .mode = context->view->mode,
        .inverted = options->invert,
        .totals = *totals,
        .root = root,
        .hint = attribution_hint(context, &attribution),
    };
    return 0;
}
