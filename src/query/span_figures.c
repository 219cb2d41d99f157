/* SPDX-License-Identifier: MIT */
#include "query/span_figures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "base/time_sum.h"

struct work {
    const struct span_view *view;
    const struct snapshot *snapshot;
    struct hash_table ids; /* of lane and name */
    struct span_figure *rows;
    size_t n_rows, capacity;
    bool adds_times_only; /* of a walk: the rest is known */
    uint64_t *lengths;    /* by row, in the order of `first_length` */
    size_t *first_length;
    size_t *n_lengths;
};

static uint64_t key_of(uint32_t lane, uint32_t name)
{
    return (uint64_t)lane << 32 | name;
}

/* NULL where memory is out. */
static struct span_figure *row_of(struct work *work, uint32_t lane, uint32_t name)
{
    uint32_t id = hash_table_find(&work->ids, key_of(lane, name));
    if (id != HASH_TABLE_NONE) {
        return &work->rows[id];
    }
    if (work->n_rows == work->capacity) {
        size_t capacity = work->capacity ? 2 * work->capacity : 64;
        struct span_figure *grown = reallocarray(work->rows, capacity, sizeof(*grown));
        if (!grown) {
            return NULL;
        }
        work->rows = grown;
        work->capacity = capacity;
    }
    if (hash_table_add(&work->ids, key_of(lane, name), (uint32_t)work->n_rows) != 0) {
        return NULL;
    }
    struct span_figure *row = &work->rows[work->n_rows++];
    *row = (struct span_figure){
        .lane = lane,
        .name = name,
        .is_outermost = span_view_is_outermost(work->view, lane, name, STACK_ID_EMPTY),
        .min_ns = UINT64_MAX,
    };
    return row;
}

/* ---- the sums of the run ---- */

static int add_sums(struct work *work, const struct span_figures_wishes *wishes)
{
    const struct snapshot *snapshot = work->snapshot;
    for (size_t i = 0; i < snapshot->n_span_sums; i++) {
        const struct span_sums *sums = &snapshot->span_sums[i];
        if (!work->view->lane_is_all[sums->lane] ||
            !span_view_keeps(work->view, sums->lane, sums->name, STACK_ID_EMPTY)) {
            continue;
        }
        struct span_figure *row = row_of(work, sums->lane, sums->name);
        if (!row) {
            return -ENOMEM;
        }
        row->n_spans = sums->n_spans;
        row->total_ns = sums->total_ns;
        row->length_ns = sums->length_ns;
        row->min_ns = sums->min_ns;
        row->max_ns = sums->max_ns;
        row->n_waited = sums->n_waited;
        row->waited_ns = sums->waited_ns;
        if (wishes->quantiles) {
            row->p50_ns = snapshot_span_quantile_ns(snapshot, i, 0.50);
            row->p95_ns = snapshot_span_quantile_ns(snapshot, i, 0.95);
            row->p99_ns = snapshot_span_quantile_ns(snapshot, i, 0.99);
        }
    }
    return 0;
}

static int add_pending_state(void *userdata, const struct stored_span *span)
{
    struct work *work = userdata;
    uint32_t id = hash_table_find(&work->ids, key_of(span->lane, span->name));
    if (id != HASH_TABLE_NONE) {
        work->rows[id].states[span->state]++;
    }
    return 0;
}

static void add_states(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    for (size_t i = 0; i < snapshot->n_origin_sums; i++) {
        const struct origin_sums *sums = &snapshot->origin_sums[i];
        uint32_t id = hash_table_find(&work->ids, key_of(sums->lane, sums->name));
        if (id != HASH_TABLE_NONE) {
            work->rows[id].states[sums->state] += sums->n_spans;
        }
    }
    (void)span_view_each_pending(work->view, add_pending_state, work);
}

/* ---- the stored spans ---- */

static void add_wait(struct work *work, const struct stored_span *span, struct span_figure *row)
{
    uint64_t waited_ns = span_view_waited_ns(work->view, span);
    row->n_waited += waited_ns > 0;
    row->waited_ns = time_sum_ns(row->waited_ns, waited_ns);
}

static int add_span(void *userdata, const struct stored_span *span)
{
    struct work *work = userdata;
    struct span_figure *row = row_of(work, span->lane, span->name);
    if (!row) {
        return -ENOMEM;
    }
    row->first_ns =
        row->first_ns == 0 || span->start_ns < row->first_ns ? span->start_ns : row->first_ns;
    row->last_ns = span->end_ns > row->last_ns ? span->end_ns : row->last_ns;
    if (work->adds_times_only) {
        return 0;
    }
    uint64_t length_ns = span->end_ns - span->start_ns;
    row->n_spans++;
    row->total_ns =
        time_sum_ns(row->total_ns, span_view_clip(work->view, span->start_ns, span->end_ns));
    row->length_ns = time_sum_ns(row->length_ns, length_ns);
    row->min_ns = length_ns < row->min_ns ? length_ns : row->min_ns;
    row->max_ns = length_ns > row->max_ns ? length_ns : row->max_ns;
    row->states[span->state]++;
    add_wait(work, span, row);
    return 0;
}

/* ---- lengths that a part of the spans does not exceed ---- */

static int add_length(void *userdata, const struct stored_span *span)
{
    struct work *work = userdata;
    uint32_t id = hash_table_find(&work->ids, key_of(span->lane, span->name));
    if (id != HASH_TABLE_NONE && work->n_lengths[id] < work->rows[id].n_spans) {
        work->lengths[work->first_length[id] + work->n_lengths[id]++] =
            span->end_ns - span->start_ns;
    }
    return 0;
}

/* Moves the value that has rank `wanted` there: smaller ones before it, larger ones behind. */
static uint64_t select_rank(uint64_t *values, size_t low, size_t high, size_t wanted)
{
    while (low < high) {
        uint64_t pivot = values[low + (high - low) / 2];
        size_t left = low, right = high;
        while (left <= right) {
            while (values[left] < pivot) {
                left++;
            }
            while (values[right] > pivot) {
                right--;
            }
            if (left <= right) {
                uint64_t swapped = values[left];
                values[left++] = values[right];
                values[right] = swapped;
                if (right == 0) {
                    break;
                }
                right--;
            }
        }
        if (wanted <= right && right < left) {
            high = right;
        } else if (wanted >= left) {
            low = left;
        } else {
            break;
        }
    }
    return values[wanted];
}

/* Of n values the one that `pct` of 100 do not exceed. */
static size_t rank_of(size_t n, size_t pct)
{
    size_t rank = (n * pct + 99) / 100;
    return rank > 0 ? rank - 1 : 0;
}

static void fill_quantiles(uint64_t *lengths, size_t n, struct span_figure *row)
{
    if (n == 0) {
        return;
    }
    size_t p50 = rank_of(n, 50), p95 = rank_of(n, 95), p99 = rank_of(n, 99);
    row->p50_ns = select_rank(lengths, 0, n - 1, p50);
    row->p95_ns = select_rank(lengths, p50, n - 1, p95);
    row->p99_ns = select_rank(lengths, p95, n - 1, p99);
}

static int add_quantiles(struct work *work)
{
    size_t n = 0;
    work->first_length = calloc(work->n_rows + 1, sizeof(*work->first_length));
    work->n_lengths = calloc(work->n_rows + 1, sizeof(*work->n_lengths));
    if (!work->first_length || !work->n_lengths) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < work->n_rows; i++) {
        work->first_length[i] = n;
        n += work->rows[i].n_spans;
    }
    work->lengths = calloc(n + 1, sizeof(*work->lengths));
    if (!work->lengths) {
        return -ENOMEM;
    }
    (void)span_view_each(work->view, add_length, work);
    for (size_t i = 0; i < work->n_rows; i++) {
        fill_quantiles(work->lengths + work->first_length[i], work->n_lengths[i], &work->rows[i]);
    }
    return 0;
}

/* ---- spans of a thread that are gone: the sums know how many, and how long ---- */

static bool is_of_threads(const struct work *work, const struct origin_sums *sums)
{
    return span_view_has_origin(work->view, sums->lane, span_view_tid(work->view, sums->thread)) &&
           span_view_keeps(work->view, sums->lane, sums->name, STACK_ID_EMPTY);
}

static int add_pending_time(void *userdata, const struct stored_span *span)
{
    struct work *work = userdata;
    struct span_figure *row = row_of(work, span->lane, span->name);
    if (row) {
        row->n_spans++;
        row->length_ns = time_sum_ns(row->length_ns, span->end_ns - span->start_ns);
        row->total_ns =
            time_sum_ns(row->total_ns, span_view_clip(work->view, span->start_ns, span->end_ns));
        row->states[span->state]++;
    }
    return row ? 0 : -ENOMEM;
}

static int count_by_sums(struct work *work)
{
    for (size_t i = 0; i < work->n_rows; i++) {
        work->rows[i].n_spans = work->rows[i].total_ns = work->rows[i].length_ns = 0;
        memset(work->rows[i].states, 0, sizeof(work->rows[i].states));
    }
    for (size_t i = 0; i < work->snapshot->n_origin_sums; i++) {
        const struct origin_sums *sums = &work->snapshot->origin_sums[i];
        if (!is_of_threads(work, sums)) {
            continue;
        }
        struct span_figure *row = row_of(work, sums->lane, sums->name);
        if (!row) {
            return -ENOMEM;
        }
        row->n_spans += sums->n_spans;
        /* Of those that began before the run nobody knows the whole length by thread. */
        row->total_ns = time_sum_ns(row->total_ns, sums->total_ns);
        row->length_ns = time_sum_ns(row->length_ns, sums->total_ns);
        row->states[sums->state] += sums->n_spans;
    }
    return span_view_each_pending(work->view, add_pending_time, work);
}

/* ---- all of it ---- */

static int by_lane_and_name(const void *left, const void *right)
{
    const struct span_figure *a = left, *b = right;
    if (a->lane != b->lane) {
        return a->lane < b->lane ? -1 : 1;
    }
    return a->name < b->name ? -1 : a->name > b->name;
}

static int read_stored(struct work *work, const struct span_figures_wishes *wishes)
{
    int r = span_view_each(work->view, add_span, work);
    r = r || !wishes->quantiles ? r : add_quantiles(work);
    bool is_short = !work->view->has_range && span_view_is_partial(work->view);
    return r || !is_short ? r : count_by_sums(work);
}

static int read_sums(struct work *work, const struct span_figures_wishes *wishes)
{
    int r = add_sums(work, wishes);
    if (r != 0) {
        return r;
    }
    add_states(work);
    work->adds_times_only = true;
    return wishes->times ? span_view_each(work->view, add_span, work) : 0;
}

int span_figures_compute(const struct span_view *view, const struct span_figures_wishes *wishes,
                         struct span_figures *ret_figures)
{
    struct work work = {.view = view, .snapshot = view->context->snapshot};
    hash_table_init(&work.ids);
    bool is_read = view->has_range || view->has_threads;
    int r = is_read ? read_stored(&work, wishes) : read_sums(&work, wishes);
    if (r == 0 && work.n_rows > 1) {
        qsort(work.rows, work.n_rows, sizeof(*work.rows), by_lane_and_name);
    }
    for (size_t i = 0; i < work.n_rows; i++) {
        work.rows[i].min_ns = work.rows[i].min_ns == UINT64_MAX ? 0 : work.rows[i].min_ns;
    }
    *ret_figures = (struct span_figures){
        .n_rows = work.n_rows,
        .rows = r == 0 ? arena_alloc_array(view->context->arena, work.n_rows, sizeof(*work.rows))
                       : NULL,
        .is_partial = is_read && span_view_is_partial(view),
    };
    if (ret_figures->rows && work.n_rows > 0) {
        memcpy(ret_figures->rows, work.rows, work.n_rows * sizeof(*work.rows));
    }
    hash_table_release(&work.ids);
    free(work.rows);
    free(work.lengths);
    free(work.first_length);
    free(work.n_lengths);
    return r ? r : (ret_figures->rows ? 0 : -ENOMEM);
}
