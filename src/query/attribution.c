/* SPDX-License-Identifier: MIT */
#include "query/attribution.h"

#include <errno.h>
#include <inttypes.h>

#include "base/time_sum.h"
#include "query/portion.h"
#include "query/sample_weight.h"
#include "query/stack_filter.h"
#include "query/stack_frames.h"
#include "query/thread_range.h"
#include "query/view_range.h"

struct work {
    const struct query_context *context;
    const struct snapshot *snapshot;
    struct attribution *result;
    struct portion *portions; /* by thread_id */
    struct portion pool;
    struct sample_weights weights;
    attribution_part_cb on_part; /* NULL: nobody asked */
    void *userdata;
    int failure; /* what on_part returned first */
};

/* Samples that are equal in all that matters here. */
struct equal_samples {
    thread_id thread;
    stack_id stack;
    uint64_t n, weight;
    uint64_t period_ns; /* of each; known where a range is asked for */
};

/* ---- the range ---- */

static int resolve_range(struct work *work, struct error *reterr_error)
{
    struct view_range range;
    int r = view_range_resolve(work->context, &range, reterr_error);
    work->result->from_ns = range.from_ns;
    work->result->to_ns = range.to_ns;
    return r;
}

/* ---- which threads ---- */

static int choose_threads(struct work *work, struct error *reterr_error)
{
    const struct view *view = work->context->view;
    size_t n_chosen = 0;
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        const struct thread_totals *totals = &work->snapshot->threads[i];
        bool overlaps = totals->start_ns < work->result->to_ns &&
                        (totals->end_ns == 0 || totals->end_ns >= work->result->from_ns);
        work->result->threads[i].is_in_view =
            view_has_tid(view, totals->tid) && (overlaps || !view_has_range(view));
        n_chosen += view_has_tid(view, totals->tid);
    }
    for (uint32_t i = 0; i < work->snapshot->n_lanes && view->n_tids > 0; i++) {
        n_chosen += view_has_tid(view, LANE_TID_FIRST + i);
    }
    if (view->n_tids > 0 && n_chosen == 0) {
        error_set(reterr_error, "not_found", "no thread of this run has tid %" PRId64,
                  view->tids[0]);
        error_hint(reterr_error, "`stax threads -n 0` lists them all");
        return -EINVAL;
    }
    return 0;
}

static int measure_threads(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    struct thread_share *threads = work->result->threads;
    if (view_has_range(work->context->view) && !snapshot->has_no_switches) {
        return thread_range_compute(work->context, work->result->from_ns, work->result->to_ns,
                                    threads);
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        if (threads[i].is_in_view && !view_has_range(work->context->view)) {
            threads[i].cpu_ns = totals->cpu_ns;
            threads[i].blocked_ns = totals->blocked_ns;
            threads[i].runnable_ns = totals->runnable_ns;
            threads[i].n_voluntary = totals->n_voluntary;
            threads[i].n_involuntary = totals->n_involuntary;
        }
    }
    return 0;
}

/* ---- the samples, once to count them and once to weigh them ---- */

typedef void (*on_samples_cb)(struct work *work, const struct equal_samples *samples);

/* The first stored sample at or after time_ns. */
static uint64_t first_sample_at(const struct snapshot *snapshot, uint64_t time_ns)
{
    uint64_t low = snapshot->first_sample, high = snapshot->n_samples;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (snapshot_sample(snapshot, middle)->time_ns >= time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void each_pair(struct work *work, on_samples_cb on_samples)
{
    const struct snapshot *snapshot = work->snapshot;
    const struct thread_share *threads = work->result->threads;
    const uint64_t *weights = work->weights.by_class;
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        struct sample_pair pair = snapshot_pair(snapshot, i);
        if (threads[pair.thread].is_in_view) {
            const struct equal_samples samples = {
                .thread = pair.thread,
                .stack = pair.stack,
                .n = snapshot->pair_counts[i],
                .weight = snapshot->pair_counts[i] * weights[pair.slice_class],
            };
            on_samples(work, &samples);
        }
    }
}

static void each_sample(struct work *work, on_samples_cb on_samples)
{
    const struct snapshot *snapshot = work->snapshot;
    const struct thread_share *threads = work->result->threads;
    bool has_range = view_has_range(work->context->view);
    bool has_own = sample_weights_are_own(snapshot, has_range);
    if (!has_range && !has_own) {
        each_pair(work, on_samples);
        return;
    }
    uint64_t first = has_range ? first_sample_at(snapshot, work->result->from_ns) : 0;
    for (uint64_t i = first; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        if (has_range && sample->time_ns >= work->result->to_ns) {
            break;
        }
        if (threads[sample->thread].is_in_view) {
            const struct equal_samples samples = {
                .thread = sample->thread,
                .stack = sample->stack,
                .n = 1,
                .weight = sample_weight_of(&work->weights, has_own, sample),
                .period_ns = sample->period_ns,
            };
            on_samples(work, &samples);
        }
    }
}

static void count_samples(struct work *work, const struct equal_samples *samples)
{
    struct thread_share *share = &work->result->threads[samples->thread];
    share->n_samples += samples->n;
    work->portions[samples->thread].weight += samples->weight;
    if (work->snapshot->has_no_switches && view_has_range(work->context->view)) {
        share->cpu_ns += samples->period_ns;
    }
}

static void weigh_samples(struct work *work, const struct equal_samples *samples)
{
    struct thread_share *share = &work->result->threads[samples->thread];
    struct portion *portion = share->has_own_share ? &work->portions[samples->thread] : &work->pool;
    uint64_t portion_ns = portion_take(portion, samples->weight);
    const uint8_t *is_kept = work->result->stack_is_kept;
    if (!is_kept || is_kept[samples->stack]) {
        work->result->stack_ns[samples->stack] += portion_ns;
        work->result->stack_samples[samples->stack] += samples->n;
        share->kept_ns += portion_ns;
        share->kept_samples += samples->n;
        if (work->on_part && work->failure == 0) {
            const struct attribution_part part = {
                .thread = samples->thread,
                .stack = samples->stack,
                .ns = portion_ns,
                .n_samples = samples->n,
            };
            work->failure = work->on_part(work->userdata, &part);
        }
    }
}

/* Enough samples, and enough time for at least half as many at the mean rate of all. */
static void choose_own_shares(struct work *work)
{
    struct thread_share *threads = work->result->threads;
    double cpu_ns = 0, n_samples = 0;
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        cpu_ns += threads[i].is_in_view ? (double)threads[i].cpu_ns : 0;
        n_samples += threads[i].is_in_view ? (double)threads[i].n_samples : 0;
    }
    double mean_ns = n_samples > 0 ? cpu_ns / n_samples : 0;
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        threads[i].has_own_share =
            threads[i].n_samples >= ATTRIBUTION_OWN_SAMPLES &&
            (double)threads[i].cpu_ns >= mean_ns * ATTRIBUTION_OWN_SAMPLES / 2;
    }
}

static void prepare_portions(struct work *work)
{
    choose_own_shares(work);
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        const struct thread_share *share = &work->result->threads[i];
        if (!share->is_in_view) {
            continue;
        }
        if (share->has_own_share) {
            work->portions[i].total_ns = share->cpu_ns;
        } else {
            work->pool.total_ns += share->cpu_ns;
            work->pool.weight += work->portions[i].weight;
        }
    }
    if (work->pool.weight == 0) {
        work->result->unsampled_ns = work->pool.total_ns;
    }
}

static int apply_patterns(struct work *work, struct error *reterr_error)
{
    const struct view *view = work->context->view;
    work->result->is_filtered = view->n_exclude > 0 || view->n_focus > 0;
    return stack_filter_make(work->context, &work->result->stack_is_kept, reterr_error);
}

/* ---- waits ---- */

int attribution_waits(const struct query_context *context, struct attribution *attribution,
                      const struct wait_shares **ret_waits)
{
    if (!attribution->has_waits) {
        int r = wait_shares_compute(context, attribution, &attribution->waits);
        if (r != 0) {
            return r;
        }
        attribution->has_waits = true;
    }
    *ret_waits = &attribution->waits;
    return 0;
}

int attribution_spread_waits(const struct query_context *context, struct attribution *attribution)
{
    const struct wait_shares *waits;
    int r = attribution_waits(context, attribution, &waits);
    if (r != 0) {
        return r;
    }
    struct stack_waits *stacks =
        arena_alloc_array(context->arena, context->snapshot->n_stacks, sizeof(*stacks));
    if (!stacks) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < waits->n_rows; i++) {
        stack_id stack = stack_without_scheduler(context, waits->rows[i].stack);
        stacks[stack].blocked_ns += waits->rows[i].blocked_ns;
        stacks[stack].n_waits += waits->rows[i].n_waits;
    }
    attribution->stack_waits = stacks;
    return 0;
}

/* Leaves of the blocked time what the patterns leave. */
static int filter_waits(struct work *work)
{
    struct attribution *result = work->result;
    const struct wait_shares *waits;
    if (!result->is_filtered) {
        return 0;
    }
    int r = attribution_waits(work->context, result, &waits);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        result->threads[i].blocked_ns = 0;
    }
    struct wait_shares *kept = &result->waits;
    size_t n_rows = kept->n_rows;
    kept->n_rows = 0;
    for (size_t i = 0; i < n_rows; i++) {
        struct wait_share *row = &kept->rows[i];
        if (result->stack_is_kept[row->stack]) {
            result->threads[row->thread].blocked_ns += row->blocked_ns;
            kept->rows[kept->n_rows++] = *row;
        }
    }
    return 0;
}

/* ---- spans ---- */

static int measure_spans(struct work *work, struct error *reterr_error)
{
    struct attribution *result = work->result;
    if (work->snapshot->n_lanes == 0) {
        return 0;
    }
    struct span_view *view = arena_alloc(work->context->arena, sizeof(*view));
    if (!view) {
        return -ENOMEM;
    }
    const struct query_span_choice all = {0};
    const struct span_figures_wishes wishes = {0};
    int r = span_view_make(work->context, &all, view, reterr_error);
    view->has_threads = false;
    result->span_view = view;
    r = r ? r : span_figures_compute(view, &wishes, &result->spans);
    for (size_t i = 0; r == 0 && i < result->spans.n_rows; i++) {
        const struct span_figure *row = &result->spans.rows[i];
        result->totals.target_ns =
            time_sum_ns(result->totals.target_ns, row->is_outermost ? row->total_ns : 0);
        result->totals.spans += row->n_spans;
    }
    return r;
}

/* ---- sums ---- */

static void sum_up(struct work *work)
{
    struct attribution *result = work->result;
    struct totals *totals = &result->totals;
    if (work->context->view->n_focus > 0) {
        result->unsampled_ns = 0; /* nobody knows whether it was there */
    }
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        struct thread_share *share = &result->threads[i];
        if (!share->is_in_view) {
            continue;
        }
        if (result->is_filtered) {
            /* Where time is left unsampled, it is that of all threads without samples. */
            bool is_unsampled = result->unsampled_ns > 0 && share->n_samples == 0;
            share->cpu_ns = is_unsampled ? share->cpu_ns : share->kept_ns;
        }
        totals->cpu_ns += share->cpu_ns;
        totals->off_cpu_ns += share->blocked_ns;
        totals->runq_ns += share->runnable_ns;
        totals->samples += share->kept_samples;
    }
    totals->active_ns = time_sum_ns(totals->cpu_ns, totals->target_ns);
}

static void echo_view(struct work *work)
{
    const struct view_range range = {work->result->from_ns, work->result->to_ns};
    work->result->echo = view_range_echo(work->context, &range);
}

/* Patterns leave a thread the weight of the stacks that match. */
static int weigh_stacks(struct work *work)
{
    struct attribution *result = work->result;
    size_t n_stacks = work->snapshot->n_stacks;
    result->stack_ns = arena_alloc_array(work->context->arena, n_stacks, sizeof(uint64_t));
    result->stack_samples = arena_alloc_array(work->context->arena, n_stacks, sizeof(uint64_t));
    if (!result->stack_ns || !result->stack_samples) {
        return -ENOMEM;
    }
    each_sample(work, weigh_samples);
    return work->failure;
}

static void keep_all_samples(struct work *work)
{
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        struct thread_share *share = &work->result->threads[i];
        share->kept_samples = share->n_samples;
    }
}

/* `asked`: what of the work the caller has to say; the rest of it is empty. */
static int compute(const struct query_context *context, bool wants_stacks, const struct work *asked,
                   struct attribution *ret_attribution, struct error *reterr_error)
{
    const struct snapshot *snapshot = context->snapshot;
    struct arena *arena = context->arena;
    *ret_attribution = (struct attribution){
        .threads = arena_alloc_array(arena, snapshot->n_threads, sizeof(struct thread_share)),
    };
    struct work work = {
        .context = context,
        .snapshot = snapshot,
        .result = ret_attribution,
        .portions = arena_alloc_array(arena, snapshot->n_threads, sizeof(struct portion)),
        .on_part = asked->on_part,
        .userdata = asked->userdata,
    };
    if (!ret_attribution->threads || !work.portions) {
        return -ENOMEM;
    }
    int r = resolve_range(&work, reterr_error);
    r = r ? r : choose_threads(&work, reterr_error);
    r = r ? r : measure_threads(&work);
    r = r ? r : apply_patterns(&work, reterr_error);
    r = r ? r : filter_waits(&work);
    r = r ? r : measure_spans(&work, reterr_error);
    if (r != 0) {
        return r;
    }
    sample_weights_compute(snapshot, &work.weights);
    each_sample(&work, count_samples);
    prepare_portions(&work);
    if (wants_stacks || ret_attribution->is_filtered) {
        r = weigh_stacks(&work);
        if (r != 0) {
            return r;
        }
    } else {
        keep_all_samples(&work);
    }
    sum_up(&work);
    echo_view(&work);
    return 0;
}

int attribution_compute(const struct query_context *context, struct attribution *ret_attribution,
                        struct error *reterr_error)
{
    const struct work asked = {0};
    return compute(context, true, &asked, ret_attribution, reterr_error);
}

int attribution_compute_parts(const struct query_context *context, attribution_part_cb on_part,
                              void *userdata, struct attribution *ret_attribution,
                              struct error *reterr_error)
{
    const struct work asked = {.on_part = on_part, .userdata = userdata};
    return compute(context, true, &asked, ret_attribution, reterr_error);
}

int attribution_compute_threads(const struct query_context *context,
                                struct attribution *ret_attribution, struct error *reterr_error)
{
    const struct work asked = {0};
    return compute(context, false, &asked, ret_attribution, reterr_error);
}

struct run_stamp attribution_stamp(const struct query_context *context)
{
    return (struct run_stamp){
        .id = context->run,
        .state = context->state,
        .sequence = context->snapshot->sequence,
        .duration_ns = context->snapshot->now_ns - context->snapshot->start_ns,
    };
}

static const char *hint_of_folded(const struct query_context *context,
                                  const struct attribution *attribution)
{
    bool is_folded =
        view_has_range(context->view) && attribution->from_ns < context->snapshot->folded_until_ns;
    return is_folded ? "part of this range was folded away (--max-memory, --ring); whole-run "
                       "answers are complete"
                     : NULL;
}

const char *attribution_wait_hint(const struct query_context *context,
                                  const struct attribution *attribution)
{
    if (context->snapshot->has_no_switches) {
        return ATTRIBUTION_NO_SWITCHES;
    }
    if (attribution->totals.off_cpu_ns > 0) {
        return hint_of_folded(context, attribution);
    }
    if (attribution->is_filtered) {
        return "no stack of a wait matches; `stax off-cpu` without --focus and --exclude shows "
               "what there is";
    }
    if (view_has_range(context->view)) {
        return "no waits in this range; `stax threads` shows what the threads did in it";
    }
    if (attribution->totals.cpu_ns > 0) {
        return "the target has not waited so far: `stax top` shows what it ran";
    }
    return context->state == RUN_STATE_RECORDING
               ? "nothing yet: `stax wait --for-seconds 1` waits for the first events"
               : "this run holds no waits";
}

const char *attribution_hint(const struct query_context *context,
                             const struct attribution *attribution)
{
    if (attribution->totals.samples > 0) {
        return hint_of_folded(context, attribution);
    }
    if (attribution->totals.spans > 0) {
        return attribution->spans.is_partial
                   ? "the first spans of this range were folded away (--max-memory, --ring); "
                     "whole-run answers are complete"
                   : "nothing of this ran on a CPU long enough to be sampled: `stax target top` "
                     "says more of its spans";
    }
    if (attribution->is_filtered && context->snapshot->n_samples > 0) {
        return "no stack matches; `stax top` without --focus and --exclude shows what there is";
    }
    if (view_has_range(context->view) && context->snapshot->n_samples > 0) {
        return "nothing ran in this range; `stax threads` shows when the threads did";
    }
    if (attribution->totals.cpu_ns > 0) {
        return "too short for a sample: `stax threads` has the exact times; record longer or with "
               "a higher -F";
    }
    if (attribution->totals.off_cpu_ns > 0) {
        return "the target has only waited so far: `stax off-cpu` shows where";
    }
    return context->state == RUN_STATE_RECORDING
               ? "nothing yet: `stax wait --for-samples 100` waits for the first samples"
               : "this run holds no samples";
}
