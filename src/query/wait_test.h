/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_test - a made-up run whose threads wait, for the tests of query
 *
 * Shape:   functions of this test program that have the names of those that programs wait in;
 *          kernel places are told by name, so that no test needs the host's kernel.
 * Owner:   constants. Threads: one.
 */

#include <string.h>
#include <sys/syscall.h>

#include "model/wait_reason.h"
#include "query/query_test.h"

TEST_FUNCTION(epoll_wait)
TEST_FUNCTION(__lll_lock_wait)
TEST_FUNCTION(__GI___clock_nanosleep)

#define N_IPS(array) ((uint32_t)(sizeof(array) / sizeof(*(array))))

/* It is born, named and runs. */
static inline void tell_start(const struct scene *scene, uint64_t time_ns, int64_t tid,
                              const char *name)
{
    tell_thread(scene->aggregate, time_ns, tid, EVENT_THREAD_BORN, NULL);
    tell_thread(scene->aggregate, time_ns, tid, EVENT_THREAD_NAMED, name);
    tell_in(scene->aggregate, time_ns, tid);
}

/* The thread gives its CPU up to wait. */
static inline void tell_block(const struct scene *scene, uint64_t time_ns, int64_t tid,
                              const uint64_t *ips, uint32_t n_ips, struct event_wait_object object)
{
    tell(scene->aggregate, (struct event){
                               .kind = EVENT_SWITCH_OUT,
                               .time_ns = time_ns,
                               .pid = TEST_PID,
                               .tid = tid,
                               .stack = {.ips = ips,
                                         .n_ips = n_ips,
                                         .source = EVENT_STACK_WALKED,
                                         .end = EVENT_STACK_END_COMPLETE},
                               .switch_out = {.object = object},
                           });
}

/* It was found there; `site` may be NULL. */
static inline void tell_seen(const struct scene *scene, uint64_t time_ns, int64_t tid,
                             const char *site, struct event_wait_object object)
{
    tell(scene->aggregate, (struct event){
                               .kind = EVENT_WAIT_SEEN,
                               .time_ns = time_ns,
                               .pid = TEST_PID,
                               .tid = tid,
                               .wait_seen = {.site = site, .object = object},
                           });
}

static inline struct event_wait_object no_object(void)
{
    return (struct event_wait_object){.syscall = EVENT_NO_SYSCALL};
}

static inline struct event_wait_object object_of(uint32_t syscall, uint64_t argument)
{
    return (struct event_wait_object){.syscall = syscall, .argument = argument};
}

static inline void tell_wait(const struct scene *scene, uint64_t start_ns, uint64_t end_ns,
                             int64_t tid, const uint64_t *ips, uint32_t n_ips)
{
    tell_block(scene, start_ns, tid, ips, n_ips, no_object());
    tell_in(scene->aggregate, end_ns, tid);
}

/*
 * From 1000 to 11000, all below run_worker:
 *   main    epoll_wait 1000 + 2000, __lll_lock_wait 500, epoll_wait since 9000
 *   second  __lll_lock_wait 300 (from another place), __GI___clock_nanosleep 4000
 */
static inline void tell_waits(struct scene *scene)
{
    const uint64_t ready[] = {place_in(epoll_wait, 1), place_in(walk_tree, 1),
                              place_in(run_worker, 2)};
    const uint64_t lock[] = {place_in(__lll_lock_wait, 1), place_in(run_worker, 2)};
    const uint64_t lock_elsewhere[] = {place_in(__lll_lock_wait, 3), place_in(run_worker, 7)};
    const uint64_t sleep[] = {place_in(__GI___clock_nanosleep, 1), place_in(run_worker, 2)};
    const int64_t second = TEST_PID + 1;
    tell_start(scene, 1000, TEST_PID, "main");
    tell_start(scene, 1000, second, "second");
    tell_wait(scene, 2000, 3000, TEST_PID, ready, N_IPS(ready));
    tell_wait(scene, 3100, 3400, second, lock_elsewhere, N_IPS(lock_elsewhere));
    tell_block(scene, 3500, second, sleep, N_IPS(sleep), no_object());
    tell_wait(scene, 4000, 6000, TEST_PID, ready, N_IPS(ready));
    tell_wait(scene, 7000, 7500, TEST_PID, lock, N_IPS(lock));
    tell_in(scene->aggregate, 7500, second);
    tell_block(scene, 9000, TEST_PID, ready, N_IPS(ready), no_object());
    scene_freeze(scene, 11000);
}
