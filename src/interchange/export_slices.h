/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_slices - what ran on which CPU, one after the other
 *
 * Slices begin earlier than recorded where switches are told late
 * (aggregate/switch_lag.h), by the mean of all: single ones would reach into
 * the one before them on their CPU. Those begin where that one ends, and what
 * they lack their thread gets where there is room before another slice of it,
 * so that the slices of a thread still sum to its CPU time. Where a recording
 * does not tell CPUs apart, what ran at the same time is on CPUs of its own,
 * behind all that there are.
 *
 * Shape:   several rounds over the stored slices, until all of them have room;
 *          a CPU without any gap may keep some ns.
 * Owner:   the caller's. Threads: one.
 * Limits:  EXPORT_MAX_LANES CPUs in all; what does not fit there is left out.
 * Tests:   export_perfetto_test.c
 */

#include <stdint.h>

#include "interchange/export_shares.h"

#define EXPORT_MAX_LANES (UINT16_MAX + 1u + 1024u)

struct export_slice {
    thread_id thread;
    uint32_t cpu;
    uint64_t from_ns, to_ns;
    bool is_blocked; /* behind it */
};

/* Of the threads that have rows, in the view's range; of one CPU none begins before the one before
 * it has ended. 0 or -ENOMEM. */
typedef void (*export_slice_cb)(void *userdata, const struct export_slice *slice);
int export_slices_visit(const struct export_shares *shares, export_slice_cb on_slice,
                        void *userdata);
