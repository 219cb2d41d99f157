/* SPDX-License-Identifier: MIT */
#include "query/wake_pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregate/wait_cursor.h"
#include "base/hash_table.h"
#include "query/thread_steps.h"

struct work {
    const struct query_context *context;
    const struct attribution *attribution;
    bool has_all_wakees;
    struct hash_table ids;
    struct wake_sums *rows;
    size_t n_rows, capacity;
};

static bool is_asked_for(const struct work *work, const struct wake_sums *sums)
{
    const uint8_t *is_kept = work->attribution->stack_is_kept;
    return sums->waker != WAKER_ID_UNKNOWN &&
           (work->has_all_wakees || work->attribution->threads[sums->wakee].is_in_view) &&
           (!is_kept || is_kept[sums->waker_stack]);
}

static bool is_same(uint32_t value, const void *wanted, const void *userdata)
{
    const struct wake_sums *rows = userdata, *sums = wanted;
    return rows[value].waker == sums->waker && rows[value].wakee == sums->wakee &&
           rows[value].waker_stack == sums->waker_stack;
}

static int add(struct work *work, const struct wake_sums *sums)
{
    uint64_t key =
        hash_u64(((uint64_t)sums->waker << 32 | sums->wakee) ^ hash_u64(sums->waker_stack));
    uint32_t id = hash_table_find_equal(&work->ids, key, is_same, sums, work->rows);
    if (id != HASH_TABLE_NONE) {
        work->rows[id].n_wakeups += sums->n_wakeups;
        work->rows[id].blocked_ns += sums->blocked_ns;
        work->rows[id].runnable_ns += sums->runnable_ns;
        return 0;
    }
    if (work->n_rows == work->capacity) {
        size_t capacity = work->capacity ? 2 * work->capacity : 256;
        struct wake_sums *grown = reallocarray(work->rows, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        work->rows = grown;
        work->capacity = capacity;
    }
    work->rows[work->n_rows] = *sums;
    return hash_table_add(&work->ids, key, (uint32_t)work->n_rows++);
}

static int add_waits(struct work *work)
{
    uint64_t from_ns = work->attribution->from_ns, to_ns = work->attribution->to_ns;
    const struct snapshot *snapshot = work->context->snapshot;
    struct wait_cursor cursor = wait_cursor_begin(snapshot, from_ns, to_ns);
    for (const struct stored_wait *wait = wait_cursor_next(&cursor); wait;
         wait = wait_cursor_next(&cursor)) {
        uint64_t wake_ns = thread_steps_wake_of(snapshot, wait);
        if (wake_ns < from_ns || wake_ns >= to_ns) {
            continue;
        }
        const struct wake_sums sums = {
            .waker = wait->waker,
            .wakee = wait->thread,
            .waker_stack = wait->waker_stack,
            .n_wakeups = 1,
            .blocked_ns = wake_ns - wait->start_ns,
            .runnable_ns = thread_steps_end_of(snapshot, wait) - wake_ns,
        };
        int r = is_asked_for(work, &sums) ? add(work, &sums) : 0;
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int add_sums(struct work *work)
{
    const struct snapshot *snapshot = work->context->snapshot;
    for (size_t i = 0; i < snapshot->n_wake_sums; i++) {
        const struct wake_sums *sums = &snapshot->wake_sums[i];
        int r = is_asked_for(work, sums) ? add(work, sums) : 0;
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int compute(const struct query_context *context, const struct attribution *attribution,
                   bool has_all_wakees, struct wake_pairs *ret_pairs)
{
    struct work work = {
        .context = context,
        .attribution = attribution,
        .has_all_wakees = has_all_wakees,
    };
    hash_table_init(&work.ids);
    int r = view_has_range(context->view) ? add_waits(&work) : add_sums(&work);
    hash_table_release(&work.ids);
    struct wake_sums *rows =
        r == 0 ? arena_alloc_array(context->arena, work.n_rows, sizeof(*rows)) : NULL;
    if (rows && work.n_rows > 0) {
        memcpy(rows, work.rows, work.n_rows * sizeof(*rows));
    }
    free(work.rows);
    *ret_pairs = (struct wake_pairs){.n_rows = work.n_rows, .rows = rows};
    return rows ? 0 : -ENOMEM;
}

int wake_pairs_compute(const struct query_context *context, const struct attribution *attribution,
                       struct wake_pairs *ret_pairs)
{
    return compute(context, attribution, false, ret_pairs);
}

int wake_pairs_compute_all(const struct query_context *context,
                           const struct attribution *attribution, struct wake_pairs *ret_pairs)
{
    return compute(context, attribution, true, ret_pairs);
}
