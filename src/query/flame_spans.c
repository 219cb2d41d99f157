/* SPDX-License-Identifier: MIT */
#include "query/flame_spans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/span_tree.h"

struct maker {
    const struct query_context *context;
    struct flame_tree *tree;
    const struct span_tree *spans;
    bool is_linked;
};

bool flame_spans_are_shown(enum view_mode mode)
{
    return mode == VIEW_MODE_ACTIVE || mode == VIEW_MODE_TARGET || mode == VIEW_MODE_WALL;
}

/* Room for n_more children of a node that has some. */
static struct flame_node *grow(struct maker *maker, struct flame_node *node, size_t n_more)
{
    struct flame_node *children =
        arena_alloc_array(maker->tree->arena, node->n_children + n_more, sizeof(*children));
    if (!children) {
        maker->tree->error = -ENOMEM;
    } else if (node->n_children > 0) {
        memcpy(children, node->children, node->n_children * sizeof(*children));
    }
    return children;
}

static struct flame_node make_node(const struct maker *maker, const struct span_node *span,
                                   uint64_t target_ns, uint64_t self_ns)
{
    struct flame_node node = {
        .name = span_tree_name(maker->context, span),
        .image = span_tree_image(maker->context, span, maker->spans->tells_pids),
        .kind = FRAME_KIND_TARGET,
        .active_ns = maker->is_linked ? 0 : target_ns,
        .self_active_ns = maker->is_linked ? 0 : self_ns,
        .target_ns = target_ns,
        .spans = span->n_spans,
        .linked = maker->is_linked,
    };
    if (!node.image) {
        maker->tree->error = -ENOMEM;
    }
    return node;
}

static bool is_cut(const struct maker *maker, uint64_t target_ns, uint32_t depth)
{
    return target_ns < maker->tree->threshold_ns || depth > maker->tree->max_depth;
}

static int by_target(const void *left, const void *right)
{
    const struct flame_node *a = left, *b = right;
    if (a->target_ns != b->target_ns) {
        return a->target_ns > b->target_ns ? -1 : 1;
    }
    return a->spans > b->spans ? -1 : a->spans < b->spans;
}

static void sort(struct flame_node *node)
{
    if (node->n_children > 1) {
        qsort(node->children, node->n_children, sizeof(*node->children), by_target);
    }
}

/* ---- upright ---- */

static void add_spans(struct maker *maker, const struct span_node *outer, uint32_t depth,
                      struct flame_node *parent)
{
    const struct span_node *nodes = maker->spans->nodes;
    size_t n_children = 0;
    for (uint32_t i = outer->first_child; i != SPAN_TREE_NONE; i = nodes[i].next_sibling) {
        n_children++;
    }
    parent->children = n_children > 0 ? grow(maker, parent, n_children) : NULL;
    if (!parent->children) {
        return;
    }
    for (uint32_t i = outer->first_child; i != SPAN_TREE_NONE; i = nodes[i].next_sibling) {
        if (is_cut(maker, nodes[i].weight_ns, depth)) {
            parent->hidden_nodes += nodes[i].subtree_nodes;
            continue;
        }
        struct flame_node child = make_node(maker, &nodes[i], nodes[i].weight_ns, nodes[i].self_ns);
        add_spans(maker, &nodes[i], depth + 1, &child);
        parent->children[parent->n_children++] = child;
    }
    sort(parent);
}

/* Behind the children that `parent` has. */
static void add_lanes(struct maker *maker, uint32_t depth, struct flame_node *parent)
{
    const struct span_tree *spans = maker->spans;
    size_t n_lanes = 0;
    for (uint32_t i = 0; i < spans->n_nodes; i++) {
        n_lanes += spans->nodes[i].name == 0;
    }
    struct flame_node *children = grow(maker, parent, n_lanes);
    if (!children) {
        return;
    }
    parent->children = children;
    for (uint32_t i = 0; i < spans->n_nodes; i++) {
        const struct span_node *lane = &spans->nodes[i];
        if (lane->name != 0) {
            continue;
        }
        if (is_cut(maker, lane->weight_ns, depth)) {
            parent->hidden_nodes += lane->subtree_nodes;
            continue;
        }
        struct flame_node child = make_node(maker, lane, lane->weight_ns, lane->self_ns);
        add_spans(maker, lane, depth + 1, &child);
        children[parent->n_children++] = child;
    }
}

/* ---- inverted ---- */

static int by_name(const void *left, const void *right)
{
    const struct span_node *const *a = left, *const *b = right;
    if ((*a)->name != (*b)->name) {
        return (*a)->name < (*b)->name ? -1 : 1;
    }
    return (*a)->lane < (*b)->lane ? -1 : (*a)->lane > (*b)->lane;
}

/* The lanes on which a span ran, below its outermost name. */
static void add_lane_leaves(struct maker *maker, const struct span_node *const *spans,
                            size_t n_spans, uint32_t depth, struct flame_node *parent)
{
    if (depth > 1) { /* the root has room for all */
        parent->children = grow(maker, parent, n_spans);
    }
    if (!parent->children) {
        return;
    }
    for (size_t i = 0; i < n_spans; i++) {
        if (is_cut(maker, spans[i]->self_ns, depth)) {
            parent->hidden_nodes++;
            continue;
        }
        bool is_lane = spans[i]->name == 0;
        const struct span_node lane = {
            .lane = spans[i]->lane,
            .n_spans = is_lane ? spans[i]->n_others : spans[i]->n_spans,
        };
        parent->children[parent->n_children++] =
            make_node(maker, &lane, spans[i]->self_ns, spans[i]->self_ns);
    }
    if (depth > 1) {
        sort(parent);
    }
}

/* One name, the names around it, then its lanes: all these weigh what ends in the name. */
static void add_outwards(struct maker *maker, const struct span_node *const *spans, size_t n_spans,
                         struct flame_node *parent)
{
    uint64_t self_ns = 0, count = 0;
    for (size_t i = 0; i < n_spans; i++) {
        self_ns += spans[i]->self_ns;
        count += spans[i]->n_spans;
    }
    struct flame_node *at = parent;
    uint32_t depth = 1, name = spans[0]->name;
    for (; name != 0; depth++) {
        if (is_cut(maker, self_ns, depth)) {
            at->hidden_nodes++;
            return;
        }
        struct flame_node *children = at == parent ? parent->children : grow(maker, at, 1);
        if (!children) {
            return;
        }
        const struct span_node span = {.lane = spans[0]->lane, .name = name, .n_spans = count};
        at->children = children;
        struct flame_node *child = &children[at->n_children++];
        *child = make_node(maker, &span, self_ns, 0);
        child->image = n_spans > 1 ? "" : child->image; /* of several lanes */
        at = child;
        name = snapshot_span_name(maker->context->snapshot, name).parent;
    }
    add_lane_leaves(maker, spans, n_spans, depth, at);
}

static void add_inverted(struct maker *maker, struct flame_node *root)
{
    const struct span_tree *spans = maker->spans;
    const struct span_node **members =
        arena_alloc_array(maker->tree->arena, spans->n_nodes, sizeof(*members));
    struct flame_node *children = grow(maker, root, spans->n_nodes);
    if (!members || !children) {
        maker->tree->error = -ENOMEM;
        return;
    }
    root->children = children;
    size_t n_members = 0;
    for (uint32_t i = 0; i < spans->n_nodes; i++) {
        if (spans->nodes[i].is_shown || spans->nodes[i].n_others > 0) {
            members[n_members++] = &spans->nodes[i];
        }
    }
    if (n_members > 1) {
        qsort(members, n_members, sizeof(const struct span_node *), by_name);
    }
    for (size_t first = 0, next; first < n_members; first = next) {
        for (next = first; next < n_members && members[next]->name == members[first]->name;) {
            next++;
        }
        add_outwards(maker, members + first, next - first, root);
    }
}

/* ---- what threads have queued ---- */

static int add_queued(const struct query_context *context, const struct attribution *attribution,
                      struct flame_tree *tree, struct flame_node *root)
{
    struct span_view view = *attribution->span_view;
    view.lane_is_all =
        arena_alloc_array(context->arena, context->snapshot->n_lanes, sizeof(*view.lane_is_all));
    view.has_threads = true;
    if (!view.lane_is_all) {
        return -ENOMEM;
    }
    const struct span_figures_wishes wishes = {0};
    struct span_figures figures;
    struct span_tree spans;
    int r = span_figures_compute(&view, &wishes, &figures);
    r = r ? r : span_tree_build(context, &figures, &spans);
    if (r != 0 || spans.n_spans == 0) {
        return r;
    }
    struct maker maker = {.context = context, .tree = tree, .spans = &spans, .is_linked = true};
    struct flame_node node = {
        .name = "(queued work)",
        .image = "",
        .kind = FRAME_KIND_TARGET,
        .target_ns = spans.weight_ns,
        .spans = spans.n_spans,
        .linked = true,
    };
    add_lanes(&maker, 2, &node);
    sort(&node);
    struct flame_node *children = grow(&maker, root, 1);
    if (children) {
        root->children = children;
        children[root->n_children++] = node;
    }
    return tree->error;
}

static bool has_threads(const struct query_context *context, const struct attribution *attribution)
{
    for (size_t i = 0; i < context->snapshot->n_threads && context->view->n_tids > 0; i++) {
        if (attribution->threads[i].is_in_view) {
            return true;
        }
    }
    return false;
}

/* ---- all of it ---- */

int flame_spans_add(const struct query_context *context, const struct attribution *attribution,
                    struct flame_tree *tree, bool is_inverted, struct flame_node *root)
{
    if (!attribution->span_view || !flame_spans_are_shown(tree->mode)) {
        return 0;
    }
    struct span_tree spans;
    int r = span_tree_build(context, &attribution->spans, &spans);
    if (r != 0) {
        return r;
    }
    struct maker maker = {.context = context, .tree = tree, .spans = &spans};
    if (spans.n_nodes > 0 && is_inverted) {
        add_inverted(&maker, root);
    } else if (spans.n_nodes > 0) {
        add_lanes(&maker, 1, root);
    }
    if (tree->error == 0 && !is_inverted && has_threads(context, attribution)) {
        return add_queued(context, attribution, tree, root);
    }
    return tree->error;
}

struct flame_node flame_spans_waited(const struct query_context *context,
                                     const struct flame_link *link)
{
    const struct span_node span = {.lane = link->lane, .name = link->name};
    return (struct flame_node){
        .name = span_tree_name(context, &span),
        .image = span_tree_image(context, &span, span_tree_tells_pids(context->snapshot)),
        .kind = FRAME_KIND_TARGET,
        .target_ns = link->waited_ns,
        .spans = link->n_waits,
        .linked = true,
    };
}
