/* SPDX-License-Identifier: MIT */
#include "aggregate/origin_links.h"

#include <errno.h>
#include <stdlib.h>

#include "aggregate/aggregate_internal.h"
#include "aggregate/stack_resolve.h"
#include "base/time_sum.h"

#define CAPACITY_FIRST 1024

/* Points: 64 MiB, and no more than this part of what the run may take. */
#define POINTS_MAX_BYTES (UINT64_C(64) << 20)
#define POINTS_PART 8

/* Longer ones tell of no timer that anybody would set. */
#define PERIOD_MAX_NS UINT64_C(1000000000)

void origin_links_init(struct origin_links *links, uint64_t max_memory_bytes)
{
    uint64_t max_bytes = POINTS_MAX_BYTES;
    if (max_memory_bytes > 0 && max_memory_bytes / POINTS_PART < max_bytes) {
        max_bytes = max_memory_bytes / POINTS_PART;
    }
    *links = (struct origin_links){.bound_ns = ORIGIN_BOUND_LEAST_NS};
    hash_table_init(&links->pids);
    origin_points_init(&links->points, (size_t)max_bytes);
}

void origin_links_release(struct origin_links *links)
{
    free(links->pending);
    links->pending = NULL;
    links->capacity = 0;
    links->first = links->end = 0;
    hash_table_release(&links->pids);
    links->n_threads_seen = 0;
    origin_points_release(&links->points);
}

/* ---- what events tell of threads ---- */

static stack_id user_part_of(struct aggregate *aggregate, stack_id stack)
{
    struct user_part *known = &aggregate->origin_links.user_parts[stack % ORIGIN_USER_PARTS];
    if (known->stack != stack) {
        *known = (struct user_part){.stack = stack, .user = stack_user_part(aggregate, stack)};
    }
    return known->user;
}

void origin_links_note(struct aggregate *aggregate, thread_id thread, uint64_t time_ns,
                       stack_id stack)
{
    const struct origin_point point = {
        .time_ns = time_ns,
        .stack = user_part_of(aggregate, stack),
    };
    /* Where memory runs out the origins near it are too far off, and counted as such. */
    (void)origin_points_add(&aggregate->origin_links.points, thread, point);
}

void origin_links_note_sample(struct aggregate *aggregate, const struct event *event,
                              thread_id thread, stack_id stack)
{
    struct origin_links *links = &aggregate->origin_links;
    uint64_t period_ns = event->sample.period_ns;
    period_ns = period_ns < PERIOD_MAX_NS ? period_ns : PERIOD_MAX_NS;
    if (ORIGIN_BOUND_PERIODS * period_ns > links->bound_ns) {
        links->bound_ns = ORIGIN_BOUND_PERIODS * period_ns;
    }
    if (aggregate->lanes.n_lanes > 0) {
        origin_links_note(aggregate, thread, event->time_ns, stack);
    }
}

void origin_links_note_switch_out(struct aggregate *aggregate, const struct event *event,
                                  thread_id thread)
{
    if (aggregate->lanes.n_lanes == 0 || event->is_preempted || aggregate->config.has_no_switches) {
        return;
    }
    const struct thread *own = thread_table_at(aggregate->threads, thread);
    /* Where it gave up the CPU is known, or that it did says nothing: its end, a wait that nobody
     * looked at. */
    if (own->totals.phase == THREAD_PHASE_BLOCKED && own->wait_stacks.is_exact) {
        origin_links_note(aggregate, thread, event->time_ns, own->totals.wait_stack);
    }
}

void origin_links_note_seen(struct aggregate *aggregate, const struct event *event)
{
    if (aggregate->lanes.n_lanes == 0 || event->stack.n_ips == 0) {
        return;
    }
    thread_id id = thread_table_find(aggregate->threads, event->tid, event->time_ns);
    if (id == THREAD_ID_NONE) {
        return;
    }
    const struct thread_totals *totals = &thread_table_at(aggregate->threads, id)->totals;
    stack_id user = user_part_of(aggregate, totals->wait_stack);
    if (totals->phase == THREAD_PHASE_BLOCKED && user != STACK_ID_EMPTY) {
        const struct origin_point point = {.time_ns = totals->phase_since_ns, .stack = user};
        if (!origin_points_amend(&aggregate->origin_links.points, id, point)) {
            (void)origin_points_add(&aggregate->origin_links.points, id, point);
        }
    }
}

/* ---- what becomes of an origin ---- */

struct found_origin {
    enum origin_state state;
    thread_id thread;
    stack_id stack;
    uint64_t distance_ns;
};

static bool has_process(struct aggregate *aggregate, int64_t pid)
{
    struct origin_links *links = &aggregate->origin_links;
    size_t n_threads = thread_table_count(aggregate->threads);
    for (; links->n_threads_seen < n_threads; links->n_threads_seen++) {
        const struct thread *thread =
            thread_table_at(aggregate->threads, (thread_id)links->n_threads_seen);
        uint64_t key = (uint64_t)thread->totals.pid;
        if (hash_table_find(&links->pids, key) == HASH_TABLE_NONE &&
            hash_table_add(&links->pids, key, 1) != 0) {
            return false;
        }
    }
    return hash_table_find(&links->pids, (uint64_t)pid) != HASH_TABLE_NONE;
}

static bool is_outside_run(const struct aggregate *aggregate, uint64_t time_ns)
{
    uint64_t bound_ns = aggregate->origin_links.bound_ns;
    uint64_t end_ns = aggregate->has_ended ? aggregate->end_ns : aggregate->newest_ns;
    bool is_before = time_ns < aggregate->start_ns && aggregate->start_ns - time_ns > bound_ns;
    return is_before || (time_ns > end_ns && time_ns - end_ns > bound_ns);
}

static struct found_origin find_origin(struct aggregate *aggregate, struct event_origin origin)
{
    struct found_origin found = {.thread = THREAD_ID_NONE, .stack = STACK_ID_EMPTY};
    uint64_t bound_ns = aggregate->origin_links.bound_ns;
    if (origin.tid == 0) {
        found.state = ORIGIN_MISSING;
        return found;
    }
    if (origin.tid >= LANE_TID_FIRST) {
        found.state = ORIGIN_SYNTHETIC_TID;
        return found;
    }
    thread_id id = thread_table_find_life(aggregate->threads, origin.tid, origin.time_ns);
    const struct thread_totals *totals =
        id == THREAD_ID_NONE ? NULL : &thread_table_at(aggregate->threads, id)->totals;
    bool is_of_process = totals && totals->pid == origin.pid;
    if (!is_of_process && !has_process(aggregate, origin.pid)) {
        found.state = ORIGIN_WRONG_PID;
        return found;
    }
    if (is_outside_run(aggregate, origin.time_ns)) {
        found.state = ORIGIN_OUTSIDE_RUN;
        return found;
    }
    bool is_gone = is_of_process && totals->end_ns != 0 && origin.time_ns > totals->end_ns &&
                   origin.time_ns - totals->end_ns > bound_ns;
    if (!is_of_process || is_gone) {
        found.state = ORIGIN_NO_THREAD;
        return found;
    }
    const struct origin_near near =
        origin_points_find(&aggregate->origin_links.points, id, origin.time_ns, bound_ns);
    found.thread = id;
    if (near.has_stack) {
        found.state = ORIGIN_LINKED;
        found.stack = near.stack;
        found.distance_ns = near.distance_ns;
    } else if (!near.has_points) {
        found.state = ORIGIN_NO_SAMPLE;
    } else if (near.distance_ns <= bound_ns) {
        found.state = ORIGIN_NO_USER_STACK;
    } else {
        found.state = ORIGIN_TOO_FAR;
        found.distance_ns = near.distance_ns;
    }
    return found;
}

static void note_distance(struct distance_figures *figures, uint64_t distance_ns)
{
    figures->min_ns =
        figures->n == 0 || distance_ns < figures->min_ns ? distance_ns : figures->min_ns;
    figures->max_ns = distance_ns > figures->max_ns ? distance_ns : figures->max_ns;
    figures->sum_ns = time_sum_ns(figures->sum_ns, distance_ns);
    figures->n++;
}

void origin_links_note_distance(struct origin_links *links, const struct stored_span *span)
{
    if (span->state == ORIGIN_LINKED) {
        note_distance(&links->linked, span->distance_ns);
    } else if (span->state == ORIGIN_TOO_FAR) {
        note_distance(&links->too_far, span->distance_ns);
    }
}

/* Where somebody began to wait for the span, for as long as both lasted. */
static int settle_wait(struct aggregate *aggregate, const struct stored_span *span,
                       const struct pending_span *pending)
{
    const struct event_span_details *details =
        span_log_details(&aggregate->span_log, span->details);
    uint64_t waited_ns = span_waited_ns(span, details, aggregate->start_ns);
    if (waited_ns == 0) {
        return 0;
    }
    const struct found_origin found = find_origin(aggregate, details->wait);
    const struct span_wait_sums wait = {
        .lane = span->lane,
        .name = aggregate->span_totals.sums[pending->row].name,
        .thread = found.thread,
        .stack = found.stack,
        .n_waits = 1,
        .waited_ns = waited_ns,
    };
    return span_totals_count_wait(&aggregate->span_totals, &wait);
}

static int settle_one(struct aggregate *aggregate, const struct pending_span *pending,
                      uint64_t index)
{
    struct origin_links *links = &aggregate->origin_links;
    struct stored_span *span = span_log_at(&aggregate->span_log, index);
    const struct event_origin origin = {
        .pid = pending->origin_pid,
        .tid = span->origin_tid,
        .time_ns = span->origin_ns,
    };
    const struct found_origin found = find_origin(aggregate, origin);
    span->state = (uint8_t)found.state;
    span->origin_thread = found.thread;
    span->origin_stack = found.stack;
    span->distance_ns = found.distance_ns;
    origin_links_note_distance(links, span);
    lanes_settle(&aggregate->lanes, span->lane, found.state);
    int r = span_totals_count_origin(&aggregate->span_totals, pending->row, span, index);
    int r_wait =
        span->details == STORED_SPAN_NO_DETAILS ? 0 : settle_wait(aggregate, span, pending);
    return r ? r : r_wait;
}

/* ---- those that are pending ---- */

static int grow(struct origin_links *links)
{
    size_t capacity = links->capacity ? 2 * links->capacity : CAPACITY_FIRST;
    struct pending_span *pending =
        capacity <= PENDING_SPANS_MAX ? calloc(capacity, sizeof(*pending)) : NULL;
    if (!pending) {
        return -ENOSPC;
    }
    for (uint64_t i = links->first; i < links->end; i++) {
        pending[i & (capacity - 1)] = links->pending[i & (links->capacity - 1)];
    }
    free(links->pending);
    links->pending = pending;
    links->capacity = capacity;
    return 0;
}

static int settle_oldest(struct aggregate *aggregate)
{
    struct origin_links *links = &aggregate->origin_links;
    uint64_t index = aggregate->span_log.spans.n_items - (links->end - links->first);
    const struct pending_span pending = links->pending[links->first & (links->capacity - 1)];
    links->first++;
    return settle_one(aggregate, &pending, index);
}

size_t origin_links_settle(struct aggregate *aggregate, bool is_forced)
{
    struct origin_links *links = &aggregate->origin_links;
    size_t n_failed = 0;
    while (links->first < links->end) {
        const struct pending_span *oldest = &links->pending[links->first & (links->capacity - 1)];
        bool is_due = aggregate->newest_ns > oldest->reached_ns &&
                      aggregate->newest_ns - oldest->reached_ns > links->bound_ns;
        if (!is_due && !is_forced) {
            break;
        }
        n_failed += settle_oldest(aggregate) != 0;
    }
    return n_failed;
}

int origin_links_add(struct aggregate *aggregate, const struct event *event, uint32_t row)
{
    struct origin_links *links = &aggregate->origin_links;
    const struct event_span *span = event->span;
    const struct event_origin *wait =
        span->details && span->details->wait.tid != 0 ? &span->details->wait : NULL;
    uint64_t reached_ns = span->origin.tid != 0 ? span->origin.time_ns : 0;
    reached_ns = wait && wait->time_ns > reached_ns ? wait->time_ns : reached_ns;
    reached_ns = reached_ns < event->time_ns ? reached_ns : event->time_ns;
    bool is_pid = span->origin.pid >= 0 && span->origin.pid <= INT32_MAX;
    const struct pending_span pending = {
        .reached_ns = reached_ns,
        .row = row,
        .origin_pid = is_pid ? (int32_t)span->origin.pid : -1,
    };
    if (links->end - links->first == links->capacity && grow(links) != 0) {
        if (links->capacity == 0) {
            /* No memory for a single one: what is known has to do. */
            return settle_one(aggregate, &pending, aggregate->span_log.spans.n_items - 1);
        }
        /* The span that was stored last is not among those that are pending yet. */
        uint64_t index = aggregate->span_log.spans.n_items - 1 - (links->end - links->first);
        const struct pending_span oldest = links->pending[links->first & (links->capacity - 1)];
        links->first++;
        int r = settle_one(aggregate, &oldest, index);
        aggregate->lost[EVENT_LOST_QUEUE_FULL] += r != 0;
    }
    links->pending[links->end++ & (links->capacity - 1)] = pending;
    return 0;
}

size_t origin_links_memory_bytes(const struct origin_links *links)
{
    return links->capacity * sizeof(*links->pending) + origin_points_memory_bytes(&links->points) +
           hash_table_memory_bytes(&links->pids);
}
