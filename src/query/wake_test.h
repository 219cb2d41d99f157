/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wake_test - threads that wake each other, made up for the tests of query
 *
 * Shape:   tell_x() tells one thing; random_wakes_play() a run by chance in
 *          which every thread is woken by one of the others, by a timer, by a
 *          stranger or by nobody knows whom.
 * Owner:   the caller's scene. Threads: one.
 */

#include "query/wait_test.h"

#define WAKE_STRANGER_TID 999999
#define RANDOM_WAKES_THREADS 12

/* The waker's stack, for the switch-in that names this serial. */
static inline void tell_wakeup(const struct scene *scene, uint64_t time_ns, int64_t tid,
                               int64_t waker_tid, uint32_t serial, const uint64_t *ips,
                               uint32_t n_ips)
{
    tell(scene->aggregate,
         (struct event){
             .kind = EVENT_WAKEUP,
             .time_ns = time_ns,
             .pid = TEST_PID,
             .tid = tid,
             .stack = {.ips = ips,
                       .n_ips = n_ips,
                       .source = EVENT_STACK_WALKED,
                       .end = EVENT_STACK_END_COMPLETE},
             .wakeup = {.waker_tid = waker_tid, .waker_name = "stranger", .waker_serial = serial},
         });
}

/* It runs again, since `waker_tid` woke it at wake_ns. */
static inline void tell_woken_by(const struct scene *scene, uint64_t time_ns, int64_t tid,
                                 uint64_t wake_ns, int64_t waker_tid, uint32_t serial)
{
    tell(scene->aggregate,
         (struct event){
             .kind = EVENT_SWITCH_IN,
             .time_ns = time_ns,
             .pid = TEST_PID,
             .tid = tid,
             .switch_in = {.wake_ns = wake_ns, .waker_tid = waker_tid, .waker_serial = serial},
         });
}

static inline void tell_made(const struct scene *scene, uint64_t time_ns, int64_t tid,
                             int64_t creator_tid, const char *name)
{
    tell(scene->aggregate, (struct event){
                               .kind = EVENT_THREAD,
                               .time_ns = time_ns,
                               .pid = TEST_PID,
                               .tid = tid,
                               .thread = {.change = EVENT_THREAD_BORN, .creator_tid = creator_tid},
                           });
    tell_thread(scene->aggregate, time_ns, tid, EVENT_THREAD_NAMED, name);
}

/* A stack to wait in, by the reason that is found in it. */
static inline uint32_t stack_to_wait_in(enum wait_reason reason, uint64_t ret_ips[2])
{
    ret_ips[0] = reason == WAIT_REASON_READY  ? place_in(epoll_wait, 1)
                 : reason == WAIT_REASON_LOCK ? place_in(__lll_lock_wait, 1)
                                              : place_in(__GI___clock_nanosleep, 1);
    ret_ips[1] = place_in(run_worker, 2);
    return 2;
}

/* ---- a run by chance ---- */

struct random_wakes {
    struct random_life chance;
    uint64_t now_ns;
    int64_t n_threads; /* tids from TEST_PID on */
    enum { WAKES_RUN, WAKES_WANT, WAKES_WAIT } phases[RANDOM_WAKES_THREADS];
    uint64_t since_ns[RANDOM_WAKES_THREADS];
    uint64_t n_waits; /* that have ended */
};

static inline int64_t random_wakes_waker(struct random_wakes *wakes, int64_t wakee)
{
    switch (random_life_below(&wakes->chance, 8)) {
    case 0:
        return EVENT_NO_WAKER;
    case 1:
        return EVENT_WAKER_UNKNOWN;
    case 2:
        return WAKE_STRANGER_TID;
    default:
        break;
    }
    for (int64_t i = 1; i < wakes->n_threads; i++) {
        int64_t at = (wakee + i) % wakes->n_threads;
        if (wakes->phases[at] == WAKES_RUN) {
            return TEST_PID + at;
        }
    }
    return EVENT_NO_WAKER;
}

static inline void random_wakes_step(const struct scene *scene, struct random_wakes *wakes)
{
    wakes->now_ns += 1 + random_life_below(&wakes->chance, 200000);
    if (random_life_below(&wakes->chance, 300) == 0) {
        wakes->now_ns += random_life_below(&wakes->chance, 3000 * TEST_MS);
    }
    int64_t at = (int64_t)random_life_below(&wakes->chance, (uint64_t)wakes->n_threads);
    int64_t tid = TEST_PID + at;
    uint64_t ips[2];
    static const enum wait_reason reasons[] = {WAIT_REASON_READY, WAIT_REASON_LOCK,
                                               WAIT_REASON_SLEEP};
    uint32_t n_ips = stack_to_wait_in(reasons[random_life_below(&wakes->chance, 3)], ips);
    if (wakes->phases[at] == WAKES_RUN) {
        bool is_preempted = random_life_below(&wakes->chance, 4) == 0;
        wakes->phases[at] = is_preempted ? WAKES_WANT : WAKES_WAIT;
        if (is_preempted) {
            tell_out(scene->aggregate, wakes->now_ns, tid, true);
        } else {
            tell_block(scene, wakes->now_ns, tid, ips, n_ips, no_object());
        }
    } else if (wakes->phases[at] == WAKES_WANT) {
        wakes->phases[at] = WAKES_RUN;
        tell_in(scene->aggregate, wakes->now_ns, tid);
    } else {
        uint64_t length_ns = wakes->now_ns - wakes->since_ns[at];
        uint64_t wake_ns = wakes->since_ns[at] + random_life_below(&wakes->chance, length_ns + 1);
        int64_t waker = random_wakes_waker(wakes, at);
        wakes->phases[at] = WAKES_RUN;
        wakes->n_waits++;
        tell_woken_by(scene, wakes->now_ns, tid, waker == EVENT_WAKER_UNKNOWN ? 0 : wake_ns, waker,
                      0);
    }
    wakes->since_ns[at] = wakes->now_ns;
}

/* Threads are there from the start, and run; half of them were made by the one before. */
static inline void random_wakes_play(const struct scene *scene, struct random_wakes *wakes,
                                     uint64_t seed, unsigned int n_steps)
{
    *wakes = (struct random_wakes){
        .chance = {.state = seed},
        .now_ns = 1000 * TEST_MS,
        .n_threads = RANDOM_WAKES_THREADS,
    };
    for (int64_t i = 0; i < wakes->n_threads; i++) {
        wakes->now_ns += 1000;
        wakes->since_ns[i] = wakes->now_ns;
        if (i % 2) {
            tell_made(scene, wakes->now_ns, TEST_PID + i, TEST_PID + i - 1, "made");
        } else {
            tell_thread(scene->aggregate, wakes->now_ns, TEST_PID + i, EVENT_THREAD_PRESENT,
                        "found");
        }
        tell_in(scene->aggregate, wakes->now_ns, TEST_PID + i);
    }
    for (unsigned int i = 0; i < n_steps; i++) {
        random_wakes_step(scene, wakes);
    }
}
