/* SPDX-License-Identifier: MIT */
#include "query/span_origins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_table.h"
#include "base/time_sum.h"

struct work {
    const struct span_view *view;
    const struct snapshot *snapshot;
    struct hash_table origin_ids, wait_ids;
    struct origin_sums *origins;
    size_t n_origins, origins_room;
    struct span_wait_sums *waits;
    size_t n_waits, waits_room;
    struct hash_table threads; /* by tid, the last one that had it */
    struct hash_table waiters; /* of lane, name and thread: the first of the run's wait sums, … */
    uint8_t *is_several;       /* … by its number: does it have others? */
    struct distance_figures linked, too_far;
};

static uint64_t hash_of(uint32_t lane, uint32_t name, thread_id thread, stack_id stack)
{
    uint64_t what = hash_u64((uint64_t)lane << 32 | name);
    return hash_u64(what ^ ((uint64_t)thread << 32 | stack));
}

static bool is_same_origin(uint32_t value, const void *wanted, const void *userdata)
{
    const struct origin_sums *known = (const struct origin_sums *)userdata + value, *sums = wanted;
    return known->lane == sums->lane && known->name == sums->name &&
           known->thread == sums->thread && known->stack == sums->stack &&
           known->state == sums->state;
}

static bool is_same_waiter(uint32_t value, const void *wanted, const void *userdata)
{
    const struct span_wait_sums *known = (const struct span_wait_sums *)userdata + value;
    const struct span_wait_sums *sums = wanted;
    return known->lane == sums->lane && known->name == sums->name && known->thread == sums->thread;
}

static bool is_same_wait(uint32_t value, const void *wanted, const void *userdata)
{
    const struct span_wait_sums *known = (const struct span_wait_sums *)userdata + value;
    const struct span_wait_sums *sums = wanted;
    return known->lane == sums->lane && known->name == sums->name &&
           known->thread == sums->thread && known->stack == sums->stack;
}

/* Room for one more; NULL where memory is out. */
static void *grow(void *rows, size_t n, size_t *room, size_t row_bytes)
{
    if (n < *room) {
        return rows;
    }
    size_t wanted = *room ? 2 * *room : 64;
    void *grown = reallocarray(rows, wanted, row_bytes);
    *room = grown ? wanted : *room;
    return grown;
}

static int add_origin(struct work *work, const struct origin_sums *sums)
{
    uint64_t key = hash_of(sums->lane, sums->name, sums->thread, sums->stack) ^ sums->state;
    uint32_t id =
        hash_table_find_equal(&work->origin_ids, key, is_same_origin, sums, work->origins);
    if (id != HASH_TABLE_NONE) {
        work->origins[id].n_spans += sums->n_spans;
        work->origins[id].total_ns = time_sum_ns(work->origins[id].total_ns, sums->total_ns);
        return 0;
    }
    struct origin_sums *rows =
        grow(work->origins, work->n_origins, &work->origins_room, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    work->origins = rows;
    rows[work->n_origins] = *sums;
    return hash_table_add(&work->origin_ids, key, (uint32_t)work->n_origins++);
}

static int add_wait(struct work *work, const struct span_wait_sums *sums)
{
    uint64_t key = hash_of(sums->lane, sums->name, sums->thread, sums->stack);
    uint32_t id = hash_table_find_equal(&work->wait_ids, key, is_same_wait, sums, work->waits);
    if (id != HASH_TABLE_NONE) {
        work->waits[id].n_waits += sums->n_waits;
        work->waits[id].waited_ns = time_sum_ns(work->waits[id].waited_ns, sums->waited_ns);
        return 0;
    }
    struct span_wait_sums *rows =
        grow(work->waits, work->n_waits, &work->waits_room, sizeof(*rows));
    if (!rows) {
        return -ENOMEM;
    }
    work->waits = rows;
    rows[work->n_waits] = *sums;
    return hash_table_add(&work->wait_ids, key, (uint32_t)work->n_waits++);
}

static void add_distance(struct distance_figures *figures, uint64_t distance_ns)
{
    figures->min_ns =
        figures->n == 0 || distance_ns < figures->min_ns ? distance_ns : figures->min_ns;
    figures->max_ns = distance_ns > figures->max_ns ? distance_ns : figures->max_ns;
    figures->sum_ns = time_sum_ns(figures->sum_ns, distance_ns);
    figures->n++;
}

static int add_span_distance(void *userdata, const struct stored_span *span)
{
    struct work *work = userdata;
    if (span->state == ORIGIN_LINKED) {
        add_distance(&work->linked, span->distance_ns);
    } else if (span->state == ORIGIN_TOO_FAR) {
        add_distance(&work->too_far, span->distance_ns);
    }
    return 0;
}

/* ---- the sums of the run ---- */

static int add_span_origin(void *userdata, const struct stored_span *span)
{
    struct work *work = userdata;
    const struct origin_sums sums = {
        .lane = span->lane,
        .name = span->name,
        .thread = span->origin_thread,
        .stack = span->state == ORIGIN_LINKED ? span->origin_stack : STACK_ID_EMPTY,
        .state = span->state,
        .n_spans = 1,
        .total_ns = span_view_clip(work->view, span->start_ns, span->end_ns),
    };
    return add_origin(work, &sums);
}

static bool is_asked_for(const struct work *work, uint32_t lane, uint32_t name, thread_id thread,
                         stack_id stack)
{
    return span_view_has_origin(work->view, lane, span_view_tid(work->view, thread)) &&
           span_view_keeps(work->view, lane, name, stack);
}

static int read_origin_sums(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    int r = 0;
    for (size_t i = 0; i < snapshot->n_origin_sums && r == 0; i++) {
        const struct origin_sums *sums = &snapshot->origin_sums[i];
        if (is_asked_for(work, sums->lane, sums->name, sums->thread, sums->stack)) {
            r = add_origin(work, sums);
        }
    }
    return r ? r : span_view_each_pending(work->view, add_span_origin, work);
}

static int read_wait_sums(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    int r = 0;
    for (size_t i = 0; i < snapshot->n_span_wait_sums && r == 0; i++) {
        const struct span_wait_sums *sums = &snapshot->span_wait_sums[i];
        if (is_asked_for(work, sums->lane, sums->name, sums->thread, sums->stack)) {
            r = add_wait(work, sums);
        }
    }
    return r;
}

/* ---- the stored spans ---- */

/* Which of the sums is the first of this thread that waited for spans of this name? */
static int number_waiters(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    int r = hash_table_reserve(&work->waiters, snapshot->n_span_wait_sums);
    for (size_t i = 0; i < snapshot->n_span_wait_sums && r == 0; i++) {
        const struct span_wait_sums *sums = &snapshot->span_wait_sums[i];
        uint64_t key = hash_of(sums->lane, sums->name, sums->thread, STACK_ID_EMPTY);
        uint32_t known = hash_table_find_equal(&work->waiters, key, is_same_waiter, sums,
                                               work->snapshot->span_wait_sums);
        r = known == HASH_TABLE_NONE ? hash_table_add(&work->waiters, key, (uint32_t)i) : 0;
        if (r == 0 && known != HASH_TABLE_NONE) {
            work->is_several[known] = 1;
        }
    }
    return r;
}

/* Where `thread` waited for these spans; STACK_ID_EMPTY: in several places, or nobody knows. */
static stack_id stack_of_wait(const struct work *work, const struct stored_span *span,
                              thread_id thread)
{
    const struct span_wait_sums wanted = {.lane = span->lane, .name = span->name, .thread = thread};
    uint64_t key = hash_of(span->lane, span->name, thread, STACK_ID_EMPTY);
    uint32_t known = hash_table_find_equal(&work->waiters, key, is_same_waiter, &wanted,
                                           work->snapshot->span_wait_sums);
    return known == HASH_TABLE_NONE || work->is_several[known]
               ? STACK_ID_EMPTY
               : work->snapshot->span_wait_sums[known].stack;
}

static int add_span_wait(struct work *work, const struct stored_span *span)
{
    const struct event_span_details *details = snapshot_span_details(work->snapshot, span->details);
    uint64_t waited_ns = span_view_waited_ns(work->view, span);
    if (waited_ns == 0 || !span_view_has_origin(work->view, span->lane, details->wait.tid)) {
        return 0;
    }
    uint32_t known = hash_table_find(&work->threads, (uint64_t)details->wait.tid);
    const struct span_wait_sums sums = {
        .lane = span->lane,
        .name = span->name,
        .thread = known == HASH_TABLE_NONE ? THREAD_ID_NONE : known,
        .stack = stack_of_wait(work, span, known),
        .n_waits = 1,
        .waited_ns = waited_ns,
    };
    return span_view_keeps(work->view, sums.lane, sums.name, sums.stack) ? add_wait(work, &sums)
                                                                         : 0;
}

static int read_stored_waits(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    work->is_several = arena_alloc(work->view->context->arena, snapshot->n_span_wait_sums);
    int r = work->is_several ? span_view_number_threads(snapshot, &work->threads) : -ENOMEM;
    r = r ? r : number_waiters(work);
    for (uint64_t i = snapshot->first_span; i < snapshot->n_spans && r == 0; i++) {
        struct stored_span span = snapshot_span(snapshot, i);
        if (span.details != STORED_SPAN_NO_DETAILS && span_view_reaches(work->view, &span)) {
            r = add_span_wait(work, &span);
        }
    }
    return r;
}

/* ---- all of it ---- */

static int read_all(struct work *work)
{
    const struct span_view *view = work->view;
    bool is_free = !view->has_range && !view->has_patterns && view->context->view->n_tids == 0;
    /* Of an origin that is not linked the sums do not know whose it was. */
    bool is_read = view->has_range || (view->has_threads && !span_view_is_partial(view));
    int r = is_read ? span_view_each(view, add_span_origin, work) : read_origin_sums(work);
    r = r ? r : (view->has_range ? read_stored_waits(work) : read_wait_sums(work));
    if (r == 0 && is_free) {
        work->linked = work->snapshot->linked_distance;
        work->too_far = work->snapshot->too_far_distance;
    } else if (r == 0) {
        r = span_view_each(view, add_span_distance, work);
    }
    return r;
}

/* A copy in the arena; NULL where memory is out. */
static void *copy_rows(const struct work *work, const void *rows, size_t n, size_t row_bytes)
{
    void *copy = arena_alloc_array(work->view->context->arena, n, row_bytes);
    if (copy && n > 0) {
        memcpy(copy, rows, n * row_bytes);
    }
    return copy;
}

int span_origins_compute(const struct span_view *view, struct span_origins *ret_origins)
{
    struct work work = {.view = view, .snapshot = view->context->snapshot};
    hash_table_init(&work.origin_ids);
    hash_table_init(&work.wait_ids);
    hash_table_init(&work.threads);
    hash_table_init(&work.waiters);
    int r = read_all(&work);
    *ret_origins = (struct span_origins){
        .n_origins = work.n_origins,
        .origins = copy_rows(&work, work.origins, work.n_origins, sizeof(*work.origins)),
        .n_waits = work.n_waits,
        .waits = copy_rows(&work, work.waits, work.n_waits, sizeof(*work.waits)),
        .linked = work.linked,
        .too_far = work.too_far,
        .is_partial = (view->has_range || view->has_threads) && span_view_is_partial(view),
    };
    hash_table_release(&work.origin_ids);
    hash_table_release(&work.wait_ids);
    hash_table_release(&work.threads);
    hash_table_release(&work.waiters);
    free(work.origins);
    free(work.waits);
    return r ? r : (ret_origins->origins && ret_origins->waits ? 0 : -ENOMEM);
}
