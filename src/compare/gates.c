/* SPDX-License-Identifier: MIT */
#include "compare/gates.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "base/clock.h"
#include "compare/compare_hint.h"
#include "compare/share_difference.h"
#include "query/function_choice.h"

#define FIGURE_GATE_N 8u
#define PARTS_NAMED 4u

/* A limit on the growth of one figure of the run. */
struct figure_gate {
    const char *option; /* of stax compare, without dashes */
    const char *figure; /* as a sentence begins with it */
    bool is_time;
    size_t has_offset, limit_offset; /* in struct compare_gates */
    size_t figure_offset;            /* in struct compare_side */
};

#define FIGURE_GATE(gate_option, member, of_side, words, is_of_time)                               \
    {                                                                                              \
        .option = (gate_option), .figure = (words), .is_time = (is_of_time),                       \
        .has_offset = offsetof(struct compare_gates, has_##member),                                \
        .limit_offset = offsetof(struct compare_gates, member),                                    \
        .figure_offset = offsetof(struct compare_side, of_side),                                   \
    }

static const struct figure_gate figure_gates[FIGURE_GATE_N] = {
    FIGURE_GATE("fail-active-delta-ms", active_delta_ns, active_ns, "active time", true),
    FIGURE_GATE("fail-off-cpu-delta-ms", off_cpu_delta_ns, off_cpu_ns, "off-CPU time", true),
    FIGURE_GATE("fail-target-delta-ms", target_delta_ns, target_ns, "target time", true),
    FIGURE_GATE("fail-unlinked-origins-delta", unlinked_origins_delta, unlinked_origins,
                "the number of unlinked origins", false),
    FIGURE_GATE("fail-missing-origins-delta", missing_origins_delta, missing_origins,
                "the number of missing origins", false),
    FIGURE_GATE("fail-bad-duration-drops-delta", bad_duration_drops_delta, bad_duration_drops,
                "the number of drops for a bad duration", false),
    FIGURE_GATE("fail-target-queue-drops-delta", target_queue_drops_delta, target_queue_drops,
                "the number of drops by the target queue", false),
    FIGURE_GATE("fail-worker-disconnect-drops-delta", worker_disconnect_drops_delta,
                worker_disconnect_drops, "the number of drops by disconnects", false),
};

/* What ends in a function, and what runs through it. */
enum { SELF, TOTAL, SHARE_N };

struct checking {
    const struct compare_gates *gates;
    struct arena *arena;
    struct compare_result *result;
    unsigned int *best;                      /* by function's gate: how well a name fits it */
    bool *is_gated;                          /* by row */
    struct compare_share (*shares)[SHARE_N]; /* by row; corrected for those of gated rows only */
};

static int add_failure(struct checking *checking, const char *gate, const char *function,
                       const char *message)
{
    struct compare_result *result = checking->result;
    if (!message) {
        return -ENOMEM;
    }
    result->threshold_failures[result->n_threshold_failures++] =
        (struct compare_failure){.gate = gate, .function = function, .message = message};
    return 0;
}

static const void *member_at(const void *of, size_t offset)
{
    return (const char *)of + offset;
}

static double ms(uint64_t time_ns)
{
    return (double)time_ns / NS_PER_MS;
}

static int check_figure(struct checking *checking, const struct figure_gate *gate)
{
    const struct compare_result *result = checking->result;
    bool is_set = *(const bool *)member_at(checking->gates, gate->has_offset);
    uint64_t limit = *(const uint64_t *)member_at(checking->gates, gate->limit_offset);
    uint64_t base = *(const uint64_t *)member_at(&result->base, gate->figure_offset);
    uint64_t candidate = *(const uint64_t *)member_at(&result->candidate, gate->figure_offset);
    if (!is_set || candidate <= base || candidate - base <= limit) {
        return 0;
    }
    const char *message =
        gate->is_time
            ? arena_printf(checking->arena,
                           "%s grew by %.3f ms, from %.3f to %.3f ms; --%s allows %.3f ms",
                           gate->figure, ms(candidate - base), ms(base), ms(candidate),
                           gate->option, ms(limit))
            : arena_printf(checking->arena,
                           "%s grew by %" PRIu64 ", from %" PRIu64 " to %" PRIu64
                           "; --%s allows %" PRIu64,
                           gate->figure, candidate - base, base, candidate, gate->option, limit);
    return add_failure(checking, gate->option, NULL, message);
}

/* Out of nothing any growth is too much. */
static int check_target_growth(struct checking *checking)
{
    const struct compare_gates *gates = checking->gates;
    uint64_t base_ns = checking->result->base.target_ns;
    uint64_t candidate_ns = checking->result->candidate.target_ns;
    if (!gates->has_target_growth_pct || candidate_ns <= base_ns ||
        100.0 * (double)(candidate_ns - base_ns) <= gates->target_growth_pct * (double)base_ns) {
        return 0;
    }
    const char *message =
        arena_printf(checking->arena,
                     "target time grew from %.3f to %.3f ms; --fail-target-delta-pct allows %g %%",
                     ms(base_ns), ms(candidate_ns), gates->target_growth_pct);
    return add_failure(checking, "fail-target-delta-pct", NULL, message);
}

static unsigned int fit(const struct compare_function *row, const char *name)
{
    const struct symbol symbol = {.name = row->name, .image = row->image, .kind = row->kind};
    const struct function_candidate candidate = {.symbol = &symbol, .is_inlined = true};
    return function_choice_fit(name, &candidate);
}

static bool has_grown(const struct compare_share *share, double growth_pp)
{
    return share->is_significant && share->delta_pp > growth_pp;
}

static int check_row(struct checking *checking, const struct compare_function_gate *gate, size_t i)
{
    const struct compare_function *row = &checking->result->rows[i];
    const struct compare_share *shares = checking->shares[i];
    bool is_self = has_grown(&shares[SELF], gate->growth_pp);
    if (!is_self && !has_grown(&shares[TOTAL], gate->growth_pp)) {
        return 0;
    }
    const struct compare_share *share = &shares[is_self ? SELF : TOTAL];
    const char *message = arena_printf(
        checking->arena,
        "the %s share of %s (%s) grew by %.2f points, from %.2f to %.2f %%; --fail-function "
        "'%s:+%g' allows %g",
        is_self ? "self" : "total", row->name, row->image, share->delta_pp, share->base_pct,
        share->candidate_pct, gate->name, gate->growth_pp, gate->growth_pp);
    return add_failure(checking, "fail-function", row->name, message);
}

/* What nobody could look at does not pass. */
static int fail_untested(struct checking *checking, const struct compare_function_gate *gate,
                         const char *function, const char *why)
{
    const char *message =
        arena_printf(checking->arena, "--fail-function '%s:+%g' could not be tested: %s%s",
                     gate->name, gate->growth_pp, why, function ? function : "");
    return add_failure(checking, "fail-function", function, message);
}

/* It seems to have grown, but there were too few samples in it, or outside, to tell. */
static bool is_in_doubt(const struct compare_function *row, double growth_pp)
{
    return (!row->self.is_tested && row->self.delta_pp > growth_pp) ||
           (!row->total.is_tested && row->total.delta_pp > growth_pp);
}

/* Whoever has renamed a function shall not go on with a limit for another one unawares. */
static int name_parts(struct checking *checking, const struct compare_function_gate *gate)
{
    const struct compare_result *result = checking->result;
    const char *names = "";
    size_t n_named = 0, n_more = 0;
    for (size_t i = 0; i < result->n_rows && names; i++) {
        if (fit(&result->rows[i], gate->name) != FUNCTION_CHOICE_PART) {
            continue;
        }
        if (n_named == PARTS_NAMED) {
            n_more++;
            continue;
        }
        names = arena_printf(checking->arena, "%s%s%s (%s)", names, n_named++ > 0 ? ", " : "",
                             result->rows[i].name, result->rows[i].image);
    }
    if (names && n_more > 0) {
        names = arena_printf(checking->arena, "%s and %zu more", names, n_more);
    }
    const char *hint = names ? arena_printf(checking->arena,
                                            "no function is called %s: its limit was held against "
                                            "those with that in their name: %s",
                                            gate->name, names)
                             : NULL;
    return compare_hint_add(checking->result, checking->arena, hint);
}

static int check_rows(struct checking *checking, const struct compare_function_gate *gate,
                      unsigned int best)
{
    const struct compare_result *result = checking->result;
    const struct compare_function *doubtful = NULL;
    size_t n_before = result->n_threshold_failures;
    int r = best == FUNCTION_CHOICE_PART ? name_parts(checking, gate) : 0;
    for (size_t i = 0; i < result->n_rows && r == 0; i++) {
        const struct compare_function *row = &result->rows[i];
        if (fit(row, gate->name) == best) {
            r = check_row(checking, gate, i);
            doubtful = !doubtful && is_in_doubt(row, gate->growth_pp) ? row : doubtful;
        }
    }
    if (r == 0 && doubtful && result->n_threshold_failures == n_before) {
        r = fail_untested(checking, gate, doubtful->name,
                          "there are too few samples in or outside of ");
    }
    return r;
}

static int check_function(struct checking *checking, const struct compare_function_gate *gate,
                          unsigned int best)
{
    const struct compare_result *result = checking->result;
    if (best == 0) {
        return fail_untested(checking, gate, NULL, "no function of either side is called so");
    }
    if (result->method == COMPARE_METHOD_NONE) {
        return fail_untested(checking, gate, NULL, "there are too few samples to tell");
    }
    return check_rows(checking, gate, best);
}

/* All functions whose name fits best: the name itself, else the name without regard to case, …
 * How many these are for all gates. */
static size_t find_rows(struct checking *checking)
{
    const struct compare_result *result = checking->result;
    size_t n_found = 0;
    for (size_t g = 0; g < checking->gates->n_functions; g++) {
        const char *name = checking->gates->functions[g].name;
        for (size_t i = 0; i < result->n_rows; i++) {
            unsigned int fits = fit(&result->rows[i], name);
            checking->best[g] = fits > checking->best[g] ? fits : checking->best[g];
        }
        for (size_t i = 0; i < result->n_rows && checking->best[g] > 0; i++) {
            bool is_meant = fit(&result->rows[i], name) == checking->best[g];
            checking->is_gated[i] = checking->is_gated[i] || is_meant;
            n_found += is_meant;
        }
    }
    return n_found;
}

/* Of a function that calls nothing both are the same question. */
static bool is_one_question(const struct compare_function *row)
{
    return row->self.is_tested == row->total.is_tested && row->self.p_value == row->total.p_value &&
           row->self.delta_pp == row->total.delta_pp;
}

static int correct_over_gates(struct checking *checking)
{
    const struct compare_result *result = checking->result;
    struct compare_share **tests =
        arena_alloc_array(checking->arena, SHARE_N * result->n_rows, sizeof(*tests));
    if (!tests) {
        return -ENOMEM;
    }
    size_t n_tests = 0;
    for (size_t i = 0; i < result->n_rows; i++) {
        const struct compare_function *row = &result->rows[i];
        struct compare_share *shares = checking->shares[i];
        shares[SELF] = row->self;
        shares[TOTAL] = row->total;
        if (checking->is_gated[i] && row->self.is_tested) {
            tests[n_tests++] = &shares[SELF];
        }
        if (checking->is_gated[i] && row->total.is_tested && !is_one_question(row)) {
            tests[n_tests++] = &shares[TOTAL];
        }
    }
    return share_difference_correct(tests, n_tests, checking->arena);
}

/* Room for what may fail, and what there is to know of rows first. */
static int prepare(struct checking *checking)
{
    struct compare_result *result = checking->result;
    struct arena *arena = checking->arena;
    size_t n_functions = checking->gates->n_functions;
    checking->best = arena_alloc_array(arena, n_functions, sizeof(*checking->best));
    checking->is_gated = arena_alloc_array(arena, result->n_rows, sizeof(*checking->is_gated));
    checking->shares = arena_alloc_array(arena, result->n_rows, sizeof(*checking->shares));
    if (!checking->best || !checking->is_gated || !checking->shares) {
        return -ENOMEM;
    }
    size_t n_most = FIGURE_GATE_N + 1 + find_rows(checking) + n_functions;
    result->threshold_failures =
        arena_alloc_array(arena, n_most, sizeof(*result->threshold_failures));
    return result->threshold_failures ? correct_over_gates(checking) : -ENOMEM;
}

int gates_check(const struct compare_gates *gates, struct arena *arena,
                struct compare_result *result)
{
    struct checking checking = {.gates = gates, .arena = arena, .result = result};
    int r = prepare(&checking);
    for (size_t i = 0; i < FIGURE_GATE_N && r == 0; i++) {
        r = check_figure(&checking, &figure_gates[i]);
    }
    r = r ? r : check_target_growth(&checking);
    for (size_t i = 0; i < gates->n_functions && r == 0; i++) {
        r = check_function(&checking, &gates->functions[i], checking.best[i]);
    }
    return r;
}
