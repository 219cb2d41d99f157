/* SPDX-License-Identifier: MIT */
#include "cli/compare_figures.h"

#include <inttypes.h>
#include <stdio.h>

struct figure {
    const char *name;
    size_t offset; /* in struct compare_side, a uint64_t */
    bool is_time;
    bool is_always; /* shown where it is 0, too */
};

#define FIGURE(words, member, time, always)                                                        \
    {                                                                                              \
        .name = (words), .offset = offsetof(struct compare_side, member), .is_time = (time),       \
        .is_always = (always)                                                                      \
    }

static const struct figure figures[] = {
    FIGURE("active", active_ns, true, true),
    FIGURE("off-CPU", off_cpu_ns, true, true),
    FIGURE("off-CPU: idle", off_cpu_by_reason_ns.idle_ns, true, false),
    FIGURE("off-CPU: lock", off_cpu_by_reason_ns.lock_ns, true, false),
    FIGURE("off-CPU: sem", off_cpu_by_reason_ns.sem_ns, true, false),
    FIGURE("off-CPU: ipc", off_cpu_by_reason_ns.ipc_ns, true, false),
    FIGURE("off-CPU: ioR", off_cpu_by_reason_ns.io_r_ns, true, false),
    FIGURE("off-CPU: ioW", off_cpu_by_reason_ns.io_w_ns, true, false),
    FIGURE("off-CPU: ready", off_cpu_by_reason_ns.ready_ns, true, false),
    FIGURE("off-CPU: sleep", off_cpu_by_reason_ns.sleep_ns, true, false),
    FIGURE("off-CPU: conn", off_cpu_by_reason_ns.conn_ns, true, false),
    FIGURE("off-CPU: other", off_cpu_by_reason_ns.other_ns, true, false),
    FIGURE("waiting for a CPU", runq_ns, true, false),
    FIGURE("target time", target_ns, true, false),
    FIGURE("spans", spans, false, false),
    FIGURE("linked origins", linked_origins, false, false),
    FIGURE("unlinked origins", unlinked_origins, false, false),
    FIGURE("missing origins", missing_origins, false, false),
    FIGURE("drops: bad duration", bad_duration_drops, false, false),
    FIGURE("drops: target ring", target_ring_drops, false, false),
    FIGURE("drops: server queue", server_queue_drops, false, false),
    FIGURE("drops: disconnects", worker_disconnect_drops, false, false),
    FIGURE("samples", samples, false, true),
    FIGURE("off-CPU intervals", intervals, false, false),
    FIGURE("wakeups", wakeups, false, false),
    FIGURE("threads", threads, false, true),
    FIGURE("lost events", lost, false, false),
};
#define FIGURE_N (sizeof(figures) / sizeof(figures[0]))

static uint64_t value_of(const struct compare_side *side, const struct figure *figure)
{
    return *(const uint64_t *)(const void *)((const char *)side + figure->offset);
}

static void format(uint64_t value, bool is_time, char ret_text[static QUANTITY_TEXT_BYTES])
{
    if (is_time) {
        quantity_format_duration(value, ret_text);
    } else {
        snprintf(ret_text, QUANTITY_TEXT_BYTES, "%" PRIu64, value);
    }
}

static void describe(const struct figure *figure, uint64_t base, uint64_t candidate,
                     struct compare_figure *ret_figure)
{
    char size[QUANTITY_TEXT_BYTES];
    bool has_grown = candidate >= base;
    uint64_t difference = has_grown ? candidate - base : base - candidate;
    const char *sign = has_grown ? "+" : "-";
    ret_figure->name = figure->name;
    format(base, figure->is_time, ret_figure->base);
    format(candidate, figure->is_time, ret_figure->candidate);
    format(difference, figure->is_time, size);
    if (difference == 0) {
        snprintf(ret_figure->difference, sizeof(ret_figure->difference), "0");
    } else if (base == 0) {
        snprintf(ret_figure->difference, sizeof(ret_figure->difference), "%s%s", sign, size);
    } else {
        snprintf(ret_figure->difference, sizeof(ret_figure->difference), "%s%s (%s%.1f %%)", sign,
                 size, sign, 100.0 * (double)difference / (double)base);
    }
}

bool compare_figures_next(const struct compare_result *result, size_t *index,
                          struct compare_figure *ret_figure)
{
    while (*index < FIGURE_N) {
        const struct figure *figure = &figures[(*index)++];
        uint64_t base = value_of(&result->base, figure);
        uint64_t candidate = value_of(&result->candidate, figure);
        if (figure->is_always || base > 0 || candidate > 0) {
            describe(figure, base, candidate, ret_figure);
            return true;
        }
    }
    return false;
}

void compare_figures_lane(const struct compare_lane *lane, struct compare_figure *ret_figure)
{
    static const struct figure target_time = {.is_time = true};
    describe(&target_time, lane->base_ns, lane->candidate_ns, ret_figure);
}

void compare_figures_append_lane_facts(const struct compare_lane *lane, struct text *text)
{
    text_printf(text, " (%s)%s%s", lane_kind_name(lane->kind), lane->is_new ? " new" : "",
                lane->is_gone ? " gone" : "");
}

void compare_figures_append_runs(const struct compare_side *side, struct text *text)
{
    text_append(text, side->n_runs == 1 ? "run " : "runs ");
    for (size_t i = 0; i < side->n_runs; i++) {
        text_printf(text, "%s%" PRIu32, i > 0 ? ", " : "", side->runs[i]);
    }
}

void compare_figures_append_verdict(const struct compare_result *result, struct text *text)
{
    if (result->method == COMPARE_METHOD_NONE) {
        text_append(text, "too few samples to compare functions");
        return;
    }
    if (result->significant == 0) {
        text_append(text, "no significant difference");
    } else if (result->significant == 1) {
        text_append(text, "1 function differs significantly");
    } else {
        text_printf(text, "%" PRIu64 " functions differ significantly", result->significant);
    }
    text_printf(text, " (%" PRIu64 " difference%s tested, by %s)", result->tested,
                quantity_plural(result->tested),
                result->method == COMPARE_METHOD_BLOCKS ? "blocks of time within the runs"
                                                        : "how runs of one side differ");
}
