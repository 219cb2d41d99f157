/* SPDX-License-Identifier: MIT */
#include "aggregate/thread_table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash_table.h"

/* A move by more than this is no lag of a record: something was missed, or the hypervisor took the
 * CPU. */
#define USUAL_LAG_MAX_NS 50000

/* How long after its end a thread may still wake others. */
#define LAST_WAKEUP_NS UINT64_C(1000000000)

struct thread_table {
    struct thread *threads;
    size_t n_threads, capacity;
    struct hash_table newest; /* tid → the id of its latest life */
    struct slice_sink sink;
    double usual_lag_ns; /* running mean of how late switch-ins are told */
    uint64_t n_missed_switches;
};

int thread_table_new(struct slice_sink sink, struct thread_table **ret_table)
{
    struct thread_table *table = calloc(1, sizeof(*table));
    if (!table) {
        return -ENOMEM;
    }
    hash_table_init(&table->newest);
    table->sink = sink;
    *ret_table = table;
    return 0;
}

struct thread_table *thread_table_free(struct thread_table *table)
{
    if (table) {
        free(table->threads);
        hash_table_release(&table->newest);
        free(table);
    }
    return NULL;
}

struct thread *thread_table_at(struct thread_table *table, thread_id id)
{
    return &table->threads[id];
}

size_t thread_table_count(const struct thread_table *table)
{
    return table->n_threads;
}

uint64_t thread_table_missed_switches(const struct thread_table *table)
{
    return table->n_missed_switches;
}

size_t thread_table_memory_bytes(const struct thread_table *table)
{
    return table->capacity * sizeof(*table->threads) + hash_table_memory_bytes(&table->newest);
}

static struct thread *add(struct thread_table *table, int64_t pid, int64_t tid, uint64_t start_ns,
                          thread_id *ret_id)
{
    if (table->n_threads == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        struct thread *threads = realloc(table->threads, capacity * sizeof(*threads));
        if (!threads) {
            return NULL;
        }
        table->threads = threads;
        table->capacity = capacity;
    }
    thread_id id = (thread_id)table->n_threads;
    uint32_t earlier = hash_table_find(&table->newest, (uint64_t)tid);
    if (hash_table_set(&table->newest, (uint64_t)tid, id) != 0) {
        return NULL;
    }
    struct thread *thread = &table->threads[table->n_threads++];
    *thread = (struct thread){
        .totals = {.pid = pid,
                   .tid = tid,
                   .name = "",
                   .phase = THREAD_PHASE_UNKNOWN,
                   .start_ns = start_ns,
                   .phase_since_ns = start_ns},
        .earlier = earlier == HASH_TABLE_NONE ? THREAD_ID_NONE : earlier,
    };
    *ret_id = id;
    return thread;
}

struct thread *thread_table_get(struct thread_table *table, int64_t pid, int64_t tid,
                                uint64_t start_ns, thread_id *ret_id)
{
    uint32_t id = hash_table_find(&table->newest, (uint64_t)tid);
    if (id == HASH_TABLE_NONE) {
        return add(table, pid, tid, start_ns, ret_id);
    }
    *ret_id = id;
    return &table->threads[id];
}

int thread_table_append(struct thread_table *table, const struct thread_totals *totals)
{
    thread_id id;
    struct thread *thread = add(table, totals->pid, totals->tid, totals->start_ns, &id);
    if (!thread) {
        return -ENOMEM;
    }
    thread->totals = *totals;
    thread->has_events = true;
    /* From these, snapshots know since when a thread that runs had waited for the CPU. */
    thread->gap_before = GAP_RUNNABLE;
    thread->gap_start_ns = totals->waited_since_ns;
    return 0;
}

void thread_table_set_missed_switches(struct thread_table *table, uint64_t n_missed_switches)
{
    table->n_missed_switches = n_missed_switches;
}

thread_id thread_table_find(const struct thread_table *table, int64_t tid, uint64_t time_ns)
{
    uint32_t id = hash_table_find(&table->newest, (uint64_t)tid);
    if (id == HASH_TABLE_NONE) {
        return THREAD_ID_NONE;
    }
    const struct thread_totals *totals = &table->threads[id].totals;
    bool is_gone = totals->end_ns != 0 && totals->end_ns + LAST_WAKEUP_NS < time_ns;
    return is_gone ? THREAD_ID_NONE : id;
}

thread_id thread_table_find_life(const struct thread_table *table, int64_t tid, uint64_t time_ns)
{
    uint32_t newest = hash_table_find(&table->newest, (uint64_t)tid);
    thread_id id = newest == HASH_TABLE_NONE ? THREAD_ID_NONE : newest;
    while (id != THREAD_ID_NONE && table->threads[id].totals.start_ns > time_ns &&
           table->threads[id].earlier != THREAD_ID_NONE) {
        id = table->threads[id].earlier;
    }
    return id;
}

/* The wait before the slice that is open will not change any more. */
static void finish_wait(struct thread_table *table, struct thread *thread)
{
    if (thread->ended.is_there) {
        thread->ended.is_there = false;
        if (table->sink.on_wait_final) {
            table->sink.on_wait_final(table->sink.userdata, &thread->ended);
        }
    }
}

static void forget_wait(struct thread_totals *totals)
{
    totals->wait_stack = STACK_ID_EMPTY;
    totals->wait_object = 0;
    totals->wait_flags = 0;
}

/* Ends the phase at time_ns and books its length. */
static void close_phase(struct thread_table *table, thread_id id, uint64_t time_ns, uint16_t cpu,
                        enum gap_kind after)
{
    struct thread *thread = &table->threads[id];
    struct thread_totals *totals = &thread->totals;
    uint64_t since_ns = totals->phase_since_ns;
    uint64_t length_ns = time_ns > since_ns ? time_ns - since_ns : 0;
    if (!table->sink.on_slice) {
        totals->phase_since_ns = time_ns;
        return;
    }
    switch (totals->phase) {
    case THREAD_PHASE_RUNNING: {
        const struct stored_slice slice = {
            .start_ns = since_ns,
            .end_ns = since_ns + length_ns,
            .thread = id,
            .cpu = cpu,
            .before = (uint8_t)thread->gap_before,
            .after = (uint8_t)after,
        };
        totals->cpu_ns += length_ns;
        thread->stored_ns += length_ns;
        thread->gap_before = GAP_NONE;
        finish_wait(table, thread);
        table->sink.on_slice(table->sink.userdata, &slice);
        break;
    }
    case THREAD_PHASE_BLOCKED:
        totals->blocked_ns += length_ns;
        break;
    case THREAD_PHASE_RUNNABLE:
        totals->runnable_ns += length_ns;
        break;
    case THREAD_PHASE_UNKNOWN:
    case THREAD_PHASE_GONE:
        break;
    }
    totals->phase_since_ns = time_ns;
}

/* A wait for a CPU has no slice of its own to cut: one of no length marks the place. */
static void cut_wait(struct thread_table *table, thread_id id, uint64_t now_ns)
{
    const struct stored_slice mark = {
        .start_ns = now_ns,
        .end_ns = now_ns,
        .thread = id,
        .before = GAP_RUNNABLE,
        .after = GAP_NONE,
    };
    close_phase(table, id, now_ns, 0, GAP_NONE);
    if (table->sink.on_slice) {
        table->sink.on_slice(table->sink.userdata, &mark);
    }
}

static enum gap_kind gap_of(enum thread_phase phase)
{
    switch (phase) {
    case THREAD_PHASE_BLOCKED:
        return GAP_BLOCKED;
    case THREAD_PHASE_RUNNABLE:
        return GAP_RUNNABLE;
    default:
        return GAP_NONE;
    }
}

int thread_table_born(struct thread_table *table, int64_t pid, int64_t tid, uint64_t time_ns)
{
    uint32_t known = hash_table_find(&table->newest, (uint64_t)tid);
    thread_id id = known;
    if (known != HASH_TABLE_NONE && !table->threads[known].has_events) {
        /* Listed at attach an instant before the record of its birth was read. */
        table->threads[known].totals.start_ns = time_ns;
        table->threads[known].totals.phase_since_ns = time_ns;
    } else {
        if (known != HASH_TABLE_NONE && table->threads[known].totals.end_ns == 0) {
            thread_table_gone(table, known, time_ns);
        }
        if (!add(table, pid, tid, time_ns, &id)) {
            return -ENOMEM;
        }
    }
    struct thread *thread = &table->threads[id];
    thread->has_events = true;
    thread->has_cpu_time = true;
    /* A newborn waits for its first turn on a CPU. */
    thread->totals.phase = THREAD_PHASE_RUNNABLE;
    forget_wait(&thread->totals);
    return 0;
}

/* Ends the wait at end_ns and splits it where the thread was woken. */
static void split_wait(struct ended_wait *ended, uint64_t end_ns)
{
    struct stored_wait *wait = &ended->wait;
    wait->end_ns = end_ns;
    wait->wake_ns = end_ns;
    if (ended->told_wake_ns != 0 && ended->told_wake_ns < end_ns) {
        bool is_before = ended->told_wake_ns < wait->start_ns;
        wait->wake_ns = is_before ? wait->start_ns : ended->told_wake_ns;
    }
}

/* The thread was BLOCKED and is so no longer; books both parts of that time. */
static void leave_wait(struct thread_table *table, thread_id id, uint64_t time_ns,
                       const struct wait_end *told)
{
    struct thread *thread = &table->threads[id];
    struct thread_totals *totals = &thread->totals;
    struct ended_wait *ended = &thread->ended;
    *ended = (struct ended_wait){
        .is_there = true,
        .told_wake_ns = told->wake_ns,
        .wait = {.start_ns = totals->phase_since_ns,
                 .thread = id,
                 .stack = totals->wait_stack,
                 .waker = told->waker,
                 .waker_stack = told->waker_stack,
                 .object = totals->wait_object,
                 .flags = totals->wait_flags},
    };
    split_wait(ended, time_ns);
    totals->blocked_ns += ended->wait.wake_ns - ended->wait.start_ns;
    totals->runnable_ns += ended->wait.end_ns - ended->wait.wake_ns;
    totals->phase_since_ns = time_ns;
    if (table->sink.on_wait_ended) {
        table->sink.on_wait_ended(table->sink.userdata, ended);
    }
}

/* The open slice begins at start_ns; the gap before it ends there. */
static void move_start(struct thread_table *table, struct thread *thread, uint64_t start_ns)
{
    struct thread_totals *totals = &thread->totals;
    struct ended_wait *ended = &thread->ended;
    if (thread->gap_before == GAP_RUNNABLE) {
        /* Wraps where the gap shrinks, as it should. */
        totals->runnable_ns += start_ns - totals->phase_since_ns;
    } else if (ended->is_there) {
        /* What was woken already is cut first, see split_wait(). */
        const struct stored_wait was = ended->wait;
        split_wait(ended, start_ns);
        uint64_t more_blocked_ns = ended->wait.wake_ns - was.wake_ns;
        uint64_t more_runnable_ns = start_ns - was.end_ns - more_blocked_ns;
        totals->blocked_ns += more_blocked_ns;
        totals->runnable_ns += more_runnable_ns;
        if (table->sink.on_wait_moved) {
            table->sink.on_wait_moved(table->sink.userdata, ended, more_blocked_ns,
                                      more_runnable_ns);
        }
    }
    totals->phase_since_ns = start_ns;
}

/* Not once a piece of the slice is stored, or the wait before it. */
static bool can_move_start(const struct thread *thread)
{
    bool was_stored = thread->gap_before == GAP_NONE ||
                      (thread->gap_before == GAP_BLOCKED && !thread->ended.is_there);
    return !was_stored && thread->totals.phase_since_ns == thread->gap_end_ns;
}

/* Moves the start of the slice that is open so that it is as long as the kernel says. */
static void adjust_start(struct thread_table *table, struct thread *thread, uint64_t end_ns,
                         uint64_t length_ns)
{
    struct thread_totals *totals = &thread->totals;
    uint64_t left_ns = length_ns > thread->stored_ns ? length_ns - thread->stored_ns : 0;
    uint64_t start_ns = end_ns > left_ns ? end_ns - left_ns : 0;
    if (!can_move_start(thread)) {
        return; /* the start has been told already; what is off by now is a few microseconds of a
                   long slice */
    }
    if (start_ns < thread->gap_start_ns) {
        start_ns = thread->gap_start_ns;
    }
    if (end_ns - start_ns > STORED_SLICE_MAX_NS) {
        start_ns = end_ns - STORED_SLICE_MAX_NS; /* no slice that was missed is as long as that */
    }
    int64_t moved_ns = (int64_t)(start_ns - totals->phase_since_ns);
    if (moved_ns > -USUAL_LAG_MAX_NS && moved_ns < USUAL_LAG_MAX_NS) {
        table->usual_lag_ns += (-(double)moved_ns - table->usual_lag_ns) / 64;
    }
    move_start(table, thread, start_ns);
}

/* The last slice of a thread has no switch-out that tells its length: its start is moved by what is
 * usual. */
static void adjust_last(struct thread_table *table, struct thread *thread)
{
    uint64_t since_ns = thread->totals.phase_since_ns;
    if (!can_move_start(thread) || !thread->has_cpu_time || table->usual_lag_ns <= 0) {
        return;
    }
    uint64_t start_ns = since_ns - (uint64_t)table->usual_lag_ns;
    move_start(table, thread, start_ns < thread->gap_start_ns ? thread->gap_start_ns : start_ns);
}

void thread_table_gone(struct thread_table *table, thread_id id, uint64_t time_ns)
{
    struct thread *thread = &table->threads[id];
    if (thread->totals.phase == THREAD_PHASE_UNKNOWN) {
        thread->totals.phase = THREAD_PHASE_BLOCKED; /* never seen on a CPU */
    }
    if (thread->totals.phase == THREAD_PHASE_RUNNING) {
        adjust_last(table, thread);
    }
    if (thread->totals.phase == THREAD_PHASE_RUNNABLE) {
        cut_wait(table, id, time_ns); /* its last switch-in was not told */
    } else if (thread->totals.phase == THREAD_PHASE_BLOCKED && table->sink.on_slice &&
               time_ns > thread->totals.phase_since_ns) {
        const struct wait_end nobody = {.waker = WAKER_ID_UNKNOWN};
        leave_wait(table, id, time_ns, &nobody);
        finish_wait(table, thread);
    } else {
        close_phase(table, id, time_ns, 0, GAP_NONE);
    }
    thread->has_events = true;
    forget_wait(&thread->totals);
    thread->totals.phase = THREAD_PHASE_GONE;
    thread->totals.end_ns = time_ns;
}

int thread_table_exec(struct thread_table *table, int64_t pid, int64_t tid, uint64_t time_ns)
{
    thread_id id = THREAD_ID_NONE;
    for (size_t i = 0; i < table->n_threads; i++) {
        struct thread_totals *totals = &table->threads[i].totals;
        if (totals->pid != pid || totals->phase == THREAD_PHASE_GONE) {
            continue;
        }
        if (totals->tid == tid) {
            id = (thread_id)i;
        } else {
            thread_table_gone(table, (thread_id)i, time_ns);
        }
    }
    if (id != THREAD_ID_NONE) {
        return 0;
    }
    /* Another thread than the first one called exec: the first is gone, and its number lives on. */
    struct thread *thread = add(table, pid, tid, time_ns, &id);
    if (!thread) {
        return -ENOMEM;
    }
    thread->has_events = true;
    thread->totals.phase = THREAD_PHASE_RUNNING;
    return 0;
}

void thread_table_switch_in(struct thread_table *table, thread_id id, uint64_t time_ns)
{
    const struct wait_end nobody = {.waker = WAKER_ID_UNKNOWN};
    thread_table_end_wait(table, id, time_ns, &nobody);
}

void thread_table_end_wait(struct thread_table *table, thread_id id, uint64_t time_ns,
                           const struct wait_end *told)
{
    struct thread *thread = &table->threads[id];
    struct thread_totals *totals = &thread->totals;
    thread->has_events = true;
    if (totals->phase == THREAD_PHASE_RUNNING || totals->phase == THREAD_PHASE_GONE) {
        return; /* the switch-out was lost, or the first instant was announced twice */
    }
    if (totals->phase == THREAD_PHASE_UNKNOWN && time_ns > totals->start_ns) {
        totals->phase = THREAD_PHASE_BLOCKED; /* not on a CPU since the recording began */
    }
    thread->gap_before = gap_of(totals->phase);
    thread->gap_start_ns = totals->phase_since_ns;
    thread->gap_end_ns = time_ns;
    thread->stored_ns = 0;
    thread->wait_stacks.has_sampled = false;
    if (totals->phase == THREAD_PHASE_BLOCKED && table->sink.on_slice) {
        if (time_ns < totals->phase_since_ns) {
            time_ns = totals->phase_since_ns; /* out of order: no wait is shorter than nothing */
            thread->gap_end_ns = time_ns;
        }
        leave_wait(table, id, time_ns, told);
    } else {
        close_phase(table, id, time_ns, 0, GAP_NONE);
    }
    totals->phase = THREAD_PHASE_RUNNING;
    forget_wait(totals);
}

void thread_table_seen_blocked(struct thread_table *table, thread_id id)
{
    struct thread_totals *totals = &table->threads[id].totals;
    if (totals->phase == THREAD_PHASE_UNKNOWN) {
        totals->phase = THREAD_PHASE_BLOCKED; /* or its switch-out would have been told */
    }
}

void thread_table_switch_out(struct thread_table *table, thread_id id, uint64_t time_ns,
                             uint16_t cpu, bool is_preempted, uint64_t cpu_time_ns)
{
    struct thread *thread = &table->threads[id];
    struct thread_totals *totals = &thread->totals;
    thread->has_events = true;
    if (totals->phase == THREAD_PHASE_GONE) {
        return; /* its last steps, which the kernel's account of it leaves out as well */
    }
    if (totals->phase == THREAD_PHASE_BLOCKED || totals->phase == THREAD_PHASE_RUNNABLE) {
        /* Its switch-in could not be observed; where the kernel's account says when it was, it is
         * set right below. */
        table->n_missed_switches++;
        thread_table_switch_in(table, id, time_ns);
    }
    if (totals->phase == THREAD_PHASE_UNKNOWN) {
        totals->phase = THREAD_PHASE_RUNNING; /* it has run since the recording began */
    } else if (totals->phase == THREAD_PHASE_RUNNING && thread->has_cpu_time &&
               cpu_time_ns > thread->cpu_time_ns) {
        adjust_start(table, thread, time_ns, cpu_time_ns - thread->cpu_time_ns);
    }
    thread->cpu_time_ns = cpu_time_ns;
    thread->has_cpu_time = cpu_time_ns > 0;
    close_phase(table, id, time_ns, cpu, is_preempted ? GAP_RUNNABLE : GAP_BLOCKED);
    if (is_preempted) {
        totals->n_involuntary++;
        totals->phase = THREAD_PHASE_RUNNABLE;
    } else {
        totals->n_voluntary++;
        totals->phase = THREAD_PHASE_BLOCKED;
        forget_wait(totals);
        thread->wait_stacks.is_exact = false;
    }
}

void thread_table_seen_running(struct thread_table *table, thread_id id, uint64_t time_ns)
{
    struct thread *thread = &table->threads[id];
    thread->has_events = true;
    switch (thread->totals.phase) {
    case THREAD_PHASE_UNKNOWN:
        thread->totals.phase = THREAD_PHASE_RUNNING;
        break;
    case THREAD_PHASE_BLOCKED:
    case THREAD_PHASE_RUNNABLE:
        /* Its switch-in could not be observed; it runs now at the latest. */
        table->n_missed_switches++;
        thread_table_switch_in(table, id, time_ns);
        break;
    case THREAD_PHASE_RUNNING:
    case THREAD_PHASE_GONE:
        break;
    }
}

void thread_table_seen_unwoken(struct thread_table *table, thread_id id, uint64_t time_ns)
{
    struct thread_totals *totals = &table->threads[id].totals;
    if (totals->phase == THREAD_PHASE_UNKNOWN && time_ns > totals->start_ns &&
        time_ns - totals->start_ns < STORED_SLICE_MAX_NS / 2) {
        totals->phase = THREAD_PHASE_RUNNABLE;
    }
}

bool thread_table_checkpoint(struct thread_table *table, uint64_t now_ns)
{
    bool has_open = false;
    for (size_t i = 0; table->sink.on_slice && i < table->n_threads; i++) {
        const struct thread_totals *totals = &table->threads[i].totals;
        bool is_long = now_ns > totals->phase_since_ns + STORED_SLICE_MAX_NS / 2;
        if (totals->phase == THREAD_PHASE_RUNNING) {
            has_open = true;
            if (is_long) {
                close_phase(table, (thread_id)i, now_ns, 0, GAP_NONE);
            }
        } else if (totals->phase == THREAD_PHASE_RUNNABLE) {
            has_open = true;
            if (is_long) {
                cut_wait(table, (thread_id)i, now_ns);
            }
        }
    }
    return has_open;
}

void thread_table_end(struct thread_table *table, uint64_t end_ns)
{
    for (size_t i = 0; i < table->n_threads; i++) {
        struct thread_totals *totals = &table->threads[i].totals;
        if (totals->phase == THREAD_PHASE_UNKNOWN) {
            totals->phase = THREAD_PHASE_BLOCKED; /* never seen on a CPU */
        }
        if (totals->phase == THREAD_PHASE_GONE) {
            continue;
        }
        uint64_t since_ns = totals->phase_since_ns;
        close_phase(table, (thread_id)i, end_ns, 0, GAP_NONE);
        if (totals->phase != THREAD_PHASE_RUNNING) {
            totals->phase_since_ns = since_ns; /* booked, and still to be told when it began */
        }
    }
}
