/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "query/dispatch_hint.h"
#include "query/flame_spans.h"

/* JSON nests twice per frame; readers bound their depth. */
#define DEPTH_MAX 900u

static bool has_samples(enum view_mode mode)
{
    return mode != VIEW_MODE_OFF_CPU && mode != VIEW_MODE_TARGET;
}

static bool has_waits(enum view_mode mode)
{
    return mode == VIEW_MODE_OFF_CPU || mode == VIEW_MODE_WALL;
}

/* Time without a place is a child of the root like any other. */
static int add_placeless(const struct attribution *attribution, const struct flame_tree *tree,
                         struct flame_node *root)
{
    const struct stack_waits *waits = attribution->stack_waits;
    bool has_cpu = has_samples(tree->mode);
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

/* What all nodes below the root weigh together. */
static uint64_t whole_ns(enum view_mode mode, const struct totals *totals)
{
    switch (mode) {
    case VIEW_MODE_OFF_CPU:
        return totals->off_cpu_ns;
    case VIEW_MODE_WALL:
        return totals->active_ns + totals->off_cpu_ns + totals->runq_ns;
    case VIEW_MODE_CPU:
        return totals->cpu_ns;
    case VIEW_MODE_TARGET:
        return totals->target_ns;
    case VIEW_MODE_ACTIVE:
        break;
    }
    return totals->active_ns;
}

/* "(all)" tells what there is, of active time what the mode counts. */
static struct flame_node make_root(enum view_mode mode, const struct totals *totals)
{
    bool is_cpu = mode == VIEW_MODE_CPU, is_target = mode == VIEW_MODE_TARGET;
    return (struct flame_node){
        .name = "(all)",
        .image = "",
        .active_ns = is_cpu || is_target ? whole_ns(mode, totals) : totals->active_ns,
        .off_cpu_ns = totals->off_cpu_ns,
        .runq_ns = totals->runq_ns,
        .target_ns = is_cpu ? 0 : totals->target_ns,
        .spans = is_cpu ? 0 : totals->spans,
        .samples = is_target ? 0 : totals->samples,
    };
}

static const char *hint_of(const struct query_context *context,
                           const struct attribution *attribution, const struct call_tree *calls)
{
    if (context->view->mode == VIEW_MODE_TARGET && attribution->totals.spans == 0) {
        return "no span was reported in this view: `stax target lanes` says what there is";
    }
    const char *hint = has_waits(context->view->mode) ? attribution_wait_hint(context, attribution)
                                                      : attribution_hint(context, attribution);
    return hint ? hint : dispatch_hint(context, calls);
}

/* What ran and waited on CPUs. */
static int add_calls(struct flame_tree *tree, const struct attribution *attribution,
                     bool is_inverted, struct flame_node *root)
{
    int r = 0;
    if (!is_inverted && tree->mode != VIEW_MODE_CPU) {
        r = flame_links_make(tree->context, attribution, tree->calls, &tree->links);
    }
    if (r != 0) {
        return r;
    }
    return is_inverted ? flame_tree_build_inverted(tree, root) : flame_tree_build(tree, root);
}

int query_flame(const struct query_context *context, const struct query_flame_options *options,
                struct flame_result *ret_result, struct error *reterr_error)
{
    enum view_mode mode = context->view->mode;
    struct attribution attribution;
    struct call_tree calls;
    int r = attribution_compute(context, &attribution, reterr_error);
    r = r == 0 && has_waits(mode) ? attribution_spread_waits(context, &attribution) : r;
    r = r ? r : call_tree_build(context, &attribution, CALL_TREE_BY_FUNCTION, &calls);
    if (r != 0) {
        return r;
    }
    const struct totals *totals = &attribution.totals;
    bool has_depth = options->max_depth > 0 && options->max_depth < DEPTH_MAX;
    struct flame_tree tree = {
        .context = context,
        .calls = &calls,
        .arena = context->arena,
        .mode = mode,
        .threshold_ns = (uint64_t)((double)whole_ns(mode, totals) * options->threshold_pct / 100.0),
        .max_depth = has_depth ? options->max_depth : DEPTH_MAX,
    };
    struct flame_node root = make_root(mode, totals);
    r = mode == VIEW_MODE_TARGET ? 0 : add_calls(&tree, &attribution, options->invert, &root);
    r = r ? r : flame_spans_add(context, &attribution, &tree, options->invert, &root);
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
        .hint = hint_of(context, &attribution, &calls),
    };
    return 0;
}
