/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * open_events - one event of one thread of the session's target
 *
 * Owner:   the descriptor is the caller's. Threads: one.
 * Source:  docs/design/0011-broker.md, on the order of opening and checking.
 * Tests:   open_events_test.c; tests/e2e/test_staxd.py
 */

#include "broker/authorize.h"

struct broker_target {
    pid_t pid;
    int process_fd; /* target_facts_open() */
};

/* Asked for as the caller, whom the kernel has its say on. 0, a refusal, or a negative errno. */
int open_events_check(const struct caller *caller, const struct broker_target *target, pid_t tid);

/* As open_events_check(); the event counts nothing before it may. */
int open_events_open(const struct caller *caller, const struct broker_target *target,
                     const struct broker_event_request *request, int *ret_fd);
