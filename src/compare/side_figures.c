/* SPDX-License-Identifier: MIT */
#include "compare/side_figures.h"

#include <assert.h>
#include <errno.h>

#include "base/time_sum.h"

/* What the program has reported itself. */
static void add_spans(const struct snapshot *snapshot, struct compare_side *side)
{
    const uint64_t *lost = snapshot->spans_lost;
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        const struct lane_totals *lane = &snapshot->lanes[i];
        side->target_ns = time_sum_ns(side->target_ns, lane->total_ns);
        side->spans += lane->n_spans;
        for (size_t state = 0; state < ORIGIN_STATE_N; state++) {
            bool is_told = state != ORIGIN_LINKED && state != ORIGIN_MISSING;
            /* Of a run that goes on, what is PENDING is neither yet. */
            side->unlinked_origins += is_told && state != ORIGIN_PENDING ? lane->states[state] : 0;
        }
        side->linked_origins += lane->states[ORIGIN_LINKED];
        side->missing_origins += lane->states[ORIGIN_MISSING];
    }
    side->bad_duration_drops += lost[EVENT_SPANS_LOST_BAD_DURATION];
    side->target_ring_drops += lost[EVENT_SPANS_LOST_TARGET_QUEUE];
    side->server_queue_drops += lost[EVENT_SPANS_LOST_QUEUE_FULL];
    side->target_queue_drops +=
        lost[EVENT_SPANS_LOST_TARGET_QUEUE] + lost[EVENT_SPANS_LOST_QUEUE_FULL];
    side->worker_disconnect_drops += lost[EVENT_SPANS_LOST_NO_SERVER];
}

/* Adds the figures of one run. */
static void add_run(const struct query_context *context, const struct threads_result *threads,
                    struct compare_side *side)
{
    const struct snapshot *snapshot = context->snapshot;
    const struct totals *totals = &threads->totals;
    side->duration_ns += snapshot->now_ns - snapshot->start_ns;
    side->samples += totals->samples;
    side->cpu_ns += totals->cpu_ns;
    side->off_cpu_ns += totals->off_cpu_ns;
    side->runq_ns += totals->runq_ns;
    side->wakeups += snapshot->n_wakeups;
    side->threads += threads->threads;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        side->intervals += snapshot->threads[i].n_voluntary;
    }
    add_spans(snapshot, side);
    for (size_t i = 0; i < EVENT_LOST_CAUSE_N; i++) {
        side->lost += snapshot->lost[i];
    }
    for (size_t i = 0; i < threads->n_rows; i++) {
        struct off_cpu_by_reason of_thread = threads->rows[i].off_cpu_by_reason_ns;
        for (enum wait_reason reason = 0; reason < WAIT_REASON_N; reason++) {
            *off_cpu_by_reason_at(&side->off_cpu_by_reason_ns, reason) +=
                *off_cpu_by_reason_at(&of_thread, reason);
        }
    }
}

static uint64_t mean(uint64_t sum, size_t n)
{
    assert(n > 0);
    return (sum + n / 2) / n;
}

static void divide(struct compare_side *side)
{
    uint64_t *const figures[] = {
        &side->duration_ns,
        &side->samples,
        &side->cpu_ns,
        &side->off_cpu_ns,
        &side->runq_ns,
        &side->target_ns,
        &side->spans,
        &side->intervals,
        &side->wakeups,
        &side->threads,
        &side->lost,
        &side->linked_origins,
        &side->unlinked_origins,
        &side->missing_origins,
        &side->bad_duration_drops,
        &side->target_queue_drops,
        &side->target_ring_drops,
        &side->server_queue_drops,
        &side->worker_disconnect_drops,
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        *figures[i] = mean(*figures[i], side->n_runs);
    }
    for (enum wait_reason reason = 0; reason < WAIT_REASON_N; reason++) {
        uint64_t *time_ns = off_cpu_by_reason_at(&side->off_cpu_by_reason_ns, reason);
        *time_ns = mean(*time_ns, side->n_runs);
    }
}

int side_figures_sum(const struct compare_runs *runs, struct compare_side *ret_side,
                     struct error *reterr_error)
{
    static const struct query_threads_options all_threads = {.limit = 0};
    struct compare_side side = {
        .n_runs = runs->n_runs,
        .runs = arena_alloc_array(runs->runs[0].arena, runs->n_runs, sizeof(run_id)),
    };
    if (!side.runs) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < runs->n_runs; i++) {
        struct threads_result threads;
        int r = query_threads(&runs->runs[i], &all_threads, &threads, reterr_error);
        if (r != 0) {
            return r;
        }
        add_run(&runs->runs[i], &threads, &side);
        side.runs[i] = runs->runs[i].run;
    }
    divide(&side);
    side.active_ns = time_sum_ns(side.cpu_ns, side.target_ns);
    *ret_side = side;
    return 0;
}
