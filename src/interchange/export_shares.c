/* SPDX-License-Identifier: MIT */
#include "interchange/export_shares.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/wait_cursor.h"
#include "query/sample_weight.h"
#include "query/stack_frames.h"
#include "query/thread_steps.h"

#define ROWS_FIRST_ROOM 256u

static uint64_t key_of(thread_id thread, stack_id stack)
{
    return (uint64_t)thread << 32 | stack;
}

/* ---- rows ---- */

static struct export_row *add_row(struct export_shares *shares)
{
    if (shares->n_rows == UINT32_MAX) {
        return NULL;
    }
    if (shares->n_rows == shares->n_rows_room) {
        size_t n_room = shares->n_rows > 0 ? 2 * shares->n_rows : ROWS_FIRST_ROOM;
        struct export_row *rows = arena_alloc_array(shares->context->arena, n_room, sizeof(*rows));
        if (!rows) {
            return NULL;
        }
        if (shares->n_rows > 0) {
            memcpy(rows, shares->rows, shares->n_rows * sizeof(*rows));
        }
        shares->rows = rows;
        shares->n_rows_room = n_room;
    }
    return &shares->rows[shares->n_rows++];
}

static int add_part(void *userdata, const struct attribution_part *part)
{
    struct export_shares *shares = userdata;
    uint64_t key = key_of(part->thread, part->stack);
    uint32_t known = hash_table_find(&shares->ran, key);
    if (known == HASH_TABLE_NONE) {
        known = (uint32_t)shares->n_rows;
        struct export_row *row = add_row(shares);
        if (!row || hash_table_add(&shares->ran, key, known) != 0) {
            return -ENOMEM;
        }
        *row = (struct export_row){
            .thread = part->thread,
            .stack = part->stack,
            .shown_stack = part->stack,
            .kind = EXPORT_ROW_SAMPLED,
        };
    }
    shares->rows[known].time_ns += part->ns;
    shares->rows[known].n += part->n_samples;
    return 0;
}

/* The time that the attribution could give to no sample, to the threads that it is of. */
static int add_unsampled(struct export_shares *shares)
{
    const struct attribution *attribution = &shares->attribution;
    size_t n_threads = attribution->unsampled_ns > 0 ? shares->context->snapshot->n_threads : 0;
    for (size_t i = 0; i < n_threads; i++) {
        const struct thread_share *share = &attribution->threads[i];
        if (!share->is_in_view || share->has_own_share || share->n_samples > 0 ||
            share->cpu_ns == 0) {
            continue;
        }
        struct export_row *row = add_row(shares);
        if (!row) {
            return -ENOMEM;
        }
        *row = (struct export_row){
            .thread = (thread_id)i,
            .kind = EXPORT_ROW_UNSAMPLED,
            .time_ns = share->cpu_ns,
        };
    }
    return 0;
}

static int add_waits(struct export_shares *shares)
{
    const struct query_context *context = shares->context;
    const struct wait_shares *waits;
    int r = attribution_waits(context, &shares->attribution, &waits);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < waits->n_rows; i++) {
        const struct wait_share *wait = &waits->rows[i];
        const struct wait_cause_entry *cause =
            wait_causes_get(&shares->causes, wait->stack, wait->object);
        struct export_row *row = cause ? add_row(shares) : NULL;
        if (!row) {
            return -ENOMEM;
        }
        *row = (struct export_row){
            .thread = wait->thread,
            .stack = wait->stack,
            .shown_stack = stack_without_scheduler(context, wait->stack),
            .kind = EXPORT_ROW_WAIT,
            .reason = cause->reason,
            .wait_site = cause->site[0] != '\0' ? cause->site : NULL,
            .time_ns = wait->blocked_ns,
            .n = wait->n_waits,
        };
    }
    return 0;
}

static int by_thread(const void *left, const void *right)
{
    const struct export_row *a = left, *b = right;
    if (a->thread != b->thread) {
        return a->thread < b->thread ? -1 : 1;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return a->stack < b->stack ? -1 : a->stack > b->stack;
}

/* Rows that have found their places are found by thread and stack. */
static int index_rows(struct export_shares *shares)
{
    hash_table_clear(&shares->ran);
    for (size_t i = 0; i < shares->n_rows; i++) {
        const struct export_row *row = &shares->rows[i];
        struct hash_table *table = row->kind == EXPORT_ROW_WAIT ? &shares->waited : &shares->ran;
        if (row->kind != EXPORT_ROW_UNSAMPLED &&
            hash_table_add(table, key_of(row->thread, row->stack), (uint32_t)i) != 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

/* ---- threads ---- */

static const char *name_thread(const struct export_shares *shares,
                               const struct thread_totals *totals)
{
    const char *name = totals->name[0] != '\0'
                           ? totals->name
                           : arena_printf(shares->context->arena, "thread %" PRId64, totals->tid);
    return name ? name : "thread";
}

static int group_threads(struct export_shares *shares)
{
    const struct snapshot *snapshot = shares->context->snapshot;
    struct arena *arena = shares->context->arena;
    shares->threads = arena_alloc_array(arena, snapshot->n_threads, sizeof(*shares->threads));
    shares->thread_of = arena_alloc_array(arena, snapshot->n_threads, sizeof(*shares->thread_of));
    if (!shares->threads || !shares->thread_of) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < shares->n_rows; i++) {
        const struct export_row *row = &shares->rows[i];
        if (i == 0 || row->thread != row[-1].thread) {
            const struct thread_totals *totals = &snapshot->threads[row->thread];
            shares->thread_of[row->thread] = (uint32_t)shares->n_threads;
            shares->threads[shares->n_threads++] = (struct export_thread){
                .thread = row->thread,
                .pid = totals->pid,
                .tid = totals->tid,
                .name = name_thread(shares, totals),
                .first_row = i,
            };
        }
        struct export_thread *thread = &shares->threads[shares->n_threads - 1];
        bool is_wait = row->kind == EXPORT_ROW_WAIT;
        thread->n_rows++;
        thread->cpu_ns += is_wait ? 0 : row->time_ns;
        thread->n_samples += is_wait ? 0 : row->n;
        thread->off_cpu_ns += is_wait ? row->time_ns : 0;
        thread->n_waits += is_wait ? row->n : 0;
    }
    return 0;
}

/* A process has the name of its first thread, whose number is its own. */
static int name_processes(struct export_shares *shares)
{
    const struct snapshot *snapshot = shares->context->snapshot;
    struct hash_table first_of;
    hash_table_init(&first_of);
    int r = 0;
    for (size_t i = 0; i < snapshot->n_threads && r == 0; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        if (totals->tid == totals->pid && totals->name[0] != '\0' &&
            hash_table_find(&first_of, (uint64_t)totals->pid) == HASH_TABLE_NONE) {
            r = hash_table_add(&first_of, (uint64_t)totals->pid, (uint32_t)i);
        }
    }
    shares->has_one_process = true;
    for (size_t i = 0; i < shares->n_threads; i++) {
        struct export_thread *thread = &shares->threads[i];
        uint32_t first = hash_table_find(&first_of, (uint64_t)thread->pid);
        thread->process = first != HASH_TABLE_NONE ? snapshot->threads[first].name : NULL;
        shares->has_one_process &= thread->pid == shares->threads[0].pid;
    }
    hash_table_release(&first_of);
    return r;
}

int export_shares_init(const struct query_context *context, struct export_shares *ret_shares,
                       struct error *reterr_error)
{
    struct export_shares *shares = ret_shares;
    *shares = (struct export_shares){.context = context};
    hash_table_init(&shares->ran);
    hash_table_init(&shares->waited);
    int r = wait_causes_init(context, &shares->causes);
    if (r != 0) {
        return r;
    }
    r = attribution_compute_parts(context, add_part, shares, &shares->attribution, reterr_error);
    r = r ? r : add_unsampled(shares);
    r = r ? r : add_waits(shares);
    if (r == 0) {
        if (shares->n_rows > 1) {
            qsort(shares->rows, shares->n_rows, sizeof(*shares->rows), by_thread);
        }
        r = index_rows(shares);
    }
    r = r ? r : group_threads(shares);
    r = r ? r : name_processes(shares);
    if (r != 0) {
        export_shares_release(shares);
    }
    return r;
}

void export_shares_release(struct export_shares *shares)
{
    wait_causes_release(&shares->causes);
    hash_table_release(&shares->ran);
    hash_table_release(&shares->waited);
}

/* ---- moments ---- */

struct visit {
    struct export_shares *shares;
    const struct snapshot *snapshot;
    export_moment_cb on_moment;
    void *userdata;
    bool is_counting; /* the first of two rounds: how much will come of each row */
};

typedef int (*round_cb)(struct visit *visit);

static struct export_row *row_in(struct export_shares *shares, const struct hash_table *table,
                                 thread_id thread, stack_id stack)
{
    uint32_t known = hash_table_find(table, key_of(thread, stack));
    return known != HASH_TABLE_NONE ? &shares->rows[known] : NULL;
}

/* What has been folded away, and time of which nobody tells: at the beginning of the view. */
static int visit_rest(const struct visit *visit, struct export_row *row, uint64_t rest)
{
    uint64_t born_ns = visit->snapshot->threads[row->thread].start_ns;
    uint64_t from_ns = visit->shares->attribution.from_ns;
    const struct export_moment moment = {
        .row = row,
        .time_ns = born_ns > from_ns ? born_ns : from_ns,
        .end_ns = born_ns > from_ns ? born_ns : from_ns,
        .weight_ns = portion_take(&row->left, rest),
        .n = row->kind == EXPORT_ROW_SAMPLED ? rest : 0,
        .is_rest = true,
        .reason = row->reason,
        .wait_site = row->wait_site,
    };
    return moment.weight_ns > 0 ? visit->on_moment(visit->userdata, &moment) : 0;
}

/* The samples of a row fell into slices alike: but for weights of their own all stand for the same.
 */
static uint64_t weight_of(const struct snapshot *snapshot, const struct stored_sample *sample)
{
    return sample_weights_are_own(snapshot, false) && sample->period_ns > 0 ? sample->period_ns : 1;
}

/* All the weight of a row: of samples their number, of waits their length. */
static uint64_t whole_weight(const struct snapshot *snapshot, const struct export_row *row)
{
    if (row->kind == EXPORT_ROW_SAMPLED && row->told > 0 &&
        sample_weights_are_own(snapshot, false)) {
        return row->told;
    }
    if (row->kind == EXPORT_ROW_SAMPLED && row->n > 0) {
        return row->n > row->told ? row->n : row->told;
    }
    /* Where all waits are stored, what they tell differs from the row by the lag of switches. */
    if (row->told > 0 && (snapshot->first_wait == 0 || row->told > row->time_ns)) {
        return row->told;
    }
    return row->time_ns;
}

static int visit_rows(struct visit *visit, bool is_wait, round_cb visit_stored)
{
    struct export_shares *shares = visit->shares;
    for (size_t i = 0; i < shares->n_rows; i++) {
        shares->rows[i].told = 0;
    }
    visit->is_counting = true;
    int r = visit_stored(visit);
    visit->is_counting = false;
    for (size_t i = 0; i < shares->n_rows && r == 0; i++) {
        struct export_row *row = &shares->rows[i];
        if ((row->kind == EXPORT_ROW_WAIT) == is_wait) {
            uint64_t weight = whole_weight(visit->snapshot, row);
            row->left = (struct portion){.total_ns = row->time_ns, .weight = weight};
            r = weight > row->told ? visit_rest(visit, row, weight - row->told) : 0;
        }
    }
    return r ? r : visit_stored(visit);
}

static int visit_stored_samples(struct visit *visit)
{
    struct export_shares *shares = visit->shares;
    const struct snapshot *snapshot = visit->snapshot;
    const struct attribution *attribution = &shares->attribution;
    bool has_range = view_has_range(shares->context->view);
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        if (has_range &&
            (sample->time_ns < attribution->from_ns || sample->time_ns >= attribution->to_ns)) {
            continue;
        }
        struct export_row *row = row_in(shares, &shares->ran, sample->thread, sample->stack);
        if (!row || visit->is_counting) {
            if (row) {
                row->told += weight_of(snapshot, sample);
            }
            continue; /* not in the view, or not yet */
        }
        const struct export_moment moment = {
            .row = row,
            .time_ns = sample->time_ns,
            .end_ns = sample->time_ns,
            .weight_ns = portion_take(&row->left, weight_of(snapshot, sample)),
            .n = 1,
            .sample = sample,
        };
        int r = visit->on_moment(visit->userdata, &moment);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* A wait, or one that lasts (`wait` NULL). */
static int visit_wait(struct visit *visit, struct export_row *row, const struct stored_wait *wait,
                      uint64_t blocked_ns)
{
    if (visit->is_counting) {
        row->told += blocked_ns;
        return 0;
    }
    const struct snapshot *snapshot = visit->snapshot;
    const struct attribution *attribution = &visit->shares->attribution;
    const struct thread_totals *totals = &snapshot->threads[row->thread];
    const struct wait_cause_entry *cause = wait_causes_get(
        &visit->shares->causes, row->stack, wait ? wait->object : totals->wait_object);
    if (!cause) {
        return -ENOMEM;
    }
    uint64_t start_ns = wait ? wait->start_ns : totals->phase_since_ns;
    uint64_t end_ns = wait ? thread_steps_wake_of(snapshot, wait) : snapshot->now_ns;
    const struct export_moment moment = {
        .row = row,
        .time_ns = start_ns > attribution->from_ns ? start_ns : attribution->from_ns,
        .end_ns = end_ns < attribution->to_ns ? end_ns : attribution->to_ns,
        .weight_ns = portion_take(&row->left, blocked_ns),
        .n = 1,
        .is_open = !wait,
        .reason = cause->reason,
        .wait_site = cause->site[0] != '\0' ? cause->site : NULL,
        .wait = wait,
    };
    return visit->on_moment(visit->userdata, &moment);
}

static int visit_stored_waits(struct visit *visit)
{
    struct export_shares *shares = visit->shares;
    const struct snapshot *snapshot = visit->snapshot;
    const struct attribution *attribution = &shares->attribution;
    struct wait_cursor cursor =
        wait_cursor_begin(snapshot, attribution->from_ns, attribution->to_ns);
    int r = 0;
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait && r == 0;
         wait = wait_cursor_next(&cursor)) {
        struct export_row *row = row_in(shares, &shares->waited, wait->thread, wait->stack);
        uint64_t blocked_ns =
            row ? wait_overlap_ns(wait->start_ns, thread_steps_wake_of(snapshot, wait),
                                  attribution->from_ns, attribution->to_ns)
                : 0;
        r = blocked_ns > 0 ? visit_wait(visit, row, wait, blocked_ns) : 0;
    }
    for (size_t i = 0; i < snapshot->n_threads && r == 0; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        struct export_row *row = row_in(shares, &shares->waited, (thread_id)i, totals->wait_stack);
        uint64_t blocked_ns = row ? wait_shares_open_ns(attribution, totals) : 0;
        r = blocked_ns > 0 ? visit_wait(visit, row, NULL, blocked_ns) : 0;
    }
    return r;
}

static int visit_all(struct export_shares *shares, bool is_wait, round_cb visit_stored,
                     export_moment_cb on_moment, void *userdata)
{
    struct visit visit = {
        .shares = shares,
        .snapshot = shares->context->snapshot,
        .on_moment = on_moment,
        .userdata = userdata,
    };
    return visit_rows(&visit, is_wait, visit_stored);
}

int export_shares_visit_samples(struct export_shares *shares, export_moment_cb on_moment,
                                void *userdata)
{
    return visit_all(shares, false, visit_stored_samples, on_moment, userdata);
}

int export_shares_visit_waits(struct export_shares *shares, export_moment_cb on_moment,
                              void *userdata)
{
    return visit_all(shares, true, visit_stored_waits, on_moment, userdata);
}
