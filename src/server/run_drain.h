/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_drain - the drain thread of a run, from the target's pid to its last event
 *
 * Owner, Threads: run_drain_main() is the thread; it owns the capture.
 * Tests:   run_test.c
 */

/* For pthread_create(); the argument is a struct run. */
void *run_drain_main(void *userdata);
