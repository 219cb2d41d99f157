/* SPDX-License-Identifier: MIT */
#include "query/wait_shares.h"

#include <errno.h>
#include <string.h>

#include "aggregate/wait_cursor.h"
#include "base/hash_table.h"
#include "query/attribution.h"
#include "query/portion.h"
#include "query/wait_causes.h"

#define ROWS_FIRST_ROOM 256u
#define OBJECTS_LOOK_MAX (UINT64_C(1) << 18) /* newest waits that are asked for their objects */

/* What the waits of one thread sum to. */
struct thread_sums {
    uint64_t told_ns, n_waits;
    uint32_t largest; /* its row with the most time; HASH_TABLE_NONE */
};

struct work {
    const struct query_context *context;
    const struct snapshot *snapshot;
    const struct attribution *attribution;
    struct wait_shares *shares;
    size_t n_rows_room;
    struct hash_table row_of; /* by thread and stack */
};

/* ---- single waits ---- */

int wait_shares_visit(const struct query_context *context, const struct attribution *attribution,
                      wait_visit_cb visit, void *userdata)
{
    uint64_t from_ns = attribution->from_ns, to_ns = attribution->to_ns;
    uint64_t lag_ns = context->snapshot->switch_lag_ns;
    struct wait_cursor cursor = wait_cursor_begin(context->snapshot, from_ns, to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        if (!attribution->threads[wait->thread].is_in_view) {
            continue;
        }
        /* Its end was recorded that much too late. */
        uint64_t end_ns = wait->end_ns > lag_ns ? wait->end_ns - lag_ns : 0;
        uint64_t wake_ns = wait->wake_ns < end_ns ? wait->wake_ns : end_ns;
        uint64_t blocked_ns = wait_overlap_ns(wait->start_ns, wake_ns, from_ns, to_ns);
        int r = blocked_ns > 0 ? visit(userdata, wait, blocked_ns) : 0;
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* ---- rows ---- */

static uint64_t key_of(thread_id thread, stack_id stack)
{
    return (uint64_t)thread << 32 | stack;
}

/* The row of the thread and stack; a new one is empty. NULL: no memory. */
static struct wait_share *get_row(struct work *work, thread_id thread, stack_id stack)
{
    struct wait_shares *shares = work->shares;
    uint32_t known = hash_table_find(&work->row_of, key_of(thread, stack));
    if (known != HASH_TABLE_NONE) {
        return &shares->rows[known];
    }
    if (shares->n_rows == work->n_rows_room) {
        size_t n_room = shares->n_rows > 0 ? 2 * shares->n_rows : ROWS_FIRST_ROOM;
        struct wait_share *rows =
            arena_alloc_array(work->context->arena, n_room, sizeof(*shares->rows));
        if (!rows) {
            return NULL;
        }
        if (shares->n_rows > 0) {
            memcpy(rows, shares->rows, shares->n_rows * sizeof(*rows));
        }
        shares->rows = rows;
        work->n_rows_room = n_room;
    }
    if (hash_table_add(&work->row_of, key_of(thread, stack), (uint32_t)shares->n_rows) != 0) {
        return NULL;
    }
    struct wait_share *row = &shares->rows[shares->n_rows++];
    *row = (struct wait_share){.thread = thread, .stack = stack};
    return row;
}

static int add_stored(void *userdata, const struct stored_wait *wait, uint64_t blocked_ns)
{
    struct work *work = userdata;
    struct wait_share *row = get_row(work, wait->thread, wait->stack);
    if (!row) {
        return -ENOMEM;
    }
    row->flags |= wait->flags;
    row->object = wait->object ? wait->object : row->object;
    row->n_waits++;
    row->blocked_ns += blocked_ns;
    row->max_ns = blocked_ns > row->max_ns ? blocked_ns : row->max_ns;
    return 0;
}

/* Before the first row. */
static int reserve_rows(struct work *work, size_t n_rows)
{
    work->shares->rows =
        arena_alloc_array(work->context->arena, n_rows, sizeof(*work->shares->rows));
    work->n_rows_room = n_rows;
    return work->shares->rows ? hash_table_reserve(&work->row_of, n_rows) : -ENOMEM;
}

static int add_sums(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    uint64_t lag_ns = snapshot->switch_lag_ns; /* taken off the sums, but not off the longest */
    /* A row for each of them, and for most threads one more. */
    int r = reserve_rows(work, snapshot->n_wait_sums + snapshot->n_threads);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < snapshot->n_wait_sums; i++) {
        const struct wait_sums *sums = &snapshot->wait_sums[i];
        if (!work->attribution->threads[sums->thread].is_in_view) {
            continue;
        }
        struct wait_share *row = get_row(work, sums->thread, sums->stack);
        if (!row) {
            return -ENOMEM;
        }
        row->flags |= sums->flags;
        row->n_waits += sums->n_waits;
        row->blocked_ns += sums->blocked_ns;
        uint64_t max_ns = sums->max_blocked_ns > lag_ns ? sums->max_blocked_ns - lag_ns : 0;
        row->max_ns = max_ns > row->max_ns ? max_ns : row->max_ns;
    }
    return 0;
}

uint64_t wait_shares_open_ns(const struct attribution *attribution,
                             const struct thread_totals *totals)
{
    if (totals->phase != THREAD_PHASE_BLOCKED) {
        return 0;
    }
    uint64_t end_ns = totals->end_ns ? totals->end_ns : UINT64_MAX;
    return wait_overlap_ns(totals->phase_since_ns, end_ns, attribution->from_ns,
                           attribution->to_ns);
}

static int add_open(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        uint64_t open_ns = wait_shares_open_ns(work->attribution, totals);
        if (!work->attribution->threads[i].is_in_view || open_ns == 0) {
            continue;
        }
        struct wait_share *row = get_row(work, (thread_id)i, totals->wait_stack);
        if (!row) {
            return -ENOMEM;
        }
        row->flags |= totals->wait_flags;
        row->object = totals->wait_object ? totals->wait_object : row->object;
        row->n_open++;
        row->n_waits++;
        row->blocked_ns += open_ns;
        row->max_ns = open_ns > row->max_ns ? open_ns : row->max_ns;
    }
    return 0;
}

/* ---- the objects of sums ---- */

/* Sums do not tell objects; a few of the newest waits do. */
static void find_objects(struct work *work)
{
    const struct snapshot *snapshot = work->snapshot;
    size_t n_wanted = 0;
    bool has_objects = snapshot->n_wait_objects > 1; /* one of them is none */
    for (size_t i = 0; i < work->shares->n_rows && has_objects; i++) {
        const struct wait_share *row = &work->shares->rows[i];
        n_wanted += row->object == 0 && row->stack != STACK_ID_EMPTY &&
                    wait_causes_need_object(work->context, row->stack);
    }
    uint64_t first =
        snapshot->n_waits > OBJECTS_LOOK_MAX ? snapshot->n_waits - OBJECTS_LOOK_MAX : 0;
    first = first > snapshot->first_wait ? first : snapshot->first_wait;
    for (uint64_t i = snapshot->n_waits; i > first && n_wanted > 0; i--) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i - 1);
        uint32_t at = wait->object != 0 && wait->stack != STACK_ID_EMPTY
                          ? hash_table_find(&work->row_of, key_of(wait->thread, wait->stack))
                          : HASH_TABLE_NONE;
        struct wait_share *row = at != HASH_TABLE_NONE ? &work->shares->rows[at] : NULL;
        if (row && row->object == 0) {
            row->object = wait->object;
            n_wanted -= wait_causes_need_object(work->context, row->stack);
        }
    }
}

/* ---- sums that are exact ---- */

static void sum_threads(const struct work *work, struct thread_sums *sums)
{
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        sums[i] = (struct thread_sums){.largest = HASH_TABLE_NONE};
    }
    for (uint32_t i = 0; i < work->shares->n_rows; i++) {
        const struct wait_share *row = &work->shares->rows[i];
        struct thread_sums *sum = &sums[row->thread];
        sum->told_ns += row->blocked_ns;
        sum->n_waits += row->n_waits;
        if (sum->largest == HASH_TABLE_NONE ||
            row->blocked_ns > work->shares->rows[sum->largest].blocked_ns) {
            sum->largest = i;
        }
    }
}

static uint64_t thread_blocked_ns(const struct work *work, size_t thread)
{
    return work->attribution->threads[thread].blocked_ns;
}

/* Time of which no wait tells has no stack, but for what is lost in taking off the lag. */
static int give_rests(struct work *work, const struct thread_sums *sums)
{
    uint64_t lag_ns = work->snapshot->switch_lag_ns;
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        uint64_t blocked_ns =
            work->attribution->threads[i].is_in_view ? thread_blocked_ns(work, i) : 0;
        if (sums[i].told_ns >= blocked_ns) {
            continue;
        }
        uint64_t rest_ns = blocked_ns - sums[i].told_ns;
        bool is_lag = lag_ns > 0 && sums[i].n_waits > 0 && rest_ns / lag_ns < sums[i].n_waits;
        struct wait_share *row = is_lag ? &work->shares->rows[sums[i].largest]
                                        : get_row(work, (thread_id)i, STACK_ID_EMPTY);
        if (!row) {
            return -ENOMEM;
        }
        row->blocked_ns += rest_ns;
    }
    return 0;
}

/* Where waits tell too much, each gives its share. */
static int scale_down(struct work *work, const struct thread_sums *sums)
{
    struct portion *portions =
        arena_alloc_array(work->context->arena, work->snapshot->n_threads, sizeof(*portions));
    if (!portions) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < work->snapshot->n_threads; i++) {
        portions[i] =
            (struct portion){.total_ns = thread_blocked_ns(work, i), .weight = sums[i].told_ns};
    }
    for (size_t i = 0; i < work->shares->n_rows; i++) {
        struct wait_share *row = &work->shares->rows[i];
        struct portion *portion = &portions[row->thread];
        if (portion->weight > portion->total_ns) {
            row->blocked_ns = portion_take(portion, row->blocked_ns);
        }
        row->max_ns = row->max_ns < row->blocked_ns ? row->max_ns : row->blocked_ns;
    }
    return 0;
}

static int make_exact(struct work *work)
{
    struct thread_sums *sums =
        arena_alloc_array(work->context->arena, work->snapshot->n_threads, sizeof(*sums));
    if (!sums) {
        return -ENOMEM;
    }
    sum_threads(work, sums);
    int r = scale_down(work, sums);
    return r ? r : give_rests(work, sums);
}

/* Rows without time, of waits that ended in the instant that they began. */
static void drop_empty(struct wait_shares *shares)
{
    size_t n_rows = shares->n_rows;
    shares->n_rows = 0;
    for (size_t i = 0; i < n_rows; i++) {
        if (shares->rows[i].blocked_ns > 0) {
            shares->rows[shares->n_rows++] = shares->rows[i];
        }
    }
}

int wait_shares_compute(const struct query_context *context, const struct attribution *attribution,
                        struct wait_shares *ret_shares)
{
    *ret_shares = (struct wait_shares){0};
    if (context->snapshot->has_no_switches) {
        return 0;
    }
    struct work work = {
        .context = context,
        .snapshot = context->snapshot,
        .attribution = attribution,
        .shares = ret_shares,
    };
    hash_table_init(&work.row_of);
    bool has_range = view_has_range(context->view);
    int r =
        has_range ? wait_shares_visit(context, attribution, add_stored, &work) : add_sums(&work);
    r = r ? r : add_open(&work);
    if (r == 0 && !has_range) {
        find_objects(&work);
    }
    r = r ? r : make_exact(&work);
    drop_empty(ret_shares);
    hash_table_release(&work.row_of);
    return r;
}
