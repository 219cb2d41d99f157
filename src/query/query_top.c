/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "query/dispatch_hint.h"
#include "query/function_sums.h"
#include "query/span_tree.h"

static int compare_numbers(uint64_t left, uint64_t right)
{
    return left > right ? -1 : left < right;
}

static int by_self(const void *left, const void *right)
{
    const struct function_sums *a = left, *b = right;
    int order = compare_numbers(a->self_ns, b->self_ns);
    order = order ? order : compare_numbers(a->total_ns, b->total_ns);
    return order ? order : compare_numbers(b->function, a->function);
}

static int by_total(const void *left, const void *right)
{
    const struct function_sums *a = left, *b = right;
    int order = compare_numbers(a->total_ns, b->total_ns);
    order = order ? order : compare_numbers(a->self_ns, b->self_ns);
    return order ? order : compare_numbers(b->function, a->function);
}

static int by_off_cpu(const void *left, const void *right)
{
    const struct function_sums *a = left, *b = right;
    int order = compare_numbers(a->self_off_cpu_ns, b->self_off_cpu_ns);
    order = order ? order : compare_numbers(a->total_off_cpu_ns, b->total_off_cpu_ns);
    return order ? order : compare_numbers(b->function, a->function);
}

typedef int (*compare_cb)(const void *left, const void *right);

static void swap(struct function_sums *left, struct function_sums *right)
{
    struct function_sums kept = *left;
    *left = *right;
    *right = kept;
}

/*
 * Brings the n_first greatest to the front, in order. Twenty rows of twenty
 * thousand functions are asked for most of the time: quickselect (Hoare 1961)
 * finds them without sorting the rest.
 */
static void sort_first(struct function_sums *sums, size_t n_sums, size_t n_first,
                       compare_cb compare)
{
    size_t low = 0, high = n_sums;
    while (n_first < n_sums && high - low > 1) {
        const struct function_sums pivot = sums[low + (high - low - 1) / 2];
        size_t i = low, j = high - 1;
        for (;; i++, j--) {
            while (compare(&sums[i], &pivot) < 0) {
                i++;
            }
            while (compare(&sums[j], &pivot) > 0) {
                j--;
            }
            if (i >= j) {
                break;
            }
            swap(&sums[i], &sums[j]);
        }
        /* Everything up to j comes before everything behind it. */
        if (n_first == j + 1) {
            break;
        }
        if (n_first <= j) {
            high = j + 1;
        } else {
            low = j + 1;
        }
    }
    qsort(sums, n_first, sizeof(*sums), compare);
}

static double pct(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

/* The end of a path, which tells files of one name apart most of the time: "src/main.c". */
static const char *short_path(const char *path)
{
    const char *name = strrchr(path, '/');
    if (!name || name == path) {
        return path;
    }
    const char *folder = memrchr(path, '/', (size_t)(name - path));
    return folder ? folder + 1 : path;
}

/* What the row stands for. */
static void name_row(const struct query_context *context, const struct call_tree_function *function,
                     enum top_group group, struct top_row *row)
{
    const struct symbol *symbol = function->symbol;
    struct arena *arena = context->arena;
    *row = (struct top_row){
        .name = symbol->name,
        .image = symbol->image,
        .kind = symbol->kind,
        .inlined = function->is_inlined,
    };
    if (group == TOP_GROUP_IMAGE) {
        row->name = symbol->image;
        row->file = snapshot_image(context->snapshot, function->image)->path;
    } else if (group == TOP_GROUP_LINE && function->file) {
        row->name = arena_printf(arena, "%s:%" PRIu32, short_path(function->file), function->line);
        row->file = function->file;
        row->line = function->line;
    } else if (group == TOP_GROUP_LINE) {
        row->name = arena_printf(arena, "%s (no line)", symbol->name);
        row->address = call_tree_address(arena, symbol);
    } else if (!function->is_inlined) {
        row->address = call_tree_address(arena, symbol);
    }
}

static void fill_row(const struct function_sums *sum, const struct totals *totals,
                     struct top_row *row)
{
    row->self_active_ns = sum->self_ns;
    row->total_active_ns = sum->total_ns;
    row->self_samples = sum->self_samples;
    row->total_samples = sum->total_samples;
    row->self_off_cpu_ns = sum->self_off_cpu_ns;
    row->total_off_cpu_ns = sum->total_off_cpu_ns;
    row->waits = sum->total_waits;
    row->self_pct = pct(sum->self_ns, totals->active_ns);
    row->total_pct = pct(sum->total_ns, totals->active_ns);
}

/* Time without a place: of threads that no sample met, or of stacks that are not known. */
static size_t add_placeless(const struct attribution *attribution, enum top_sort sort,
                            struct top_row *rows)
{
    const struct stack_waits none = {0};
    const struct {
        const char *name;
        uint64_t ns, samples;
        struct stack_waits waits;
    } kinds[] = {
        {"(not sampled)", attribution->unsampled_ns, 0, none},
        {"(no stack)", attribution->stack_ns[STACK_ID_EMPTY],
         attribution->stack_samples[STACK_ID_EMPTY],
         attribution->stack_waits ? attribution->stack_waits[STACK_ID_EMPTY] : none},
    };
    size_t n_rows = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        bool is_wanted = sort == TOP_SORT_OFF_CPU ? kinds[i].waits.blocked_ns > 0
                                                  : kinds[i].ns > 0 || kinds[i].samples > 0;
        if (is_wanted) {
            double share_pct = pct(kinds[i].ns, attribution->totals.active_ns);
            rows[n_rows++] = (struct top_row){
                .name = kinds[i].name,
                .image = "",
                .self_active_ns = kinds[i].ns,
                .total_active_ns = kinds[i].ns,
                .self_samples = kinds[i].samples,
                .total_samples = kinds[i].samples,
                .self_off_cpu_ns = kinds[i].waits.blocked_ns,
                .total_off_cpu_ns = kinds[i].waits.blocked_ns,
                .waits = kinds[i].waits.n_waits,
                .self_pct = share_pct,
                .total_pct = share_pct,
            };
        }
    }
    return n_rows;
}

/* ---- spans ---- */

/* Spans beside functions; by image, lanes beside files. */
static bool is_span_row(const struct span_node *node, enum top_group group)
{
    return group == TOP_GROUP_IMAGE ? node->name == 0 : node->is_shown || node->n_others > 0;
}

static size_t count_spans(const struct span_tree *tree, enum top_group group)
{
    size_t n_rows = 0;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        n_rows += is_span_row(&tree->nodes[i], group);
    }
    return n_rows;
}

static struct top_row span_row(const struct query_context *context, const struct span_tree *tree,
                               const struct span_node *node)
{
    return (struct top_row){
        .name = span_tree_name(context, node),
        .image = span_tree_image(context, node, tree->tells_pids),
        .kind = FRAME_KIND_TARGET,
        .self_active_ns = node->self_ns,
        .total_active_ns = node->weight_ns,
        .target_ns = node->total_ns,
        .spans = node->n_spans,
    };
}

/* The lane itself beside files; beside functions its spans without a name. */
static struct top_row lane_row(const struct query_context *context, const struct span_tree *tree,
                               const struct span_node *lane, enum top_group group)
{
    const struct span_node unnamed = {.lane = lane->lane, .name = SPAN_TREE_NONE};
    const char *place = span_tree_image(context, &unnamed, tree->tells_pids);
    struct top_row row = span_row(context, tree, lane);
    if (group == TOP_GROUP_IMAGE) {
        row.name = place;
        row.self_active_ns = lane->weight_ns;
    } else {
        row.name = "(other)";
        row.image = place;
        row.total_active_ns = row.target_ns = lane->self_ns;
        row.spans = lane->n_others;
    }
    return row;
}

static int add_spans(const struct query_context *context, const struct span_tree *tree,
                     const struct top_result *result, struct top_row *rows)
{
    size_t n_rows = 0;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        const struct span_node *node = &tree->nodes[i];
        if (!is_span_row(node, result->group)) {
            continue;
        }
        struct top_row *row = &rows[n_rows++];
        *row = node->name == 0 ? lane_row(context, tree, node, result->group)
                               : span_row(context, tree, node);
        if (!row->name || !row->image) {
            return -ENOMEM;
        }
        row->self_pct = pct(row->self_active_ns, result->totals.active_ns);
        row->total_pct = pct(row->total_active_ns, result->totals.active_ns);
    }
    return 0;
}

/* ---- rows ---- */

static int compare_rows_by_self(const void *left, const void *right)
{
    const struct top_row *a = left, *b = right;
    return compare_numbers(a->self_active_ns, b->self_active_ns);
}

static int compare_rows_by_total(const void *left, const void *right)
{
    const struct top_row *a = left, *b = right;
    return compare_numbers(a->total_active_ns, b->total_active_ns);
}

static int compare_rows_by_off_cpu(const void *left, const void *right)
{
    const struct top_row *a = left, *b = right;
    int order = compare_numbers(a->self_off_cpu_ns, b->self_off_cpu_ns);
    return order ? order : compare_numbers(a->total_off_cpu_ns, b->total_off_cpu_ns);
}

/* By enum top_sort. */
static const struct {
    compare_cb functions, rows;
} orders[] = {
    [TOP_SORT_SELF] = {by_self, compare_rows_by_self},
    [TOP_SORT_TOTAL] = {by_total, compare_rows_by_total},
    [TOP_SORT_OFF_CPU] = {by_off_cpu, compare_rows_by_off_cpu},
};

static enum call_tree_grouping grouping_of(enum top_group group)
{
    switch (group) {
    case TOP_GROUP_IMAGE:
        return CALL_TREE_BY_IMAGE;
    case TOP_GROUP_LINE:
        return CALL_TREE_BY_LINE;
    case TOP_GROUP_FUNCTION:
        break;
    }
    return CALL_TREE_BY_FUNCTION;
}

/* Leaves the functions that have what the rows are sorted by. */
static size_t choose_functions(struct function_sums *sums, size_t n_sums, enum top_sort sort)
{
    if (sort != TOP_SORT_OFF_CPU) {
        return n_sums;
    }
    size_t n_chosen = 0;
    for (size_t i = 0; i < n_sums; i++) {
        if (sums[i].total_off_cpu_ns > 0) {
            sums[n_chosen++] = sums[i];
        }
    }
    return n_chosen;
}

/* Fills in the rows: functions, then what is none, sorted together if there is any of that. */
static int fill_rows(const struct query_context *context, const struct query_top_options *options,
                     const struct attribution *attribution, const struct call_tree *tree,
                     struct top_result *result)
{
    struct arena *arena = context->arena;
    struct function_sums *sums = NULL;
    struct span_tree spans = {0};
    int r = function_sums_compute(tree, arena, &sums);
    if (r == 0 && options->sort != TOP_SORT_OFF_CPU) {
        r = span_tree_build(context, &attribution->spans, &spans);
    }
    if (r != 0) {
        return r;
    }
    size_t n_functions = choose_functions(sums, tree->n_functions, options->sort);
    size_t n_rows = n_functions, n_spans = count_spans(&spans, options->group);
    if (options->limit > 0 && n_rows > options->limit) {
        n_rows = options->limit;
    }
    sort_first(sums, n_functions, n_rows, orders[options->sort].functions);
    struct top_row *rows = arena_alloc_array(arena, n_rows + n_spans + 2, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_rows; i++) {
        name_row(context, &tree->functions[sums[i].function], options->group, &rows[i]);
        fill_row(&sums[i], &attribution->totals, &rows[i]);
    }
    r = add_spans(context, &spans, result, rows + n_rows);
    size_t n_others = n_spans + add_placeless(attribution, options->sort, rows + n_rows + n_spans);
    if (n_others > 0) {
        n_rows += n_others;
        qsort(rows, n_rows, sizeof(*rows), orders[options->sort].rows);
        if (options->limit > 0 && n_rows > options->limit) {
            n_rows = options->limit;
        }
    }
    result->functions = n_functions + n_others;
    result->n_rows = n_rows;
    result->rows = rows;
    return r;
}

int query_top(const struct query_context *context, const struct query_top_options *options,
              struct top_result *ret_result, struct error *reterr_error)
{
    struct attribution attribution;
    struct call_tree tree;
    bool is_off_cpu = options->sort == TOP_SORT_OFF_CPU;
    int r = attribution_compute(context, &attribution, reterr_error);
    r = r == 0 && is_off_cpu ? attribution_spread_waits(context, &attribution) : r;
    r = r ? r : call_tree_build(context, &attribution, grouping_of(options->group), &tree);
    if (r != 0) {
        return r;
    }
    struct top_result result = {
        .run = attribution_stamp(context),
        .view = attribution.echo,
        .sort = options->sort,
        .group = options->group,
        .totals = attribution.totals,
        .hint = is_off_cpu ? attribution_wait_hint(context, &attribution)
                           : attribution_hint(context, &attribution),
    };
    r = fill_rows(context, options, &attribution, &tree, &result);
    if (r != 0) {
        return r;
    }
    if (!result.hint) {
        result.hint = dispatch_hint(context, &tree);
    }
    *ret_result = result;
    return 0;
}
