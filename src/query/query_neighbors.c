/* SPDX-License-Identifier: MIT */
/*
 * The function is a set of numbers of the call tree: its own code and the
 * copies of it that were inlined. One forward pass over the nodes follows the
 * outermost and the innermost occurrence on each path: an occurrence below
 * another one takes its weight out of what the upper one called.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "query/function_choice.h"
#include "query/function_sums.h"

/* How a node lies to the function. */
struct position {
    uint32_t nearest; /* innermost occurrence at or above it; CALL_TREE_NONE */
    uint32_t below;   /* the node right below that one, on the way here */
};

struct neighbor_sums {
    uint64_t ns, samples;
    uint32_t function; /* CALL_TREE_NONE: no caller */
};

struct work {
    const struct query_context *context;
    struct call_tree calls;
    struct attribution attribution;
    uint8_t *is_meant;             /* by function number */
    struct neighbor_sums *callers; /* by function number, the last one: no caller */
    struct neighbor_sums *callees; /* by function number */
    struct top_row function;
};

static double pct(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

/* ---- which function ---- */

static bool has_name(uint32_t number, const void *wanted, const void *userdata)
{
    const struct call_tree_function *known = (const struct call_tree_function *)userdata + number;
    const struct call_tree_function *function = wanted;
    return known->image == function->image &&
           strcmp(known->symbol->name, function->symbol->name) == 0;
}

static uint64_t key_of(const struct call_tree_function *function)
{
    const char *name = function->symbol->name;
    return hash_bytes(name, strlen(name)) ^ hash_u64(function->image);
}

/*
 * Functions with code of their own, and inlined ones that have none; `numbers`
 * are theirs in the tree. Copies that were inlined belong to the function of
 * their name in the same file.
 */
static int collect(struct work *work, const struct function_sums *sums,
                   struct function_candidate *candidates, uint32_t *numbers, size_t *ret_n)
{
    const struct call_tree *calls = &work->calls;
    _cleanup_(hash_table_releasep) struct hash_table known;
    hash_table_init(&known);
    uint32_t *of_function =
        arena_alloc_array(work->context->arena, calls->n_functions, sizeof(*of_function));
    if (!of_function) {
        return -ENOMEM;
    }
    size_t n = 0;
    /* Twice: those with code of their own come first. */
    for (uint64_t i = 0; i < UINT64_C(2) * calls->n_functions; i++) {
        bool wants_inlined = i >= calls->n_functions;
        uint32_t number = (uint32_t)(wants_inlined ? i - calls->n_functions : i);
        const struct call_tree_function *function = &calls->functions[number];
        if (function->is_inlined != wants_inlined) {
            continue;
        }
        uint64_t key = key_of(function);
        uint32_t first = hash_table_find_equal(&known, key, has_name, function, calls->functions);
        if (first != HASH_TABLE_NONE && function->is_inlined) {
            candidates[of_function[first]].weight_ns += sums[number].self_ns;
            candidates[of_function[first]].total_ns += sums[number].total_ns;
            continue;
        }
        of_function[number] = (uint32_t)n;
        numbers[n] = number;
        candidates[n++] = (struct function_candidate){
            .symbol = function->symbol,
            .is_inlined = function->is_inlined,
            .weight_ns = sums[number].self_ns,
            .total_ns = sums[number].total_ns,
        };
        int r = first == HASH_TABLE_NONE ? hash_table_add(&known, key, number) : 0;
        if (r != 0) {
            return r;
        }
    }
    *ret_n = n;
    return 0;
}

static int choose(struct work *work, const char *wanted, const char **ret_note,
                  struct error *reterr_error)
{
    const struct call_tree *calls = &work->calls;
    struct arena *arena = work->context->arena;
    struct function_sums *sums;
    struct function_candidate *candidates =
        arena_alloc_array(arena, calls->n_functions, sizeof(*candidates));
    uint32_t *numbers = arena_alloc_array(arena, calls->n_functions, sizeof(*numbers));
    work->is_meant = arena_alloc(arena, calls->n_functions);
    if (!candidates || !numbers || !work->is_meant) {
        return -ENOMEM;
    }
    size_t n_candidates = 0;
    struct function_choice choice;
    int r = function_sums_compute(calls, arena, &sums);
    r = r ? r : collect(work, sums, candidates, numbers, &n_candidates);
    r = r ? r
          : function_choice_make(wanted, candidates, n_candidates, arena, &choice, reterr_error);
    if (r != 0) {
        return r;
    }
    *ret_note = choice.note;
    uint32_t chosen = numbers[choice.index];
    for (uint32_t i = 0; i < calls->n_functions; i++) {
        work->is_meant[i] =
            i == chosen || (calls->functions[i].is_inlined &&
                            has_name(i, &calls->functions[chosen], calls->functions));
    }
    const struct call_tree_function *function = &calls->functions[chosen];
    work->function = (struct top_row){
        .name = function->symbol->name,
        .image = function->symbol->image,
        .kind = function->symbol->kind,
        .inlined = function->is_inlined,
        .address = function->is_inlined ? NULL : call_tree_address(arena, function->symbol),
    };
    return 0;
}

/* ---- sums ---- */

static void add(struct neighbor_sums *sums, const struct call_node *node)
{
    sums->ns += node->subtree_ns;
    sums->samples += node->subtree_samples;
}

static void take_out(struct neighbor_sums *sums, const struct call_node *node)
{
    sums->ns -= node->subtree_ns;
    sums->samples -= node->subtree_samples;
}

static int sum_neighbors(struct work *work)
{
    const struct call_tree *calls = &work->calls;
    struct arena *arena = work->context->arena;
    struct position *positions = arena_alloc_array(arena, calls->n_nodes, sizeof(*positions));
    work->callers =
        arena_alloc_array(arena, (size_t)calls->n_functions + 1, sizeof(*work->callers));
    work->callees = arena_alloc_array(arena, calls->n_functions, sizeof(*work->callees));
    if (!positions || !work->callers || !work->callees) {
        return -ENOMEM;
    }
    struct top_row *row = &work->function;
    positions[CALL_TREE_ROOT] = (struct position){CALL_TREE_NONE, CALL_TREE_NONE};
    for (uint32_t i = 1; i < calls->n_nodes; i++) {
        const struct call_node *node = &calls->nodes[i];
        const struct position *above = &positions[node->parent];
        struct position at = *above;
        if (at.nearest == node->parent && at.nearest != CALL_TREE_NONE) {
            at.below = i;
            add(&work->callees[node->function], node);
        }
        if (work->is_meant[node->function]) {
            row->self_active_ns += call_tree_self_ns(calls, node);
            row->self_samples += call_tree_self_samples(calls, node);
            if (at.nearest == CALL_TREE_NONE) {
                bool has_caller = node->parent != CALL_TREE_ROOT;
                add(&work->callers[has_caller ? calls->nodes[node->parent].function
                                              : calls->n_functions],
                    node);
                row->total_active_ns += node->subtree_ns;
                row->total_samples += node->subtree_samples;
            } else {
                take_out(&work->callees[calls->nodes[at.below].function], node);
            }
            at = (struct position){.nearest = i, .below = CALL_TREE_NONE};
        }
        positions[i] = at;
    }
    const struct totals *totals = &work->attribution.totals;
    row->self_pct = pct(row->self_active_ns, totals->active_ns);
    row->total_pct = pct(row->total_active_ns, totals->active_ns);
    return 0;
}

/* ---- rows ---- */

static int by_weight(const void *left, const void *right)
{
    const struct neighbor_sums *a = left, *b = right;
    if (a->ns != b->ns) {
        return a->ns > b->ns ? -1 : 1;
    }
    if (a->samples != b->samples) {
        return a->samples > b->samples ? -1 : 1;
    }
    return a->function < b->function ? -1 : a->function > b->function;
}

static void fill_row(const struct work *work, const struct neighbor_sums *sums,
                     struct neighbor_row *row)
{
    *row = (struct neighbor_row){
        .name = "(no caller)",
        .image = "",
        .active_ns = sums->ns,
        .samples = sums->samples,
        .share_pct = pct(sums->ns, work->function.total_active_ns),
    };
    if (sums->function < work->calls.n_functions) {
        const struct call_tree_function *function = &work->calls.functions[sums->function];
        row->name = function->symbol->name;
        row->image = function->symbol->image;
        row->kind = function->symbol->kind;
        row->inlined = function->is_inlined;
        row->address =
            function->is_inlined ? NULL : call_tree_address(work->context->arena, function->symbol);
    }
}

/* Rows of what has weight, the heaviest first. */
static int make_rows(const struct work *work, struct neighbor_sums *sums, size_t n_sums,
                     uint32_t limit, uint64_t *ret_n_all, size_t *ret_n_rows,
                     struct neighbor_row **ret_rows)
{
    size_t n_used = 0;
    for (uint32_t i = 0; i < n_sums; i++) {
        if (sums[i].samples > 0) {
            sums[n_used] = sums[i];
            sums[n_used++].function = i;
        }
    }
    qsort(sums, n_used, sizeof(*sums), by_weight);
    size_t n_rows = limit > 0 && n_used > limit ? limit : n_used;
    *ret_rows = arena_alloc_array(work->context->arena, n_rows, sizeof(**ret_rows));
    if (!*ret_rows) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_rows; i++) {
        fill_row(work, &sums[i], &(*ret_rows)[i]);
    }
    *ret_n_all = n_used;
    *ret_n_rows = n_rows;
    return 0;
}

int query_neighbors(const struct query_context *context,
                    const struct query_neighbors_options *options,
                    struct neighbors_result *ret_result, struct error *reterr_error)
{
    struct work work = {.context = context};
    const char *note = NULL;
    int r = attribution_compute(context, &work.attribution, reterr_error);
    r = r ? r : call_tree_build(context, &work.attribution, CALL_TREE_BY_FUNCTION, &work.calls);
    r = r ? r : choose(&work, options->function, &note, reterr_error);
    r = r ? r : sum_neighbors(&work);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct neighbors_result){
        .run = attribution_stamp(context),
        .view = work.attribution.echo,
        .totals = work.attribution.totals,
        .choice = note,
        .function = work.function,
    };
    r = make_rows(&work, work.callers, (size_t)work.calls.n_functions + 1, options->limit,
                  &ret_result->all_callers, &ret_result->n_callers, &ret_result->callers);
    r = r ? r
          : make_rows(&work, work.callees, work.calls.n_functions, options->limit,
                      &ret_result->all_callees, &ret_result->n_callees, &ret_result->callees);
    return r;
}
