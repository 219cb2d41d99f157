/* SPDX-License-Identifier: MIT */
#include "compare/gates.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "base/clock.h"
#include "query/function_choice.h"

#define FIGURE_GATE_N 8u

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

struct checking {
    const struct compare_gates *gates;
    struct arena *arena;
    struct compare_result *result;
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

static int check_row(struct checking *checking, const struct compare_function_gate *gate,
                     const struct compare_function *row)
{
    bool is_self = has_grown(&row->self, gate->growth_pp);
    if (!is_self && !has_grown(&row->total, gate->growth_pp)) {
        return 0;
    }
    const struct compare_share *share = is_self ? &row->self : &row->total;
    const char *message = arena_printf(
        checking->arena,
        "the %s share of %s (%s) grew by %.2f points, from %.2f to %.2f %%; --fail-function "
        "'%s:+%g' allows %g",
        is_self ? "self" : "total", row->name, row->image, share->delta_pp, share->base_pct,
        share->candidate_pct, gate->name, gate->growth_pp, gate->growth_pp);
    return add_failure(checking, "fail-function", row->name, message);
}

/* All functions whose name fits best: the name itself, else the name without regard to case, … */
static int check_function(struct checking *checking, const struct compare_function_gate *gate)
{
    struct compare_result *result = checking->result;
    unsigned int best = 0;
    for (size_t i = 0; i < result->n_rows; i++) {
        unsigned int fits = fit(&result->rows[i], gate->name);
        best = fits > best ? fits : best;
    }
    if (best == 0) {
        result->hint = arena_printf(checking->arena,
                                    "no function of either side is called %s: its gate was not "
                                    "tested",
                                    gate->name);
        return result->hint ? 0 : -ENOMEM;
    }
    int r = 0;
    for (size_t i = 0; i < result->n_rows && r == 0; i++) {
        if (fit(&result->rows[i], gate->name) == best) {
            r = check_row(checking, gate, &result->rows[i]);
        }
    }
    return r;
}

int gates_check(const struct compare_gates *gates, struct arena *arena,
                struct compare_result *result)
{
    struct checking checking = {.gates = gates, .arena = arena, .result = result};
    size_t n_most = FIGURE_GATE_N + 1 + gates->n_functions * (result->significant + 1);
    result->threshold_failures =
        arena_alloc_array(arena, n_most, sizeof(*result->threshold_failures));
    int r = result->threshold_failures ? 0 : -ENOMEM;
    for (size_t i = 0; i < FIGURE_GATE_N && r == 0; i++) {
        r = check_figure(&checking, &figure_gates[i]);
    }
    r = r ? r : check_target_growth(&checking);
    for (size_t i = 0; i < gates->n_functions && r == 0; i++) {
        r = check_function(&checking, &gates->functions[i]);
    }
    return r;
}
