/* SPDX-License-Identifier: MIT */
#include "compare/run_shares.h"

#include <errno.h>

/* ---- sums ---- */

/* A function of the tree is one symbol; here it is one name, so that recursion is counted by name.
 */
static int renumber(struct run_shares *shares, struct function_identities *identities)
{
    struct call_tree *tree = &shares->tree;
    uint32_t *numbers =
        arena_alloc_array(shares->context->arena, tree->n_functions, sizeof(*numbers));
    if (!numbers) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < tree->n_functions; i++) {
        int r = function_identities_number(identities, tree->functions[i].symbol, &numbers[i]);
        if (r != 0) {
            return r;
        }
    }
    for (uint32_t i = 1; i < tree->n_nodes; i++) {
        tree->nodes[i].function = numbers[tree->nodes[i].function];
    }
    tree->n_functions = identities->n_functions;
    tree->functions = NULL;
    return 0;
}

/* The weights of each thread's samples together. */
static double *sum_weights(const struct run_shares *shares)
{
    const struct snapshot *snapshot = shares->context->snapshot;
    double *sums = arena_alloc_array(shares->context->arena, snapshot->n_threads, sizeof(*sums));
    if (sums && shares->has_own_weights) {
        for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
            const struct stored_sample *sample = snapshot_sample(snapshot, i);
            sums[sample->thread] += (double)sample_weight_of(&shares->weights, true, sample);
        }
    } else if (sums) {
        for (size_t i = 0; i < snapshot->n_pairs; i++) {
            struct sample_pair pair = snapshot_pair(snapshot, i);
            sums[pair.thread] += (double)snapshot->pair_counts[i] *
                                 (double)shares->weights.by_class[pair.slice_class];
        }
    }
    return sums;
}

/* As attribution.c shares a thread's time among its samples. */
static int weigh(struct run_shares *shares)
{
    const struct snapshot *snapshot = shares->context->snapshot;
    const struct thread_share *threads = shares->attribution.threads;
    sample_weights_compute(snapshot, &shares->weights);
    shares->has_own_weights = sample_weights_are_own(snapshot, false);
    double *sums = sum_weights(shares);
    if (!sums) {
        return -ENOMEM;
    }
    double pool_ns = 0, pool_weight = 0;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        if (!threads[i].has_own_share) {
            pool_ns += (double)threads[i].cpu_ns;
            pool_weight += sums[i];
        }
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        double time_ns = threads[i].has_own_share ? (double)threads[i].cpu_ns : pool_ns;
        double weight = threads[i].has_own_share ? sums[i] : pool_weight;
        sums[i] = weight > 0 ? time_ns / weight : 0;
    }
    shares->thread_weights = sums;
    return 0;
}

static double weight_of(const struct run_shares *shares, const struct stored_sample *sample)
{
    uint64_t weight = sample_weight_of(&shares->weights, shares->has_own_weights, sample);
    return shares->thread_weights[sample->thread] * (double)weight;
}

/* Kish's effective size of a weighted sample; samples that are gone count like those that are not.
 */
static void count_independent(struct run_shares *shares)
{
    const struct snapshot *snapshot = shares->context->snapshot;
    double sum = 0, sum_of_squares = 0;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        double weight = weight_of(shares, snapshot_sample(snapshot, i));
        sum += weight;
        sum_of_squares += weight * weight;
    }
    double n_stored = (double)(snapshot->n_samples - snapshot->first_sample);
    double n_worth = sum_of_squares > 0 ? sum * sum / sum_of_squares : 0;
    shares->n_independent = n_stored > 0 ? n_worth * (double)snapshot->n_samples / n_stored : 0;
}

int run_shares_measure(const struct query_context *context, struct function_identities *identities,
                       struct run_shares *ret_shares, struct error *reterr_error)
{
    *ret_shares = (struct run_shares){.context = context};
    struct attribution *attribution = &ret_shares->attribution;
    struct call_tree *tree = &ret_shares->tree;
    int r = attribution_compute(context, attribution, reterr_error);
    r = r ? r : call_tree_build(context, attribution, CALL_TREE_BY_FUNCTION, tree);
    r = r ? r : renumber(ret_shares, identities);
    r = r ? r : function_sums_compute(tree, context->arena, &ret_shares->sums);
    r = r ? r : weigh(ret_shares);
    if (r != 0) {
        return r;
    }
    ret_shares->n_sums = tree->n_functions;
    count_independent(ret_shares);
    return 0;
}

struct function_sums run_shares_sums(const struct run_shares *shares, uint32_t function)
{
    return function < shares->n_sums ? shares->sums[function]
                                     : (struct function_sums){.function = function};
}

static double ratio(uint64_t part_ns, const struct run_shares *shares)
{
    uint64_t whole_ns = shares->attribution.totals.cpu_ns;
    return whole_ns > 0 ? (double)part_ns / (double)whole_ns : 0;
}

double run_shares_self(const struct run_shares *shares, uint32_t function)
{
    return ratio(run_shares_sums(shares, function).self_ns, shares);
}

double run_shares_total(const struct run_shares *shares, uint32_t function)
{
    return ratio(run_shares_sums(shares, function).total_ns, shares);
}

/* ---- series ---- */

/* Where samples go: bin after bin is filled to the brim, a sample that does not fit goes on in the
 * next one. */
struct filling {
    const struct run_shares *shares;
    const uint32_t *rows;
    uint32_t n_functions;
    struct share_series *series;
    uint32_t *node_of;   /* by stack */
    uint64_t *last_seen; /* by function: number of the sample, so that recursion counts once */
    uint64_t n_seen;
    size_t bin;
    double room;     /* of a bin, nanoseconds */
    double left;     /* in this bin */
    double per_unit; /* what a nanosecond adds to a share */
};

static uint32_t row_of(const struct filling *filling, uint32_t function)
{
    return function < filling->n_functions ? filling->rows[function] : RUN_SHARES_NO_ROW;
}

/* Puts weight into the current bin, for all functions of the stack. */
static void put(struct filling *filling, uint32_t innermost, double weight)
{
    const struct call_tree *tree = &filling->shares->tree;
    struct share_series *series = filling->series;
    double *values = series->values + filling->bin;
    double amount = weight * filling->per_unit;
    filling->n_seen++;
    for (uint32_t at = innermost; at != CALL_TREE_ROOT; at = tree->nodes[at].parent) {
        uint32_t function = tree->nodes[at].function;
        uint32_t row = row_of(filling, function);
        if (row == RUN_SHARES_NO_ROW) {
            continue;
        }
        if (at == innermost) {
            values[row * series->n_bins] += amount;
        }
        if (filling->last_seen[function] != filling->n_seen) {
            filling->last_seen[function] = filling->n_seen;
            values[(row + 1) * series->n_bins] += amount;
        }
    }
}

static void pour(struct filling *filling, uint32_t innermost, double weight)
{
    while (weight > filling->left && filling->bin + 1 < filling->series->n_bins) {
        put(filling, innermost, filling->left);
        weight -= filling->left;
        filling->bin++;
        filling->left = filling->room;
    }
    put(filling, innermost, weight);
    filling->left -= weight;
}

static int find_nodes(struct filling *filling)
{
    const struct run_shares *shares = filling->shares;
    struct arena *arena = shares->context->arena;
    filling->node_of =
        arena_alloc_array(arena, shares->context->snapshot->n_stacks, sizeof(*filling->node_of));
    filling->last_seen =
        arena_alloc_array(arena, filling->n_functions, sizeof(*filling->last_seen));
    if (!filling->node_of || !filling->last_seen) {
        return -ENOMEM;
    }
    for (uint32_t i = 1; i < shares->tree.n_nodes; i++) {
        stack_id stack = shares->tree.nodes[i].stack;
        if (stack != CALL_TREE_NONE) {
            filling->node_of[stack] = i;
        }
    }
    return 0;
}

int run_shares_add_series(const struct run_shares *shares, const uint32_t *rows,
                          uint32_t n_functions, double part, struct share_series *series)
{
    const struct snapshot *snapshot = shares->context->snapshot;
    struct filling filling = {
        .shares = shares, .rows = rows, .n_functions = n_functions, .series = series};
    int r = find_nodes(&filling);
    if (r != 0) {
        return r;
    }
    double sum = 0;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        sum += weight_of(shares, snapshot_sample(snapshot, i));
    }
    if (sum <= 0) {
        return 0;
    }
    filling.room = filling.left = sum / (double)series->n_bins;
    filling.per_unit = part / filling.room;
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        pour(&filling, filling.node_of[sample->stack], weight_of(shares, sample));
    }
    return 0;
}
