/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * aggregate_test - events made up for the tests of aggregate and query
 *
 * Shape:   tell_x() applies one event; random_life() plays a whole run in
 *          which CPUs, switches and samples fit together as on a real machine.
 * Owner:   the caller's aggregate. Threads: one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "aggregate/aggregate.h"

#define TEST_PID 100
#define TEST_MS UINT64_C(1000000)

static inline size_t tell(struct aggregate *aggregate, struct event event)
{
    return aggregate_apply(aggregate, &event, 1);
}

static inline void tell_sample(struct aggregate *aggregate, uint64_t time_ns, int64_t tid,
                               const uint64_t *ips, uint32_t n_ips)
{
    tell(aggregate, (struct event){
                        .kind = EVENT_SAMPLE,
                        .time_ns = time_ns,
                        .pid = TEST_PID,
                        .tid = tid,
                        .stack = {.ips = ips, .n_ips = n_ips},
                        .sample = {.period_ns = TEST_MS},
                    });
}

static inline void tell_in(struct aggregate *aggregate, uint64_t time_ns, int64_t tid)
{
    tell(aggregate,
         (struct event){.kind = EVENT_SWITCH_IN, .time_ns = time_ns, .pid = TEST_PID, .tid = tid});
}

static inline void tell_woken(struct aggregate *aggregate, uint64_t time_ns, int64_t tid,
                              uint64_t wake_ns, int64_t waker_tid)
{
    tell(aggregate, (struct event){.kind = EVENT_SWITCH_IN,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = tid,
                                   .switch_in = {.wake_ns = wake_ns, .waker_tid = waker_tid}});
}

static inline void tell_out(struct aggregate *aggregate, uint64_t time_ns, int64_t tid,
                            bool is_preempted)
{
    tell(aggregate, (struct event){.kind = EVENT_SWITCH_OUT,
                                   .time_ns = time_ns,
                                   .pid = TEST_PID,
                                   .tid = tid,
                                   .is_preempted = is_preempted,
                                   .switch_out = {.object = {.syscall = EVENT_NO_SYSCALL}}});
}

static inline void tell_thread(struct aggregate *aggregate, uint64_t time_ns, int64_t tid,
                               enum event_thread_change change, const char *name)
{
    tell(aggregate, (struct event){
                        .kind = EVENT_THREAD,
                        .time_ns = time_ns,
                        .pid = TEST_PID,
                        .tid = tid,
                        .thread = {.change = change, .name = name},
                    });
}

static inline void tell_image(struct aggregate *aggregate, uint64_t time_ns, int64_t pid,
                              struct event_image image)
{
    tell(aggregate,
         (struct event){
             .kind = EVENT_IMAGE, .time_ns = time_ns, .pid = pid, .tid = pid, .image = &image});
}

static inline void tell_mapped(struct aggregate *aggregate, uint64_t time_ns, uint64_t start_ip,
                               uint64_t end_ip, uint64_t file_offset, const char *path)
{
    tell_image(aggregate, time_ns, TEST_PID,
               (struct event_image){.change = EVENT_IMAGE_MAPPED,
                                    .start_ip = start_ip,
                                    .end_ip = end_ip,
                                    .file_offset = file_offset,
                                    .path = path,
                                    .inode = 1});
}

/* ---- a run by chance ---- */

struct random_life {
    uint64_t state; /* of the random numbers; the seed at first */
    uint64_t now_ns;
    unsigned int n_threads;  /* tids are TEST_PID … TEST_PID + n_threads - 1 */
    unsigned int sample_pct; /* of running time steps that are sampled */
    bool has_switches;
    bool has_wakers;    /* waits are told in full: on what, where, by whom they are ended */
    int64_t running[4]; /* by CPU */
    bool wants_cpu[64]; /* by tid - TEST_PID; meaningless while it runs */
    uint64_t n_samples;
};

static inline uint64_t random_life_below(struct random_life *life, uint64_t bound)
{
    life->state = life->state * 6364136223846793005u + 1442695040888963407u;
    return bound > 0 ? (life->state >> 20) % bound : 0;
}

/* One of 200 stacks of up to 12 frames out of few functions, recursion included; now and then none.
 */
static inline uint32_t random_life_stack(struct random_life *life, uint64_t *ret_ips)
{
    struct random_life stack = {.state = random_life_below(life, 200)};
    if (stack.state == 0) {
        return 0;
    }
    uint32_t n_ips = 1 + (uint32_t)random_life_below(&stack, 12);
    for (uint32_t i = 0; i < n_ips; i++) {
        ret_ips[i] = 0x10001 + 0x1000 * random_life_below(&stack, 8) + random_life_below(&stack, 4);
    }
    return n_ips;
}

/* A thread gets the CPU; if it has waited, one of the others has woken it, or somebody else. */
static inline void random_life_wake(struct random_life *life, struct aggregate *aggregate,
                                    int64_t tid)
{
    uint64_t ips[12];
    char name[16] = "waker ";
    name[6] = (char)('a' + random_life_below(life, 26));
    int64_t waker_tid = TEST_PID + (int64_t)random_life_below(life, 2 * life->n_threads);
    struct random_life few = {.state = random_life_below(life, 5)}; /* it wakes from few places */
    uint32_t n_ips = random_life_stack(&few, ips);
    uint64_t wake_ns = life->now_ns - random_life_below(life, 1000);
    tell(aggregate, (struct event){.kind = EVENT_WAKEUP,
                                   .time_ns = life->now_ns,
                                   .pid = TEST_PID,
                                   .tid = tid,
                                   .stack = {.ips = ips, .n_ips = n_ips},
                                   .wakeup = {.waker_tid = waker_tid,
                                              .waker_name = name,
                                              .waker_serial = 1 + n_ips,
                                              .ends_no_wait = life->wants_cpu[tid - TEST_PID]}});
    tell(aggregate,
         (struct event){
             .kind = EVENT_SWITCH_IN,
             .time_ns = life->now_ns,
             .pid = TEST_PID,
             .tid = tid,
             .switch_in = {.wake_ns = wake_ns, .waker_tid = waker_tid, .waker_serial = 1 + n_ips}});
}

/* A thread waits; where is told as it goes, or found by somebody who looks. */
static inline void random_life_wait(struct random_life *life, struct aggregate *aggregate,
                                    int64_t tid)
{
    static const char *const sites[] = {"do_poll", "futex_wait_queue", "pipe_read"};
    uint64_t ips[12];
    struct event event = {
        .kind = EVENT_SWITCH_OUT,
        .time_ns = life->now_ns,
        .pid = TEST_PID,
        .tid = tid,
        .switch_out = {.object = {.syscall = 202, .argument = random_life_below(life, 1000)}}};
    bool is_told = random_life_below(life, 2) == 0;
    if (is_told) {
        event.stack.n_ips = random_life_stack(life, ips);
        event.stack.ips = ips;
    }
    tell(aggregate, event);
    if (!is_told) {
        event.kind = EVENT_WAIT_SEEN;
        event.wait_seen.site = sites[random_life_below(life, 3)];
        event.wait_seen.object = (struct event_wait_object){.syscall = EVENT_NO_SYSCALL};
        tell(aggregate, event);
    }
}

static inline void random_life_step(struct random_life *life, struct aggregate *aggregate)
{
    /* Mostly microseconds; sometimes longer than any slice may be, with nothing happening. */
    life->now_ns += 1 + random_life_below(life, 200000);
    if (random_life_below(life, 400) == 0) {
        life->now_ns += random_life_below(life, 4000 * TEST_MS);
    }
    int64_t *slot = &life->running[random_life_below(life, 4)];
    if (*slot != 0 && random_life_below(life, 100) < life->sample_pct) {
        uint64_t ips[12];
        uint32_t n_ips = random_life_stack(life, ips);
        tell_sample(aggregate, life->now_ns, *slot, ips, n_ips);
        life->n_samples++;
        return;
    }
    if (*slot != 0) {
        bool is_preempted = random_life_below(life, 3) == 0;
        if (life->has_wakers && !is_preempted) {
            random_life_wait(life, aggregate, *slot);
        } else if (life->has_switches) {
            tell_out(aggregate, life->now_ns, *slot, is_preempted);
        }
        life->wants_cpu[*slot - TEST_PID] = is_preempted;
        *slot = 0;
        return;
    }
    int64_t tid = TEST_PID + (int64_t)random_life_below(life, life->n_threads);
    for (size_t cpu = 0; cpu < 4; cpu++) {
        if (life->running[cpu] == tid) {
            return;
        }
    }
    if (life->has_wakers) {
        random_life_wake(life, aggregate, tid);
    } else if (life->has_switches) {
        tell_in(aggregate, life->now_ns, tid);
    }
    *slot = tid;
}

/* Announces the threads, then lives n_steps. */
static inline void random_life_play(struct random_life *life, struct aggregate *aggregate,
                                    unsigned int n_steps)
{
    if (life->now_ns == 0) {
        life->now_ns = 1000 * TEST_MS;
        tell_mapped(aggregate, life->now_ns, 0x10000, 0x20000, 0, "/bin/life");
        for (unsigned int i = 0; i < life->n_threads; i++) {
            tell_thread(aggregate, life->now_ns, TEST_PID + i, EVENT_THREAD_PRESENT, "life");
        }
    }
    for (unsigned int i = 0; i < n_steps; i++) {
        random_life_step(life, aggregate);
    }
}
