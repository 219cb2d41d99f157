/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_run - what an archive tells of a run as a whole, value by value
 *
 * Owner:   the caller's memory.
 * Threads: one.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_history_test.c
 */

#include "aggregate/restore.h"
#include "archive/history_tables.h"

/* A value of the run, or how many rows of a kind were written; others are passed over. */
void history_run_take(const struct history_value *value, struct restore_run *run,
                      uint64_t n_told[HISTORY_KIND_N]);
