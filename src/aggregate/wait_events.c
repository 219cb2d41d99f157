/* SPDX-License-Identifier: MIT */
#include "aggregate/wait_events.h"

#include <errno.h>

#include "aggregate/stack_resolve.h"

/* ---- what the table of threads tells ---- */

/* Stores the oldest one if it is time, or anyway; -EAGAIN: it is not. */
static int store_oldest(struct aggregate *aggregate, uint64_t now_ns, bool is_forced)
{
    struct pending_wait oldest;
    if (!pending_waits_take(&aggregate->pending_waits, now_ns, is_forced, &oldest)) {
        return -EAGAIN;
    }
    if (!oldest.is_settled) {
        thread_table_at(aggregate->threads, oldest.wait.thread)->ended.is_there = false;
    }
    return wait_log_store(&aggregate->wait_log, &oldest.wait, oldest.wait_sum);
}

size_t wait_events_store(struct aggregate *aggregate, uint64_t now_ns, bool is_forced)
{
    size_t n_failed = 0;
    for (int r = 0; r != -EAGAIN; n_failed += r != 0 && r != -EAGAIN) {
        r = store_oldest(aggregate, now_ns, is_forced);
    }
    return n_failed;
}

static void on_wait_ended(void *userdata, struct ended_wait *ended)
{
    struct aggregate *aggregate = userdata;
    const struct stored_wait *wait = &ended->wait;
    uint64_t blocked_ns = wait->wake_ns - wait->start_ns;
    uint64_t runnable_ns = wait->end_ns - wait->wake_ns;
    ended->wait_sum = wait_log_find_sum(&aggregate->wait_log, wait->thread, wait->stack);
    ended->wake_sum =
        wakers_find_sum(&aggregate->wakers, wait->waker, wait->thread, wait->waker_stack);
    if (ended->wait_sum != WAIT_SUM_NONE) {
        struct wait_sums *sum = &aggregate->wait_log.sums[ended->wait_sum];
        sum->flags |= wait->flags;
        sum->n_waits++;
        sum->blocked_ns += blocked_ns;
        sum->runnable_ns += runnable_ns;
    }
    if (ended->wake_sum != WAKE_SUM_NONE) {
        struct wake_sums *sum = &aggregate->wakers.sums[ended->wake_sum];
        sum->n_wakeups++;
        sum->blocked_ns += blocked_ns;
        sum->runnable_ns += runnable_ns;
    }
    bool has_no_room = ended->wait_sum == WAIT_SUM_NONE || ended->wake_sum == WAKE_SUM_NONE;
    aggregate->lost[EVENT_LOST_QUEUE_FULL] += has_no_room;
    aggregate->n_wakeups += wait->waker != WAKER_ID_UNKNOWN;
    while (pending_waits_add(&aggregate->pending_waits, aggregate->threads, ended) != 0) {
        int r = store_oldest(aggregate, 0, true);
        aggregate->lost[EVENT_LOST_QUEUE_FULL] += r != 0;
        if (r == -EAGAIN) {
            ended->is_there = false; /* no memory for a single one: it is only counted */
            return;
        }
    }
}

static void on_wait_moved(void *userdata, const struct ended_wait *ended, uint64_t more_blocked_ns,
                          uint64_t more_runnable_ns)
{
    struct aggregate *aggregate = userdata;
    if (ended->wait_sum != WAIT_SUM_NONE) {
        aggregate->wait_log.sums[ended->wait_sum].blocked_ns += more_blocked_ns;
        aggregate->wait_log.sums[ended->wait_sum].runnable_ns += more_runnable_ns;
    }
    if (ended->wake_sum != WAKE_SUM_NONE) {
        aggregate->wakers.sums[ended->wake_sum].blocked_ns += more_blocked_ns;
        aggregate->wakers.sums[ended->wake_sum].runnable_ns += more_runnable_ns;
    }
    pending_waits_move(&aggregate->pending_waits, aggregate->threads, ended);
}

static void on_wait_final(void *userdata, const struct ended_wait *ended)
{
    struct aggregate *aggregate = userdata;
    pending_waits_settle(&aggregate->pending_waits, ended);
}

struct slice_sink wait_events_sink(struct slice_sink sink)
{
    sink.on_wait_ended = on_wait_ended;
    sink.on_wait_moved = on_wait_moved;
    sink.on_wait_final = on_wait_final;
    return sink;
}

/* ---- the stack of a wait ---- */

static void set_stack(struct thread *thread, stack_id stack, uint8_t flags)
{
    thread->totals.wait_stack = stack;
    thread->totals.wait_flags = flags;
}

static uint8_t flags_of(const struct resolved_stack *resolved)
{
    return resolved->is_cut ? WAIT_FLAG_CUT : 0;
}

/* The stack came with the switch-out, or its serial did. */
static int set_told_stack(struct aggregate *aggregate, const struct event *event,
                          struct thread *thread)
{
    struct wait_stacks *stacks = &thread->wait_stacks;
    uint32_t serial = event->switch_out.stack_serial;
    if (event->stack.n_ips == 0) {
        if (serial != stacks->serial) {
            aggregate->n_wait_stacks_unknown++;
            return 0;
        }
        set_stack(thread, stacks->serial_stack, stacks->serial_flags);
        stacks->is_exact = true;
        return 0;
    }
    struct resolved_stack resolved;
    int r = stack_resolve(aggregate, event->pid, event->time_ns, &event->stack, &resolved);
    if (r != 0) {
        return r;
    }
    set_stack(thread, resolved.stack, flags_of(&resolved));
    stacks->is_exact = true;
    if (serial != 0) {
        stacks->serial = serial;
        stacks->serial_stack = resolved.stack;
        stacks->serial_flags = flags_of(&resolved);
    }
    return 0;
}

int wait_events_switch_out(struct aggregate *aggregate, const struct event *event, thread_id id)
{
    struct thread *thread = thread_table_at(aggregate->threads, id);
    struct wait_stacks *stacks = &thread->wait_stacks;
    if (thread->totals.phase != THREAD_PHASE_BLOCKED || event->is_preempted) {
        return 0;
    }
    thread->totals.wait_object =
        wait_objects_intern(&aggregate->wait_objects, event->pid, event->switch_out.object);
    if (event->stack.n_ips > 0 || event->switch_out.stack_serial != 0) {
        return set_told_stack(aggregate, event, thread);
    }
    if (stacks->has_seen) {
        set_stack(thread, stacks->seen, stacks->seen_flags);
    } else if (stacks->has_sampled) {
        stack_id user = stack_user_part(aggregate, stacks->sampled);
        set_stack(thread, user, user == STACK_ID_EMPTY ? 0 : WAIT_FLAG_APPROXIMATE);
    }
    return 0;
}

/* What a look tells of a wait whose stack the switch-out did not tell. */
static int set_seen_stack(struct aggregate *aggregate, const struct event *event,
                          struct thread *thread)
{
    struct wait_stacks *stacks = &thread->wait_stacks;
    struct resolved_stack found = {.stack = STACK_ID_EMPTY};
    if (event->stack.n_ips > 0) {
        int r = stack_resolve(aggregate, event->pid, event->time_ns, &event->stack, &found);
        if (r != 0) {
            return r;
        }
    } else if (stacks->has_sampled) {
        found.stack = stack_user_part(aggregate, stacks->sampled);
    }
    if (event->wait_seen.site) {
        int r = stack_put_site(aggregate, found.stack, event->wait_seen.site, &found.stack);
        if (r != 0) {
            return r;
        }
    }
    stacks->has_seen = found.stack != STACK_ID_EMPTY;
    stacks->seen = found.stack;
    stacks->seen_flags = flags_of(&found) | WAIT_FLAG_APPROXIMATE;
    if (stacks->has_seen) {
        set_stack(thread, stacks->seen, stacks->seen_flags);
    }
    return 0;
}

/* The switch-out told no kernel frames; the place is one. It is that of this very wait. */
static int add_site(struct aggregate *aggregate, const char *site, struct thread *thread)
{
    stack_id stack = thread->totals.wait_stack;
    if (!site || stack != stack_user_part(aggregate, stack)) {
        return 0;
    }
    return stack_put_site(aggregate, stack, site, &thread->totals.wait_stack);
}

int wait_events_seen(struct aggregate *aggregate, const struct event *event)
{
    thread_id id;
    struct thread *thread =
        thread_table_get(aggregate->threads, event->pid, event->tid, event->time_ns, &id);
    if (!thread) {
        return -ENOMEM;
    }
    thread_table_seen_blocked(aggregate->threads, id);
    struct thread_totals *totals = &thread->totals;
    if (totals->phase != THREAD_PHASE_BLOCKED || totals->phase_since_ns > event->time_ns) {
        return 0;
    }
    if (totals->wait_object == 0) {
        totals->wait_object =
            wait_objects_intern(&aggregate->wait_objects, event->pid, event->wait_seen.object);
    }
    return thread->wait_stacks.is_exact ? add_site(aggregate, event->wait_seen.site, thread)
                                        : set_seen_stack(aggregate, event, thread);
}

void wait_events_sampled(struct thread *thread, stack_id stack)
{
    thread->wait_stacks.has_sampled = true;
    thread->wait_stacks.sampled = stack;
}

/* ---- who ends it ---- */

static waker_id waker_of(struct aggregate *aggregate, int64_t tid, uint64_t time_ns)
{
    if (tid <= 0) {
        return tid == EVENT_NO_WAKER ? WAKER_ID_NONE : WAKER_ID_UNKNOWN;
    }
    thread_id id = thread_table_find(aggregate->threads, tid, time_ns);
    return id != THREAD_ID_NONE ? id : wakers_outsider(&aggregate->wakers, tid);
}

static stack_id waker_stack_of(struct aggregate *aggregate, waker_id waker, uint32_t serial)
{
    if (serial == 0 || waker >= WAKER_ID_OUTSIDER) {
        return STACK_ID_EMPTY;
    }
    const struct thread *thread = thread_table_at(aggregate->threads, waker);
    return thread->wait_stacks.waker_serial == serial
               ? thread->wait_stacks.waker_stack
               : wakers_find_stack(&aggregate->wakers, waker, serial);
}

int wait_events_switch_in(struct aggregate *aggregate, const struct event *event, thread_id id)
{
    struct thread *thread = thread_table_at(aggregate->threads, id);
    if (event->switch_in.wake_ns == 0 && event->switch_in.waker_tid == EVENT_WAKER_UNKNOWN) {
        thread_table_seen_unwoken(aggregate->threads, id, event->time_ns);
    }
    bool waits = thread->totals.phase == THREAD_PHASE_BLOCKED ||
                 thread->totals.phase == THREAD_PHASE_UNKNOWN;
    struct wait_end told = {.waker = WAKER_ID_UNKNOWN};
    int r = 0;
    if (waits && event->stack.n_ips > 0) {
        struct thread_totals *totals = &thread->totals;
        bool is_without_user = totals->wait_stack == STACK_ID_EMPTY;
        r = stack_put_kernel(aggregate, totals->wait_stack, event->stack.ips, event->stack.n_ips,
                             &totals->wait_stack);
        totals->wait_flags |= r == 0 && is_without_user ? WAIT_FLAG_CUT : 0;
    }
    if (waits && (event->switch_in.wake_ns != 0 || event->switch_in.waker_tid != EVENT_NO_WAKER)) {
        uint64_t wake_ns = event->switch_in.wake_ns;
        told.wake_ns = wake_ns;
        told.waker =
            waker_of(aggregate, event->switch_in.waker_tid, wake_ns ? wake_ns : event->time_ns);
        told.waker_stack = waker_stack_of(aggregate, told.waker, event->switch_in.waker_serial);
    }
    thread_table_end_wait(aggregate->threads, id, event->time_ns, &told);
    return r;
}

/* Remembers from where the waker wakes others. */
static int note_waker_stack(struct aggregate *aggregate, const struct event *event, thread_id waker,
                            stack_id *ret_stack)
{
    struct thread *thread = thread_table_at(aggregate->threads, waker);
    uint32_t serial = event->wakeup.waker_serial;
    struct resolved_stack resolved;
    int r = stack_resolve(aggregate, thread->totals.pid, event->time_ns, &event->stack, &resolved);
    if (r != 0) {
        return r;
    }
    *ret_stack = resolved.stack;
    struct wait_stacks *stacks = &thread->wait_stacks;
    if (serial != 0) {
        if (stacks->waker_serial != 0) {
            /* Told long ago perhaps; who was woken from there may have to get its CPU yet. */
            wakers_remember(&aggregate->wakers, waker, stacks->waker_serial, stacks->waker_stack);
        }
        stacks->waker_serial = serial;
        stacks->waker_stack = resolved.stack;
        wakers_remember(&aggregate->wakers, waker, serial, resolved.stack);
    }
    return 0;
}

/* The thread was not asleep: no wait ends, but it was woken. */
static int count_idle_wakeup(struct aggregate *aggregate, const struct event *event, waker_id waker,
                             stack_id waker_stack)
{
    thread_id wakee;
    aggregate->n_wakeups++;
    if (!thread_table_get(aggregate->threads, event->pid, event->tid, event->time_ns, &wakee)) {
        return -ENOMEM;
    }
    uint32_t sum = wakers_find_sum(&aggregate->wakers, waker, wakee, waker_stack);
    if (sum == WAKE_SUM_NONE) {
        return -ENOSPC;
    }
    aggregate->wakers.sums[sum].n_wakeups++;
    return 0;
}

int wait_events_wakeup(struct aggregate *aggregate, const struct event *event)
{
    waker_id waker = waker_of(aggregate, event->wakeup.waker_tid, event->time_ns);
    stack_id waker_stack = waker_stack_of(aggregate, waker, event->wakeup.waker_serial);
    bool is_outsider = waker >= WAKER_ID_OUTSIDER && waker < WAKER_ID_NONE;
    int r = 0;
    if (waker < WAKER_ID_OUTSIDER && event->stack.n_ips > 0) {
        r = note_waker_stack(aggregate, event, waker, &waker_stack);
    } else if (is_outsider && event->wakeup.waker_name) {
        wakers_name_outsider(&aggregate->wakers, event->wakeup.waker_tid, event->wakeup.waker_name);
    }
    if (event->wakeup.ends_no_wait) {
        int r_count = count_idle_wakeup(aggregate, event, waker, waker_stack);
        r = r ? r : r_count;
    }
    return r;
}
