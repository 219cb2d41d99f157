/* SPDX-License-Identifier: MIT */
#include "compare/compare.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "compare/block_variance.h"
#include "compare/compare_hint.h"
#include "compare/gates.h"
#include "compare/lane_figures.h"
#include "compare/run_shares.h"
#include "compare/share_difference.h"
#include "compare/side_figures.h"

#define LEAST_FREEDOM 2.0 /* of a variance that was learnt from very long phases */

/* What ends in a function, and what runs through it. */
enum { SELF, TOTAL, SHARE_N };

struct side {
    size_t n_runs;
    struct run_shares *runs;
    double n_independent; /* samples of all its runs */
    struct share_series series;
};

struct work {
    const struct compare_request *request;
    struct arena *arena;
    struct function_identities identities;
    struct side base, candidate;
    struct compare_function *rows; /* by number of function */
    uint32_t *series_rows;         /* by number of function */
    uint32_t n_series_rows;
    struct block_plan plan, long_plan;
    double least_samples; /* of a function that is tested */
    double inflation;     /* of variances, where blocks are not long enough */
    double *differences;  /* by bin, scratch */
    enum compare_method method;
    size_t n_tests;
    struct compare_share **tests;
};

/* ---- the runs ---- */

static int measure_side(struct work *work, const struct compare_runs *runs, struct side *side,
                        struct error *reterr_error)
{
    side->n_runs = runs->n_runs;
    side->runs = arena_alloc_array(work->arena, runs->n_runs, sizeof(*side->runs));
    if (!side->runs) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < runs->n_runs; i++) {
        int r = run_shares_measure(&runs->runs[i], &work->identities, &side->runs[i], reterr_error);
        if (r != 0) {
            return r;
        }
        side->n_independent += side->runs[i].n_independent;
    }
    return 0;
}

static int look_at_images(struct work *work, enum identity_side side,
                          const struct compare_runs *runs)
{
    int r = 0;
    for (size_t i = 0; i < runs->n_runs && r == 0; i++) {
        r = function_identities_look(&work->identities, side, runs->runs[i].snapshot);
    }
    return r;
}

typedef double (*ratio_cb)(const struct run_shares *shares, uint32_t function);
static const ratio_cb ratios[SHARE_N] = {
    [SELF] = run_shares_self,
    [TOTAL] = run_shares_total,
};

static struct share_estimate estimate(const struct side *side, uint32_t function, int which)
{
    struct share_estimate estimate = {.n_samples = side->n_independent};
    for (size_t i = 0; i < side->n_runs; i++) {
        estimate.ratio += ratios[which](&side->runs[i], function) / (double)side->n_runs;
    }
    return estimate;
}

/* ---- rows ---- */

static void sum_function(const struct side *side, uint32_t function, uint64_t *ret_self_ns,
                         uint64_t *ret_total_ns, uint64_t *ret_samples)
{
    uint64_t self_ns = 0, total_ns = 0;
    for (size_t i = 0; i < side->n_runs; i++) {
        struct function_sums sums = run_shares_sums(&side->runs[i], function);
        self_ns += sums.self_ns;
        total_ns += sums.total_ns;
        *ret_samples += sums.total_samples;
    }
    assert(side->n_runs > 0);
    *ret_self_ns = self_ns / side->n_runs;
    *ret_total_ns = total_ns / side->n_runs;
}

static struct compare_share *share_of(struct compare_function *row, int which)
{
    return which == SELF ? &row->self : &row->total;
}

static int make_rows(struct work *work)
{
    uint32_t n_functions = work->identities.n_functions;
    work->rows = arena_alloc_array(work->arena, n_functions, sizeof(*work->rows));
    if (!work->rows) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n_functions; i++) {
        const struct function_identity *identity = &work->identities.functions[i];
        struct compare_function *row = &work->rows[i];
        *row = (struct compare_function){
            .name = identity->name, .image = identity->image, .kind = identity->kind};
        sum_function(&work->base, i, &row->base_self_ns, &row->base_total_ns, &row->base_samples);
        sum_function(&work->candidate, i, &row->candidate_self_ns, &row->candidate_total_ns,
                     &row->candidate_samples);
        row->is_new = row->base_samples == 0;
        row->is_gone = row->candidate_samples == 0;
        for (int which = SELF; which < SHARE_N; which++) {
            struct share_estimate base = estimate(&work->base, i, which);
            struct share_estimate candidate = estimate(&work->candidate, i, which);
            share_difference_leave(&base, &candidate, share_of(row, which));
        }
    }
    return 0;
}

/* ---- what can be tested ---- */

/* So many samples in it, and so many outside: a share of nearly nothing, or nearly all, is told by
 * a handful. */
static bool has_enough(const struct work *work, const struct share_estimate *base,
                       const struct share_estimate *candidate)
{
    double n = base->n_samples + candidate->n_samples;
    double n_inside = base->ratio * base->n_samples + candidate->ratio * candidate->n_samples;
    return n_inside >= work->least_samples && n - n_inside >= work->least_samples;
}

/* Of a function that calls nothing both are the same question. */
static bool is_asked_already(const struct compare_function *row)
{
    return fabs(row->self.base_pct - row->total.base_pct) < 1e-9 &&
           fabs(row->self.candidate_pct - row->total.candidate_pct) < 1e-9;
}

static bool can_test(const struct work *work, uint32_t function, int which)
{
    struct share_estimate base = estimate(&work->base, function, which);
    struct share_estimate candidate = estimate(&work->candidate, function, which);
    return has_enough(work, &base, &candidate);
}

static bool is_wanted(const struct work *work, uint32_t function)
{
    return can_test(work, function, SELF) || can_test(work, function, TOTAL);
}

/* Where there are too many functions, those with the fewest samples are left out. */
static void choose_least_samples(struct work *work)
{
    uint32_t n_wanted;
    work->least_samples = COMPARE_MIN_SAMPLES / 2.0;
    do {
        work->least_samples *= 2;
        n_wanted = 0;
        for (uint32_t i = 0; i < work->identities.n_functions; i++) {
            n_wanted += is_wanted(work, i);
        }
    } while (n_wanted > COMPARE_MAX_FUNCTIONS);
}

/* Two rows for each function that is tested in any way. */
static int choose_functions(struct work *work)
{
    uint32_t n_functions = work->identities.n_functions;
    work->series_rows = arena_alloc_array(work->arena, n_functions, sizeof(*work->series_rows));
    if (!work->series_rows) {
        return -ENOMEM;
    }
    choose_least_samples(work);
    for (uint32_t i = 0; i < n_functions; i++) {
        bool is_followed = is_wanted(work, i);
        work->series_rows[i] = is_followed ? work->n_series_rows : RUN_SHARES_NO_ROW;
        work->n_series_rows += is_followed ? SHARE_N : 0;
    }
    work->tests = arena_alloc_array(work->arena, work->n_series_rows, sizeof(*work->tests));
    return work->tests ? 0 : -ENOMEM;
}

static double samples_of_shortest(const struct side *side)
{
    double least = INFINITY;
    for (size_t i = 0; i < side->n_runs; i++) {
        least = fmin(least, side->runs[i].n_independent);
    }
    return least;
}

/* How runs differ is known however short they are, as long as each has a sample. */
static enum compare_method choose_method(const struct work *work, double least_samples,
                                         size_t n_bins)
{
    bool has_many =
        work->base.n_runs >= COMPARE_MIN_RUNS && work->candidate.n_runs >= COMPARE_MIN_RUNS;
    if (has_many && least_samples > 0) {
        return COMPARE_METHOD_BETWEEN_RUNS;
    }
    return n_bins > 0 ? COMPARE_METHOD_BLOCKS : COMPARE_METHOD_NONE;
}

static int follow_side(struct work *work, struct side *side)
{
    side->series = (struct share_series){
        .n_bins = work->plan.n_bins,
        .n_rows = work->n_series_rows,
        .values = arena_alloc_array(work->arena, (size_t)work->n_series_rows * work->plan.n_bins,
                                    sizeof(double)),
    };
    int r = side->series.values ? 0 : -ENOMEM;
    for (size_t i = 0; i < side->n_runs && r == 0; i++) {
        r = run_shares_add_series(&side->runs[i], work->series_rows, work->identities.n_functions,
                                  1.0 / (double)side->n_runs, &side->series);
    }
    return r;
}

/* ---- tests ---- */

static const double *series_of(const struct work *work, const struct side *side, uint32_t function,
                               int which)
{
    size_t row = work->series_rows[function] + (uint32_t)which;
    return side->series.values + row * work->plan.n_bins;
}

/* Of the difference, bin by bin: what both sides do at the same point of their way is no variance.
 */
static double block_variance(struct work *work, const struct block_plan *plan, uint32_t function,
                             int which)
{
    const double *base = series_of(work, &work->base, function, which);
    const double *candidate = series_of(work, &work->candidate, function, which);
    for (size_t i = 0; i < work->plan.n_bins; i++) {
        work->differences[i] = candidate[i] - base[i];
    }
    return block_plan_variance(plan, work->differences);
}

static double squares_around_mean(const struct side *side, uint32_t function, int which)
{
    double mean = estimate(side, function, which).ratio, sum = 0;
    for (size_t i = 0; i < side->n_runs; i++) {
        double off = ratios[which](&side->runs[i], function) - mean;
        sum += off * off;
    }
    return sum;
}

/* Of the difference of the means, with one variance for the runs of both sides. */
static double run_variance(const struct work *work, uint32_t function, int which,
                           double *ret_freedom)
{
    const struct side *base = &work->base, *candidate = &work->candidate;
    double squares = squares_around_mean(base, function, which) +
                     squares_around_mean(candidate, function, which);
    *ret_freedom = (double)(base->n_runs + candidate->n_runs - 2);
    return squares / *ret_freedom * (1 / (double)base->n_runs + 1 / (double)candidate->n_runs);
}

static const double run_to_run[SHARE_N] = {
    [SELF] = SHARE_DIFFERENCE_RUN_TO_RUN_SELF,
    [TOTAL] = SHARE_DIFFERENCE_RUN_TO_RUN_TOTAL,
};

static void test_share(struct work *work, uint32_t function, int which)
{
    struct share_estimate base = estimate(&work->base, function, which);
    struct share_estimate candidate = estimate(&work->candidate, function, which);
    double least = share_difference_least_variance(&base, &candidate), variance, freedom;
    if (work->method == COMPARE_METHOD_BETWEEN_RUNS) {
        variance = fmax(least, run_variance(work, function, which, &freedom));
    } else {
        freedom = fmax(LEAST_FREEDOM, work->plan.freedom / sqrt(work->inflation));
        variance = work->inflation * block_variance(work, &work->plan, function, which);
        variance = fmax(least, variance) +
                   share_difference_unseen_variance(&base, &candidate, run_to_run[which]);
    }
    struct compare_share *share = share_of(&work->rows[function], which);
    share_difference_judge(&base, &candidate, variance, freedom, share);
    work->tests[work->n_tests++] = share;
}

/*
 * Where a program stays with one thing for longer than a block, blocks of twice
 * the length vary more than they should; all functions together tell by how
 * much. The next doubling would tell the same again: hence the square.
 */
static double measure_inflation(struct work *work)
{
    double seen = 0, seen_long = 0;
    for (uint32_t i = 0; i < work->identities.n_functions; i++) {
        if (work->series_rows[i] != RUN_SHARES_NO_ROW) {
            seen += block_variance(work, &work->plan, i, SELF);
            seen_long += block_variance(work, &work->long_plan, i, SELF);
        }
    }
    double ratio = seen > 0 ? seen_long / seen : 1;
    return ratio > 1 ? ratio * ratio : 1;
}

static int test_functions(struct work *work)
{
    uint32_t n_functions = work->identities.n_functions;
    for (uint32_t i = 0; i < n_functions; i++) {
        if (work->series_rows[i] == RUN_SHARES_NO_ROW) {
            continue;
        }
        if (can_test(work, i, SELF)) {
            test_share(work, i, SELF);
        }
        if (can_test(work, i, TOTAL) && !is_asked_already(&work->rows[i])) {
            test_share(work, i, TOTAL);
        }
    }
    int r = share_difference_correct(work->tests, work->n_tests, work->arena);
    for (uint32_t i = 0; i < n_functions && r == 0; i++) {
        if (work->rows[i].self.is_tested && is_asked_already(&work->rows[i])) {
            work->rows[i].total = work->rows[i].self;
        }
    }
    return r;
}

/* Of the mean of a side's runs. */
static double side_variance(const struct work *work, const struct side *side, uint32_t function)
{
    if (work->method == COMPARE_METHOD_BETWEEN_RUNS) {
        double n_runs = (double)side->n_runs;
        return squares_around_mean(side, function, SELF) / (n_runs - 1) / n_runs;
    }
    return block_plan_variance(&work->plan, series_of(work, side, function, SELF));
}

/*
 * How many independent samples would tell as much: of all shares together, how
 * much larger their variances are than those of independent ones.
 */
static double effective_samples(const struct work *work, const struct side *side)
{
    double seen = 0, expected = 0;
    for (uint32_t i = 0; i < work->identities.n_functions; i++) {
        if (work->series_rows[i] == RUN_SHARES_NO_ROW) {
            continue;
        }
        double ratio = estimate(side, i, SELF).ratio;
        double least = ratio * (1 - ratio) / side->n_independent;
        expected += least;
        seen += fmax(side_variance(work, side, i), least);
    }
    return expected > 0 ? side->n_independent * expected / seen / (double)side->n_runs : 0;
}

/* What blocks of time need to know. */
static int follow_sides(struct work *work, size_t n_bins)
{
    int r = block_plan_make(n_bins, BLOCK_VARIANCE_BLOCKS, work->arena, &work->plan);
    r = r ? r : block_plan_make(n_bins, BLOCK_VARIANCE_LONG_BLOCKS, work->arena, &work->long_plan);
    if (r != 0) {
        return r;
    }
    work->differences = arena_alloc_array(work->arena, n_bins, sizeof(double));
    r = work->differences ? 0 : -ENOMEM;
    r = r ? r : follow_side(work, &work->base);
    r = r ? r : follow_side(work, &work->candidate);
    work->inflation = r ? 1 : measure_inflation(work);
    return r;
}

static int test_all(struct work *work, struct compare_result *result)
{
    double least_samples =
        fmin(samples_of_shortest(&work->base), samples_of_shortest(&work->candidate));
    size_t n_bins = block_plan_bins(least_samples);
    work->method = choose_method(work, least_samples, n_bins);
    if (work->method == COMPARE_METHOD_NONE) {
        return 0;
    }
    int r = choose_functions(work);
    if (r == 0 && work->method == COMPARE_METHOD_BLOCKS) {
        r = follow_sides(work, n_bins);
    }
    r = r ? r : test_functions(work);
    if (r == 0) {
        result->base.effective_samples = effective_samples(work, &work->base);
        result->candidate.effective_samples = effective_samples(work, &work->candidate);
    }
    return r;
}

/* ---- the answer ---- */

/* What is significant first, of that what a function did itself before what it had done. */
static int rank_of(const struct compare_function *row)
{
    return row->self.is_significant ? 2 : row->total.is_significant;
}

/* Where nothing is sure, what is hot is looked at first. */
static double size_of(const struct compare_function *row)
{
    switch (rank_of(row)) {
    case 2:
        return fabs(row->self.delta_pp);
    case 1:
        return fabs(row->total.delta_pp);
    default:
        return fmax(row->self.base_pct, row->self.candidate_pct);
    }
}

static int by_difference(const void *left, const void *right)
{
    const struct compare_function *a = left, *b = right;
    if (rank_of(a) != rank_of(b)) {
        return rank_of(b) - rank_of(a);
    }
    if (size_of(a) != size_of(b)) {
        return size_of(a) > size_of(b) ? -1 : 1;
    }
    double total_a = fmax(a->total.base_pct, a->total.candidate_pct);
    double total_b = fmax(b->total.base_pct, b->total.candidate_pct);
    if (total_a != total_b) {
        return total_a > total_b ? -1 : 1;
    }
    int order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->image, b->image);
}

static void answer(struct work *work, struct compare_result *result)
{
    size_t n_rows = 0;
    for (uint32_t i = 0; i < work->identities.n_functions; i++) {
        const struct compare_function *row = &work->rows[i];
        if (row->base_samples > 0 || row->candidate_samples > 0) {
            work->rows[n_rows++] = *row;
            result->significant += rank_of(row) > 0;
        }
    }
    if (n_rows > 0) {
        qsort(work->rows, n_rows, sizeof(*work->rows), by_difference);
    }
    result->method = work->method;
    result->tested = work->n_tests;
    result->functions = n_rows;
    result->n_rows = n_rows;
    result->rows = work->rows;
}

/* ---- what is to be said with it ---- */

static const struct run_shares *shortest_of(const struct side *side,
                                            const struct run_shares *shortest)
{
    for (size_t i = 0; i < side->n_runs; i++) {
        const struct run_shares *run = &side->runs[i];
        shortest = !shortest || run->n_independent < shortest->n_independent ? run : shortest;
    }
    return shortest;
}

static int hint_at_shortest(const struct work *work, struct compare_result *result)
{
    const struct run_shares *shortest =
        shortest_of(&work->candidate, shortest_of(&work->base, NULL));
    const char *text = arena_printf(
        work->arena,
        "too few samples to tell differences of functions from chance: those of run %" PRIu32
        " are worth %.0f, and each run needs %u, or each side %u runs with any: record longer, or "
        "with a higher -F, or stax record --repeat %u",
        shortest->context->run, floor(shortest->n_independent), COMPARE_MIN_RUN_SAMPLES,
        COMPARE_MIN_RUNS, COMPARE_MIN_RUNS);
    return compare_hint_add(result, work->arena, text);
}

/* Its sums are of all of it, its blocks of what is left. */
static int hint_at_dropped(const struct work *work, const struct side *side,
                           struct compare_result *result)
{
    int r = 0;
    for (size_t i = 0; i < side->n_runs && r == 0; i++) {
        const struct query_context *context = side->runs[i].context;
        const struct snapshot *snapshot = context->snapshot;
        if (snapshot->first_sample == 0 || snapshot->folded_until_ns >= snapshot->now_ns) {
            continue;
        }
        const char *text = arena_printf(
            work->arena,
            "the samples of run %" PRIu32 " are kept of its last %.3f s of %.3f s only: its shares "
            "are of all of it, how they vary is learnt from these",
            context->run, (double)(snapshot->now_ns - snapshot->folded_until_ns) / NS_PER_S,
            (double)(snapshot->now_ns - snapshot->start_ns) / NS_PER_S);
        r = compare_hint_add(result, work->arena, text);
    }
    return r;
}

static int add_hints(const struct work *work, struct compare_result *result)
{
    if (work->method == COMPARE_METHOD_NONE) {
        return hint_at_shortest(work, result);
    }
    if (work->method == COMPARE_METHOD_BETWEEN_RUNS) {
        return 0;
    }
    int r = hint_at_dropped(work, &work->base, result);
    return r ? r : hint_at_dropped(work, &work->candidate, result);
}

static int compare_measured(struct work *work, const struct compare_runs *base,
                            const struct compare_runs *candidate, struct compare_result *ret_result,
                            struct error *reterr_error)
{
    struct compare_result result = {.method = COMPARE_METHOD_NONE};
    int r = look_at_images(work, IDENTITY_SIDE_BASE, base);
    r = r ? r : look_at_images(work, IDENTITY_SIDE_CANDIDATE, candidate);
    function_identities_match(&work->identities);
    r = r ? r : side_figures_sum(base, &result.base, reterr_error);
    r = r ? r : side_figures_sum(candidate, &result.candidate, reterr_error);
    r = r ? r : lane_figures_compare(base, candidate, &result);
    r = r ? r : measure_side(work, base, &work->base, reterr_error);
    r = r ? r : measure_side(work, candidate, &work->candidate, reterr_error);
    r = r ? r : make_rows(work);
    r = r ? r : test_all(work, &result);
    if (r != 0) {
        return r;
    }
    answer(work, &result);
    r = add_hints(work, &result);
    r = r ? r : gates_check(&work->request->gates, work->arena, &result);
    if (r == 0) {
        uint32_t limit = work->request->limit;
        result.n_rows = limit > 0 && result.n_rows > limit ? limit : result.n_rows;
        result.n_lane_rows = limit > 0 && result.n_lane_rows > limit ? limit : result.n_lane_rows;
        *ret_result = result;
    }
    return r;
}

int compare_runs(const struct compare_runs *base, const struct compare_runs *candidate,
                 const struct compare_request *request, struct compare_result *ret_result,
                 struct error *reterr_error)
{
    struct work work = {.request = request, .arena = base->runs[0].arena};
    assert(base->n_runs > 0 && candidate->n_runs > 0);
    function_identities_init(&work.identities, work.arena);
    int r = compare_measured(&work, base, candidate, ret_result, reterr_error);
    function_identities_release(&work.identities);
    return r;
}
