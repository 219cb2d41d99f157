/* SPDX-License-Identifier: MIT */
#include "interchange/export_spans.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- the tree ---- */

const char *export_spans_lane_name(const struct export_spans *spans, uint32_t lane)
{
    const char *name = export_spans_lane(spans, lane)->name;
    if (name[0] != '\0') {
        return name;
    }
    name = arena_printf(spans->context->arena, "lane %" PRIu32, lane);
    return name ? name : "lane";
}

const char *export_spans_name(const struct export_spans *spans, uint32_t name)
{
    const char *text = snapshot_span_name(spans->context->snapshot, name).text;
    return text && text[0] != '\0' ? text : "(other)";
}

const char *export_spans_origin_name(const struct export_spans *spans,
                                     const struct stored_span *span)
{
    const struct snapshot *snapshot = spans->context->snapshot;
    bool is_known = span->origin_thread < snapshot->n_threads;
    return is_known ? snapshot->threads[span->origin_thread].name : "";
}

static void find_own_times(struct export_spans *spans)
{
    const struct span_tree *tree = &spans->tree;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        uint64_t inside_ns = 0;
        for (uint32_t child = tree->nodes[i].first_child; child != SPAN_TREE_NONE;
             child = tree->nodes[child].next_sibling) {
            inside_ns += tree->nodes[child].weight_ns;
        }
        uint64_t weight_ns = tree->nodes[i].weight_ns;
        spans->self_ns[i] = weight_ns > inside_ns ? weight_ns - inside_ns : 0;
    }
}

int export_spans_init(const struct query_context *context, const struct attribution *attribution,
                      struct export_frames *frames, struct export_spans *ret_spans)
{
    struct export_spans *spans = ret_spans;
    *spans = (struct export_spans){.context = context};
    if (attribution->spans.n_rows == 0) {
        return 0;
    }
    int r = span_tree_build(context, &attribution->spans, &spans->tree);
    if (r != 0) {
        return r;
    }
    uint32_t n_nodes = spans->tree.n_nodes;
    spans->places = arena_alloc_array(context->arena, n_nodes, sizeof(*spans->places));
    spans->self_ns = arena_alloc_array(context->arena, n_nodes, sizeof(*spans->self_ns));
    if (!spans->places || !spans->self_ns) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n_nodes && r == 0; i++) {
        const struct span_node *node = &spans->tree.nodes[i];
        const char *name = node->name == 0 ? export_spans_lane_name(spans, node->lane)
                                           : export_spans_name(spans, node->name);
        r = export_frames_add_target(frames, name, &spans->places[i]);
    }
    find_own_times(spans);
    spans->view = attribution->span_view;
    spans->target_ns = attribution->totals.target_ns;
    spans->n_spans = attribution->totals.spans;
    return r;
}

size_t export_spans_path(const struct export_spans *spans, uint32_t node,
                         uint32_t ret_places[static EXPORT_SPAN_PATH_MAX])
{
    size_t n_path = 0;
    for (uint32_t at = node; at != SPAN_TREE_NONE && n_path < EXPORT_SPAN_PATH_MAX;
         at = spans->tree.nodes[at].parent) {
        ret_places[n_path++] = spans->places[at];
    }
    for (size_t i = 0; i < n_path / 2; i++) {
        uint32_t place = ret_places[i];
        ret_places[i] = ret_places[n_path - 1 - i];
        ret_places[n_path - 1 - i] = place;
    }
    return n_path;
}

uint32_t export_spans_node(const struct export_spans *spans, uint32_t lane, uint32_t name)
{
    const struct span_tree *tree = &spans->tree;
    uint32_t low = 0, high = tree->n_nodes;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct span_node *node = &tree->nodes[middle];
        if (node->lane < lane || (node->lane == lane && node->name < name)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_there =
        low < tree->n_nodes && tree->nodes[low].lane == lane && tree->nodes[low].name == name;
    if (is_there) {
        return low;
    }
    /* Sums of names for which there was no room are the lane's. */
    return name != 0 ? export_spans_node(spans, lane, 0) : SPAN_TREE_NONE;
}

/* ---- single spans ---- */

static int add_span(const struct export_spans *spans, struct export_span_rows *rows, uint64_t index)
{
    const struct stored_span span = snapshot_span(spans->context->snapshot, index);
    const struct view_range *range = &spans->view->range;
    if (!span_view_has(spans->view, &span)) {
        return 0;
    }
    if (rows->n_spans == rows->n_room) {
        size_t n_room = 2 * rows->n_room + 256;
        struct export_span_row *grown = reallocarray(rows->spans, n_room, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        rows->spans = grown;
        rows->n_room = n_room;
    }
    bool is_cut = spans->view->has_range && span.end_ns > range->to_ns;
    uint64_t start_ns = span.start_ns < range->from_ns ? range->from_ns : span.start_ns;
    uint64_t end_ns = is_cut ? range->to_ns : span.end_ns;
    rows->spans[rows->n_spans++] = (struct export_span_row){
        .start_ns = start_ns,
        .end_ns = end_ns < start_ns ? start_ns : end_ns,
        .index = index,
        .lane = span.lane,
    };
    return 0;
}

static int by_time(const void *left, const void *right)
{
    const struct export_span_row *a = left, *b = right;
    if (a->lane != b->lane) {
        return a->lane < b->lane ? -1 : 1;
    }
    if (a->start_ns != b->start_ns) {
        return a->start_ns < b->start_ns ? -1 : 1;
    }
    if (a->end_ns != b->end_ns) {
        return a->end_ns > b->end_ns ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

/* What is open in one row: ends, the outermost first. */
struct open_row {
    uint64_t ends_ns[EXPORT_SPANS_OPEN_MAX];
    size_t n_ends;
};

/* Has it found room in this row? */
static bool try_row(struct open_row *row, const struct export_span_row *span)
{
    while (row->n_ends > 0 && row->ends_ns[row->n_ends - 1] <= span->start_ns) {
        row->n_ends--;
    }
    if (row->n_ends == EXPORT_SPANS_OPEN_MAX ||
        (row->n_ends > 0 && row->ends_ns[row->n_ends - 1] < span->end_ns)) {
        return false;
    }
    row->ends_ns[row->n_ends++] = span->end_ns;
    return true;
}

static void place_span(struct open_row *open, struct export_span_rows *rows,
                       struct export_span_row *span)
{
    uint32_t *n_rows = &rows->n_rows[span->lane];
    for (uint32_t i = 0; i < EXPORT_SPAN_ROWS_MAX; i++) {
        if (try_row(&open[i], span)) {
            span->row = i;
            *n_rows = i >= *n_rows ? i + 1 : *n_rows;
            return;
        }
    }
    span->row = EXPORT_SPAN_ROWS_MAX;
    rows->n_left_out++;
}

static int place_spans(struct export_span_rows *rows)
{
    struct open_row *open = calloc(EXPORT_SPAN_ROWS_MAX, sizeof(*open));
    if (!open) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < rows->n_spans; i++) {
        bool is_other_lane = i > 0 && rows->spans[i].lane != rows->spans[i - 1].lane;
        for (size_t row = 0; is_other_lane && row < EXPORT_SPAN_ROWS_MAX; row++) {
            open[row].n_ends = 0;
        }
        place_span(open, rows, &rows->spans[i]);
    }
    free(open);
    return 0;
}

int export_span_rows_build(const struct export_spans *spans, struct export_span_rows *ret_rows)
{
    struct export_span_rows *rows = ret_rows;
    const struct snapshot *snapshot = spans->context->snapshot;
    *rows = (struct export_span_rows){0};
    rows->first = calloc((size_t)snapshot->n_lanes + 1, sizeof(*rows->first));
    rows->n_rows = calloc((size_t)snapshot->n_lanes + 1, sizeof(*rows->n_rows));
    int r = rows->first && rows->n_rows ? 0 : -ENOMEM;
    for (uint64_t i = snapshot->first_span; spans->view && i < snapshot->n_spans && r == 0; i++) {
        r = add_span(spans, rows, i);
    }
    if (r == 0 && rows->n_spans > 1) {
        qsort(rows->spans, rows->n_spans, sizeof(*rows->spans), by_time);
    }
    for (size_t i = 0, lane = 0; lane <= snapshot->n_lanes && r == 0; lane++) {
        while (i < rows->n_spans && rows->spans[i].lane < lane) {
            i++;
        }
        rows->first[lane] = i;
    }
    r = r ? r : place_spans(rows);
    if (r != 0) {
        export_span_rows_release(rows);
    }
    return r;
}

void export_span_rows_release(struct export_span_rows *rows)
{
    free(rows->spans);
    free(rows->first);
    free(rows->n_rows);
    *rows = (struct export_span_rows){0};
}

/* Is `outer` one of the names that `name` is inside of? */
static bool is_inside(const struct snapshot *snapshot, uint32_t name, uint32_t outer)
{
    while (name != 0) {
        name = snapshot_span_name(snapshot, name).parent;
        if (name == outer) {
            return outer != 0;
        }
    }
    return false;
}

bool export_span_rows_are_calls(const struct export_spans *spans,
                                const struct export_span_rows *rows, uint32_t lane)
{
    const struct snapshot *snapshot = spans->context->snapshot;
    struct {
        uint64_t end_ns;
        uint32_t name;
    } open[LIMIT_SPAN_DEPTH + 1];
    size_t n_open = 0;
    if (rows->n_rows[lane] != 1 || span_view_is_partial(spans->view)) {
        return false;
    }
    for (size_t i = rows->first[lane]; i < rows->first[lane + 1]; i++) {
        const struct export_span_row *row = &rows->spans[i];
        const struct stored_span span = snapshot_span(snapshot, row->index);
        while (n_open > 0 && open[n_open - 1].end_ns <= row->start_ns) {
            n_open--;
        }
        bool fits = n_open > 0
                        ? is_inside(snapshot, span.name, open[n_open - 1].name)
                        : span_view_is_outermost(spans->view, lane, span.name, span.origin_stack);
        uint32_t node = export_spans_node(spans, lane, span.name);
        fits = fits && node != SPAN_TREE_NONE && spans->tree.nodes[node].name == span.name;
        if (!fits || n_open > LIMIT_SPAN_DEPTH || row->start_ns < snapshot->start_ns) {
            return false;
        }
        open[n_open].end_ns = row->end_ns;
        open[n_open++].name = span.name;
    }
    return true;
}

void export_span_rows_visit(const struct export_span_rows *rows, uint32_t lane, uint32_t row,
                            export_span_edge_cb on_edge, void *userdata)
{
    const struct export_span_row *open[EXPORT_SPANS_OPEN_MAX];
    size_t n_open = 0;
    for (size_t i = rows->first[lane]; i < rows->first[lane + 1]; i++) {
        const struct export_span_row *span = &rows->spans[i];
        if (span->row != row) {
            continue;
        }
        while (n_open > 0 && open[n_open - 1]->end_ns <= span->start_ns) {
            on_edge(userdata, open[--n_open], false);
        }
        on_edge(userdata, span, true);
        open[n_open++] = span;
    }
    while (n_open > 0) {
        on_edge(userdata, open[--n_open], false);
    }
}
