/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_unwind - the unwinder of a run, between its queue and its aggregate
 *
 * Owner:   the run.
 * Threads: the aggregator's; run_unwind_set_capture() any. The capture is talked
 *          to under a lock of its own (struct run.unwind_lock).
 * Tests:   run_test.c, tests/e2e/test_unwinding.py
 */

#include "server/run_ingest.h"
#include "server/run_internal.h"

/* 0 or -ENOMEM. Nothing is made where frame pointers only were asked for. */
int run_unwind_begin(struct run *run, struct cfi_store *store);
void run_unwind_end(struct run *run);

/* The capture that may be talked to from now on. NULL: none; returns when nobody does any more. */
void run_unwind_set_capture(struct run *run, struct capture *capture);

/*
 * Applies a slab's events to the aggregate, walked. While a table is awaited,
 * `while_waiting` is called: questions are answered meanwhile.
 */
void run_unwind_apply(struct run *run, const struct run_slab *slab,
                      void (*while_waiting)(void *userdata), void *userdata);
