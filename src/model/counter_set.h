/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * counter_set - which of the processor's counters a run reads, and why not the others
 *
 * Shape:   one slot per counter, always in the same place, so that a value is
 *          known by its slot. Which counter that is says its name alone: a
 *          capture can be asked to count something else.
 * Owner:   plain data in the caller's memory.
 * Threads: values.
 */

#include <stdbool.h>

#include "model/limits.h"

/* The slots, where the processor's counters are read. */
enum counter_slot {
    COUNTER_CYCLES,
    COUNTER_INSTRUCTIONS,
    COUNTER_L1D_MISSES, /* of reads */
    COUNTER_BRANCH_MISSES,
    COUNTER_SLOT_N
};
_Static_assert(COUNTER_SLOT_N == LIMIT_COUNTERS, "a slot each");

struct counter {
    char name[24]; /* "cycles" */
    bool is_available;
    char reason[80]; /* why not: "No such file or directory" */
};

struct counter_set {
    bool is_wanted;    /* the recording was asked for counters */
    bool is_available; /* at least one is read */
    bool is_user_only; /* the host lets nobody count kernel mode */
    struct counter counters[LIMIT_COUNTERS];
    char reason[200]; /* why there is none: "no hardware PMU: cycles: No such file or directory" */
    char fix[200];    /* what to type; may be "" */
};
