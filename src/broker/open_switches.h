/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * open_switches - the programs that tell of a target's waits and wakeups
 *
 * The programs stay here; the caller gets the rings that they write to, and
 * nothing else does.
 *
 * Owner:   sched_watch_free(). Threads: one.
 * Source:  sources/sched_watch.h, which checks in the kernel whom it tells of.
 * Tests:   open_switches_test.c; tests/e2e/test_staxd.py
 */

#include "broker/open_events.h"
#include "sources/sched_watch.h"

/* At work from its return on. 0, a refusal or a negative errno. */
int open_switches_start(const struct caller *caller, const struct broker_target *target,
                        bool no_kernel, struct sched_watch **ret_watch);
/* The ring of a CPU, or the map of what was lost: BROKER_SWITCHES_LOST. */
int open_switches_ring(const struct sched_watch *watch, uint32_t cpu, int *ret_fd);
