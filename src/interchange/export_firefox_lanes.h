/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_firefox_lanes - lanes as threads of a Firefox profile
 *
 * What programs have reported of a lane is a thread of its own: its samples are
 * sums, a stack for each name below the lane, that weigh target time and no CPU
 * time; each span is a marker.
 *
 * Owner:   works on the tables of the export.
 * Threads: one.
 * Limits:  FIREFOX_SPAN_MARKERS_MAX markers: the longest spans.
 * Tests:   export_firefox_test.c
 */

#include "interchange/export_firefox_tables.h"

#define FIREFOX_SPAN_MARKERS_MAX 50000u

/* What the markers look like; with a comma before it. */
void firefox_lanes_put_schema(struct export_sink *sink);

/* A thread for each lane; `has_threads`: others stand before them. 0 or -ENOMEM. */
int firefox_lanes_write(struct firefox_tables *tables, bool has_threads);
