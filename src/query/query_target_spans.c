/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/attribution.h"
#include "query/queueing_stack.h"
#include "query/shown_stacks.h"
#include "query/span_figures.h"
#include "query/span_hint.h"
#include "query/span_path.h"

#define SORT_AT_LEAST 4096u

struct candidate {
    struct stored_span span;
    bool is_kept_apart; /* from the list of the longest ones: it may be stored as well */
};

struct work {
    const struct query_context *context;
    const struct query_target_spans_options *options;
    const struct snapshot *snapshot;
    struct span_view view;
    struct span_paths paths;
    struct shown_stacks stacks;
    struct hash_table threads; /* by tid */
    struct candidate *candidates;
    size_t n_candidates, capacity;
    uint64_t least_rank; /* below it nothing can become a row any more */
    struct target_spans_result *result;
};

/* ---- choosing ---- */

static uint64_t length_ns(const struct stored_span *span)
{
    return span->end_ns - span->start_ns;
}

static uint64_t rank_of(const struct stored_span *span, enum target_spans_order order)
{
    return order == TARGET_SPANS_ORDER_LATEST ? span->end_ns : length_ns(span);
}

static int compare_u64(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

/* Equal ones are told apart by where they come from alone. */
static int by_rank(const void *left, const void *right, void *userdata)
{
    const struct work *work = userdata;
    const struct stored_span *a = &((const struct candidate *)left)->span;
    const struct stored_span *b = &((const struct candidate *)right)->span;
    int order = compare_u64(rank_of(b, work->options->order), rank_of(a, work->options->order));
    order = order ? order : compare_u64(a->start_ns, b->start_ns);
    order = order ? order : compare_u64(a->end_ns, b->end_ns);
    if (order == 0 && (a->lane != b->lane || a->name != b->name)) {
        order = span_path_compare(work->snapshot, a->lane, a->name, b->lane, b->name);
    }
    order = order ? order : compare_u64(a->origin_ns, b->origin_ns);
    order = order ? order : compare_u64((uint64_t)a->origin_tid, (uint64_t)b->origin_tid);
    bool a_apart = ((const struct candidate *)left)->is_kept_apart;
    bool b_apart = ((const struct candidate *)right)->is_kept_apart;
    return order ? order : (int)a_apart - (int)b_apart;
}

static bool is_same(const struct stored_span *a, const struct stored_span *b)
{
    return a->start_ns == b->start_ns && a->end_ns == b->end_ns && a->lane == b->lane &&
           a->name == b->name && a->origin_ns == b->origin_ns && a->origin_tid == b->origin_tid;
}

/* In order, each once; only the first `limit` can become rows. */
static void settle(struct work *work)
{
    size_t limit = work->options->limit, n = 0;
    if (work->n_candidates > 1) {
        qsort_r(work->candidates, work->n_candidates, sizeof(*work->candidates), by_rank, work);
    }
    for (size_t i = 0; i < work->n_candidates; i++) {
        const struct candidate *candidate = &work->candidates[i];
        bool is_stored_too = candidate->is_kept_apart && n > 0 &&
                             is_same(&work->candidates[n - 1].span, &candidate->span);
        if (!is_stored_too) {
            work->candidates[n++] = *candidate;
        }
    }
    work->n_candidates = n;
    if (limit > 0 && n >= limit) {
        work->n_candidates = limit;
        work->least_rank = rank_of(&work->candidates[limit - 1].span, work->options->order);
    }
}

static int add_candidate(struct work *work, const struct stored_span *span, bool is_kept_apart)
{
    size_t limit = work->options->limit;
    if (rank_of(span, work->options->order) < work->least_rank) {
        return 0;
    }
    if (work->n_candidates == work->capacity) {
        if (limit > 0 && work->n_candidates >= SORT_AT_LEAST && work->n_candidates / 2 >= limit) {
            settle(work);
        } else {
            size_t capacity = work->capacity ? 2 * work->capacity : 256;
            struct candidate *grown =
                reallocarray(work->candidates, capacity, sizeof(*work->candidates));
            if (!grown) {
                return -ENOMEM;
            }
            work->candidates = grown;
            work->capacity = capacity;
        }
    }
    work->candidates[work->n_candidates++] =
        (struct candidate){.span = *span, .is_kept_apart = is_kept_apart};
    return 0;
}

static int add_stored(void *userdata, const struct stored_span *span)
{
    return add_candidate(userdata, span, false);
}

static int add_longest(struct work *work)
{
    for (size_t i = 0; i < work->snapshot->n_longest_spans; i++) {
        const struct stored_span *span = &work->snapshot->longest_spans[i];
        if (!span_view_has(&work->view, span)) {
            continue;
        }
        int r = add_candidate(work, span, true);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* Of a name with more spans than its list of the longest has, none that is not on it is longer. */
static bool longest_are_all(const struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    size_t limit = work->options->limit;
    if (work->options->order != TARGET_SPANS_ORDER_LONGEST || work->view.has_range ||
        work->view.has_threads || limit == 0 || work->n_candidates < limit) {
        return false;
    }
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        if (snapshot->span_sums[i].name == 0) {
            return false; /* its list has spans of many names */
        }
    }
    for (size_t i = 0, n = 1; i < snapshot->n_longest_spans; i++, n++) {
        const struct stored_span *span = &snapshot->longest_spans[i];
        bool is_last = i + 1 == snapshot->n_longest_spans || span[1].lane != span->lane ||
                       span[1].name != span->name;
        if (is_last && n >= SNAPSHOT_LONGEST_SPANS && span_view_has(&work->view, span) &&
            length_ns(span) > work->least_rank) {
            return false;
        }
        n = is_last ? 0 : n;
    }
    return true;
}

static int choose(struct work *work)
{
    int r = work->options->order == TARGET_SPANS_ORDER_LONGEST ? add_longest(work) : 0;
    if (r != 0) {
        return r;
    }
    settle(work);
    if (!longest_are_all(work)) {
        r = span_view_each(&work->view, add_stored, work);
        if (r != 0) {
            return r;
        }
        settle(work);
    }
    return 0;
}

/* ---- rows ---- */

static int64_t relative_ns(const struct work *work, uint64_t time_ns)
{
    return span_view_relative_ns(work->snapshot, time_ns);
}

/* Of the last thread that had this id; NULL: none of the run. */
static const char *name_of_thread(const struct work *work, int64_t tid)
{
    uint32_t known = hash_table_find(&work->threads, (uint64_t)tid);
    return known == HASH_TABLE_NONE ? NULL : work->snapshot->threads[known].name;
}

/* Of number 0, that is none, NULL. */
static const char *text_of(const struct work *work, uint32_t name)
{
    return name != 0 ? snapshot_span_name(work->snapshot, name).text : NULL;
}

static int fill_origin(struct work *work, const struct stored_span *span,
                       struct span_origin *origin)
{
    bool has_thread = span->origin_thread < work->snapshot->n_threads;
    struct shown_stack shown;
    int r = shown_stacks_get(&work->stacks, span->origin_stack, &shown);
    if (r != 0) {
        return r;
    }
    *origin = (struct span_origin){
        .state = (enum origin_state)span->state,
        .tid = span->origin_tid,
        .name = has_thread ? work->snapshot->threads[span->origin_thread].name : NULL,
        .has_time = span->origin_ns != 0,
        .time_ns = relative_ns(work, span->origin_ns),
        .has_distance = span->state == ORIGIN_LINKED || span->state == ORIGIN_TOO_FAR,
        .distance_ns = span->distance_ns,
        .n_stack = shown.n_frames,
        .stack = shown.frames,
        .n_inner = queueing_stack_inner(work->context, span->origin_stack),
    };
    return 0;
}

static void fill_wait(const struct work *work, const struct stored_span *span,
                      const struct event_span_details *details, struct target_span_row *row)
{
    uint64_t start_ns = details->wait.time_ns, end_ns = details->wait_end_ns;
    uint64_t from_ns = start_ns < span->start_ns ? span->start_ns : start_ns;
    uint64_t to_ns = end_ns > span->end_ns ? span->end_ns : end_ns;
    row->has_wait = true;
    row->wait = (struct span_wait){
        .tid = details->wait.tid,
        .name = name_of_thread(work, details->wait.tid),
        .start_ns = relative_ns(work, start_ns),
        .end_ns = relative_ns(work, end_ns),
        .waited_ns = to_ns > from_ns ? to_ns - from_ns : 0,
    };
}

static int fill_counters(const struct work *work, const struct event_span_details *details,
                         struct target_span_row *row)
{
    struct arena *arena = work->context->arena;
    row->counters = arena_alloc_array(arena, details->n_counters, sizeof(*row->counters));
    row->attachments = arena_alloc_array(arena, details->n_attachments, sizeof(*row->attachments));
    if (!row->counters || !row->attachments) {
        return -ENOMEM;
    }
    row->n_counters = details->n_counters;
    for (uint32_t i = 0; i < details->n_counters; i++) {
        const struct event_span_counter *counter = &details->counters[i];
        row->counters[i] = (struct span_counter){
            .name = text_of(work, counter->name),
            .unit = text_of(work, counter->unit),
            .value = counter->value,
        };
    }
    row->n_attachments = details->n_attachments;
    for (uint32_t i = 0; i < details->n_attachments; i++) {
        const struct event_span_attachment *attachment = &details->attachments[i];
        struct span_attachment *shown = &row->attachments[i];
        size_t n_bytes = attachment->n_dimensions * sizeof(*shown->dimensions);
        *shown = (struct span_attachment){
            .label = text_of(work, attachment->label),
            .size_bytes = attachment->size_bytes,
            .n_dimensions = attachment->n_dimensions,
            .dimensions = arena_alloc(arena, n_bytes),
        };
        if (!shown->dimensions) {
            return -ENOMEM;
        }
        memcpy(shown->dimensions, attachment->dimensions, n_bytes);
    }
    return 0;
}

static int fill_details(const struct work *work, const struct stored_span *span,
                        struct target_span_row *row)
{
    const struct event_span_details *details =
        span->details == STORED_SPAN_NO_DETAILS
            ? NULL
            : snapshot_span_details(work->snapshot, span->details);
    if (!details) {
        return 0;
    }
    row->queue_id = details->queue_id;
    row->command_buffer_id = details->command_buffer_id;
    row->dispatch_id = details->dispatch_id;
    if (details->wait.tid != 0) {
        fill_wait(work, span, details, row);
    }
    if (details->completion.tid != 0) {
        row->has_completion = true;
        row->completion = (struct span_completion){
            .tid = details->completion.tid,
            .name = name_of_thread(work, details->completion.tid),
            .time_ns = relative_ns(work, details->completion.time_ns),
        };
    }
    row->has_source =
        details->source_file != 0 || details->source_function != 0 || details->source_line != 0;
    row->source = (struct span_source){
        .file = text_of(work, details->source_file),
        .function = text_of(work, details->source_function),
        .line = details->source_line,
    };
    return fill_counters(work, details, row);
}

static int fill_row(struct work *work, const struct stored_span *span, struct target_span_row *row)
{
    const struct lane_totals *lane = &work->snapshot->lanes[span->lane];
    struct span_path path;
    int r = span_paths_get(&work->paths, span->name, &path);
    if (r != 0) {
        return r;
    }
    *row = (struct target_span_row){
        .name = snapshot_span_name(work->snapshot, span->name).text,
        .n_path = path.n_names,
        .path = path.names,
        .lane = lane->name,
        .tid = LANE_TID_FIRST + span->lane,
        .pid = lane->pid,
        .kind = (enum lane_kind)lane->kind,
        .start_ns = relative_ns(work, span->start_ns),
        .duration_ns = length_ns(span),
    };
    r = fill_origin(work, span, &row->origin);
    return r ? r : fill_details(work, span, row);
}

/* ---- all of it ---- */

static int answer(struct work *work)
{
    struct target_spans_result *result = work->result;
    int r = choose(work);
    r = r ? r : span_view_number_threads(work->snapshot, &work->threads);
    result->rows =
        arena_alloc_array(work->context->arena, work->n_candidates, sizeof(*result->rows));
    if (r != 0 || !result->rows) {
        return r ? r : -ENOMEM;
    }
    for (size_t i = 0; i < work->n_candidates && r == 0; i++) {
        r = fill_row(work, &work->candidates[i].span, &result->rows[i]);
    }
    result->n_rows = work->n_candidates;
    return r;
}

int query_target_spans(const struct query_context *context,
                       const struct query_target_spans_options *options,
                       struct target_spans_result *ret_result, struct error *reterr_error)
{
    struct work work = {
        .context = context,
        .options = options,
        .snapshot = context->snapshot,
        .result = ret_result,
    };
    const struct span_figures_wishes wishes = {.quantiles = false};
    struct span_figures figures;
    int r = span_view_make(context, &options->choice, &work.view, reterr_error);
    r = r ? r : span_paths_init(context, &work.paths);
    r = r ? r : span_figures_compute(&work.view, &wishes, &figures);
    if (r != 0) {
        return r;
    }
    *ret_result = (struct target_spans_result){
        .run = attribution_stamp(context),
        .view = view_range_echo(context, &work.view.range),
        .order = options->order,
        .partial = span_view_is_partial(&work.view),
    };
    for (size_t i = 0; i < figures.n_rows; i++) {
        ret_result->spans += figures.rows[i].n_spans;
    }
    shown_stacks_init(context, options->max_frames, &work.stacks);
    hash_table_init(&work.threads);
    r = answer(&work);
    hash_table_release(&work.threads);
    shown_stacks_release(&work.stacks);
    free(work.candidates);
    ret_result->hint =
        span_hint(&work.view, &options->sources, ret_result->n_rows, ret_result->partial);
    return r;
}
