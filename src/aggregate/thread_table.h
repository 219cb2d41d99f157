/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * thread_table - the threads of a run and the phase that each of them is in
 *
 * Turns switches into slices of CPU time and gaps between them. A thread_id
 * names one life of one thread; the same tid born again gets a new one.
 *
 * Owner:   the table. Threads: the aggregator's.
 * Tests:   thread_table_test.c
 */

#include "aggregate/pending_samples.h"
#include "aggregate/snapshot.h"
#include "base/cleanup.h"

struct thread_table;

/* What a switch-in tells of the wait that it ends. */
struct wait_end {
    uint64_t wake_ns; /* 0: not told */
    waker_id waker;
    stack_id waker_stack;
};

/* The wait before the slice that is open. Until that is stored, its start may still move, and with
 * it the end of the wait, unless the listener has taken it away (is_there = false) before. */
struct ended_wait {
    bool is_there;
    uint64_t told_wake_ns; /* 0: not told */
    /* Kept by the listener: where it is counted (wait_log.h, wakers.h), and where it stays. */
    uint32_t wait_sum, wake_sum;
    uint64_t ticket;
    struct stored_wait wait;
};

/* What is known of where a thread waits, beside totals.wait_…; kept by wait_events. */
struct wait_stacks {
    bool is_exact; /* the stack of the wait that lasts was told by the switch-out */
    bool has_seen, has_sampled;
    uint8_t serial_flags, seen_flags; /* WAIT_FLAG_* */
    uint32_t serial;                  /* the last that came with a stack */
    stack_id serial_stack;
    stack_id seen;         /* where it was when it was looked at last */
    stack_id sampled;      /* the last sample in the slice that is open */
    uint32_t waker_serial; /* as serial, of the stacks that it wakes others from */
    stack_id waker_stack;
};

struct thread {
    struct thread_totals totals;
    enum gap_kind gap_before; /* what preceded the slice that is open */
    uint64_t gap_end_ns;      /* when that slice began, as the switch-in said */
    uint64_t gap_start_ns;    /* when what preceded it began */
    uint64_t stored_ns;       /* of that slice, stored already: by checkpoints, or at its end */
    pending_ticket newest_pending; /* of the samples in that slice */
    uint64_t cpu_time_ns;          /* the kernel's own total at its last switch-out */
    bool has_cpu_time;             /* … is known; of a newborn it is 0 */
    bool has_events;               /* anything but its announcement */
    thread_id earlier;             /* the one that had its tid before; THREAD_ID_NONE: none */
    struct ended_wait ended;
    struct wait_stacks wait_stacks;
};

/* Where closed slices go, in the order of their ends. */
struct slice_sink {
    void *userdata;
    /* NULL: nobody tells of switches, and no time is booked. */
    void (*on_slice)(void *userdata, const struct stored_slice *slice);
    /* A wait has ended, its parts have grown (or shrunk: they wrap) by so much, its end is final.
     * All of them NULL: nobody listens. */
    void (*on_wait_ended)(void *userdata, struct ended_wait *ended);
    void (*on_wait_moved)(void *userdata, const struct ended_wait *ended, uint64_t more_blocked_ns,
                          uint64_t more_runnable_ns);
    void (*on_wait_final)(void *userdata, const struct ended_wait *ended);
};

int thread_table_new(struct slice_sink sink, struct thread_table **ret_table);
struct thread_table *thread_table_free(struct thread_table *table);
DEFINE_FREEP(thread_table);

/* The living thread with this tid; created (as if present since start_ns) where it is unknown.
 * NULL: no memory. */
struct thread *thread_table_get(struct thread_table *table, int64_t pid, int64_t tid,
                                uint64_t start_ns, thread_id *ret_id);
struct thread *thread_table_at(struct thread_table *table, thread_id id);

/* The thread that had this tid at time_ns, or had it until just before: one that dies still wakes
 * whoever waits for its end. THREAD_ID_NONE: none of the run's. */
thread_id thread_table_find(const struct thread_table *table, int64_t tid, uint64_t time_ns);
/* The latest of all that had this tid which was born until time_ns; where none was, the first. It
 * can have ended long before. */
thread_id thread_table_find_life(const struct thread_table *table, int64_t tid, uint64_t time_ns);
size_t thread_table_count(const struct thread_table *table);
/* Switch-ins that were never told and had to be inferred. */
uint64_t thread_table_missed_switches(const struct thread_table *table);
/* Puts a thread of a run that is over behind the others, with what a snapshot has told of it. */
int thread_table_append(struct thread_table *table, const struct thread_totals *totals);
void thread_table_set_missed_switches(struct thread_table *table, uint64_t n_missed_switches);
size_t thread_table_memory_bytes(const struct thread_table *table);

/* Births; a living namesake is taken for gone, unless nothing has been heard of it yet. */
int thread_table_born(struct thread_table *table, int64_t pid, int64_t tid, uint64_t time_ns);
void thread_table_gone(struct thread_table *table, thread_id id, uint64_t time_ns);
/* The process starts over with one thread, `tid`, which runs. */
int thread_table_exec(struct thread_table *table, int64_t pid, int64_t tid, uint64_t time_ns);

/*
 * Scheduler events of one thread. `cpu` is where it ran. cpu_time_ns: the
 * kernel's own total of its CPU time, 0 where it is not told. The kernel's
 * account of a slice begins some microseconds before the switch-in can be
 * observed; with totals of two successive switch-outs the slice is as long as
 * the kernel says, and what it gains is taken from the gap before it, so that
 * running and waiting still add up to wall time.
 */
void thread_table_switch_in(struct thread_table *table, thread_id id, uint64_t time_ns);
/* As thread_table_switch_in(), by somebody who knows more of the wait that ends, if one does. */
void thread_table_end_wait(struct thread_table *table, thread_id id, uint64_t time_ns,
                           const struct wait_end *told);
void thread_table_switch_out(struct thread_table *table, thread_id id, uint64_t time_ns,
                             uint16_t cpu, bool is_preempted, uint64_t cpu_time_ns);
/* Somebody has looked at the thread: it is blocked. */
void thread_table_seen_blocked(struct thread_table *table, thread_id id);
/* It gets a CPU, and all wakeups are told, and none of it was: if nothing else is known of it, it
 * has wanted to run since the recording began. */
void thread_table_seen_unwoken(struct thread_table *table, thread_id id, uint64_t time_ns);

/* A sample says that the thread runs. */
void thread_table_seen_running(struct thread_table *table, thread_id id, uint64_t time_ns);

/*
 * Cuts what lasts already (a slice, or the wait for a CPU) at now_ns, so that
 * no piece gets longer than STORED_SLICE_MAX_NS. Returns whether any thread
 * runs or wants to.
 */
bool thread_table_checkpoint(struct thread_table *table, uint64_t now_ns);

/* The run is over: everybody's phase ends. */
void thread_table_end(struct thread_table *table, uint64_t end_ns);
