/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_perfetto_lanes - lanes as tracks of a Perfetto trace, spans as slices on them
 *
 * Slices of a track are inside of each other or follow each other. Where spans
 * of a lane overlap otherwise, it has further tracks of the same name.
 *
 * Owner:   nothing is kept.
 * Threads: one.
 * Limits:  those of export_spans.h.
 * Tests:   export_perfetto_test.c
 */

#include "base/hash_table.h"
#include "interchange/export_format.h"

/* The track of a process. */
static inline uint64_t perfetto_process_uuid(int64_t pid)
{
    return hash_u64((uint64_t)pid) | 1;
}

/* Packets of the sequence that has begun. 0 or -ENOMEM. */
int perfetto_lanes_write(struct export_job *job);
