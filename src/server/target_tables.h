/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_tables - the numbers that a run gives to lanes and names of its programs
 *
 * The same lane of the same process, and the same text inside of the same name,
 * have one number, however often the program connects. Whoever asks for a
 * number for the first time has it told to the run first.
 *
 * Owner:   target_tables_new()/_free().
 * Threads: one.
 * Limits:  LIMIT_LANES lanes and LIMIT_SPAN_NAMES names, the last of each
 *          "(other)"; names are nested LIMIT_SPAN_DEPTH deep at most, what is
 *          deeper is "(other)" there.
 * Tests:   target_tables_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "server/run_ingest.h"
#include "target_ring/reader.h"

#define TARGET_TABLES_NONE UINT32_MAX

struct target_tables;

/* `pid` is whose the lane "(other)" is. `ingest` outlives it. 0 or -ENOMEM. */
int target_tables_new(int64_t pid, struct run_ingest *ingest, struct target_tables **ret_tables);
struct target_tables *target_tables_free(struct target_tables *tables);
DEFINE_FREEP(target_tables);

/* Numbers from 0; TARGET_TABLES_NONE: it could not be told now. */
uint32_t target_tables_lane(struct target_tables *tables, int64_t pid,
                            const struct target_ring_text *told);

/* Numbers from 1; `parent`: one of them, 0: none. TARGET_TABLES_NONE as above. */
uint32_t target_tables_name(struct target_tables *tables, uint32_t parent, const char *text,
                            size_t n_bytes);

uint32_t target_tables_count_lanes(const struct target_tables *tables);
uint32_t target_tables_count_names(const struct target_tables *tables);
