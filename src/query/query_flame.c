/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "query/flame_tree.h"

/* JSON nests twice per frame; readers bound their depth. */
#define DEPTH_MAX 900u

/* Time without a place is a child of the root like any other. */
static int add_placeless(const struct attribution *attribution, const struct flame_tree *tree,
                         struct flame_node *root)
{
    const struct stack_waits *waits = attribution->stack_waits;
    bool has_cpu = tree->mode != VIEW_MODE_OFF_CPU;
    const struct flame_node placeless[] = {
        {
            .name = "(not sampled)",
            .image = "",
            .active_ns = has_cpu ? attribution->unsampled_ns : 0,
            .self_active_ns = has_cpu ? attribution->unsampled_ns : 0,
        },
        {
            .name = "(no stack)",
            .image = "",
            .active_ns = has_cpu ? attribution->stack_ns[STACK_ID_EMPTY] : 0,
            .self_active_ns = has_cpu ? attribution->stack_ns[STACK_ID_EMPTY] : 0,
            .samples = has_cpu ? attribution->stack_samples[STACK_ID_EMPTY] : 0,
            .off_cpu_ns = waits ? waits[STACK_ID_EMPTY].blocked_ns : 0,
            .self_off_cpu_ns = waits ? waits[STACK_ID_EMPTY].blocked_ns : 0,
        },
        {
            .name = "(waiting for a CPU)",
            .image = "",
            .runq_ns = tree->mode == VIEW_MODE_WALL ? attribution->totals.runq_ns : 0,
        },
    };
    size_t n_placeless = sizeof(placeless) / sizeof(*placeless);
    struct flame_node *children =
        arena_alloc_array(tree->arena, root->n_children + n_placeless, sizeof(*children));
    if (!children) {
        return -ENOMEM;
    }
    size_t n_children = root->n_children;
    for (size_t i = 0; i < n_children; i++) {
        children[i] = root->children[i];
    }
    for (size_t i = 0; i < n_placeless; i++) {
        const struct flame_node *node = &placeless[i];
        if (flame_tree_weight(tree->mode, node) > 0 || node->samples > 0) {
            children[n_children++] = *node;
        }
    }
    flame_tree_sort(tree->mode, children, n_children);
    root->children = children;
    root->n_children = n_children;
    return 0;
}

static int refuse_mode(enum view_mode mode, struct error *reterr_error)
{
    if (mode != VIEW_MODE_TARGET) {
        return 0;
    }
    error_set(reterr_error, "not_supported", "this version has no spans of programs");
    error_hint(reterr_error, "the modes are `active`, `cpu`, `off_cpu` and `wall`");
    return -EINVAL;
}

static bool has_waits(enum view_mode mode)
{
    return mode == VIEW_MODE_OFF_CPU || mode == VIEW_MODE_WALL;
}

/* What all nodes below the root weigh together. */
static uint64_t whole_ns(enum view_mode mode, const struct totals *totals)
{
    switch (mode) {
    case VIEW_MODE_OFF_CPU:
        return totals->off_cpu_ns;
    case VIEW_MODE_WALL:
        return totals->active_ns + totals->off_cpu_ns + totals->runq_ns;
    case VIEW_MODE_ACTIVE:
    case VIEW_MODE_CPU:
    case VIEW_MODE_TARGET:
        break;
    }
    return totals->active_ns;
}

int query_flame(const struct query_context *context, const struct query_flame_options *options,
                struct flame_result *ret_result, struct error *reterr_error)
{
    enum view_mode mode = context->view->mode;
    struct attribution attribution;
    struct call_tree calls;
    int r = refuse_mode(mode, reterr_error);
    r = r ? r : attribution_compute(context, &attribution, reterr_error);
    r = r == 0 && has_waits(mode) ? attribution_spread_waits(context, &attribution) : r;
    r = r ? r : call_tree_build(context, &attribution, CALL_TREE_BY_FUNCTION, &calls);
    if (r != 0) {
        return r;
    }
    const struct totals *totals = &attribution.totals;
    bool has_depth = options->max_depth > 0 && options->max_depth < DEPTH_MAX;
    struct flame_tree tree = {
        .calls = &calls,
        .arena = context->arena,
        .mode = mode,
        .threshold_ns = (uint64_t)((double)whole_ns(mode, totals) * options->threshold_pct / 100.0),
        .max_depth = has_depth ? options->max_depth : DEPTH_MAX,
    };
    struct flame_node root = {
        .name = "(all)",
        .image = "",
        .active_ns = totals->active_ns,
        .off_cpu_ns = totals->off_cpu_ns,
        .runq_ns = totals->runq_ns,
        .samples = totals->samples,
    };
    r = options->invert ? flame_tree_build_inverted(&tree, &root) : flame_tree_build(&tree, &root);
    r = r ? r : add_placeless(&attribution, &tree, &root);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct flame_result){
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .mode = mode,
        .inverted = options->invert,
        .totals = *totals,
        .root = root,
        .hint = has_waits(mode) ? attribution_wait_hint(context, &attribution)
                                : attribution_hint(context, &attribution),
    };
    return 0;
}
