/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_groups - the waits of a view, put together by stack, reason or thread
 *
 * Shape:   groups in no order; by stack a group is one path of functions (stack_paths.h) and one
 *          reason, whichever threads waited there.
 * Owner:   arrays lie in the arena of the query.
 * Threads: one.
 * Tests:   wait_groups_test.c, query_off_cpu_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/results/off_cpu.h"
#include "query/attribution.h"
#include "query/wait_causes.h"
#include "query/wait_lengths.h"

#define WAIT_GROUP_NONE UINT32_MAX

struct wait_group {
    enum wait_reason reason;
    thread_id thread; /* THREAD_ID_NONE: several */
    uint64_t blocked_ns, n_waits, n_open, max_ns;
    bool is_approximate;
    bool is_complete;
    /* Of the row with the most time: */
    stack_id stack;
    const struct wait_cause_entry *cause;
    uint64_t heaviest_ns;
    /* wait_groups_look(): */
    struct wait_lengths lengths;
    wait_object_id object; /* the one that most of the waits were for; 0: none was told */
    uint64_t n_objects;
};

struct wait_groups {
    const struct wait_shares *waits;
    uint32_t *of_row; /* the group of each of their rows; WAIT_GROUP_NONE: of another reason */
    size_t n_groups;
    struct wait_group *groups;
};

struct wait_groups_options {
    enum off_cpu_by by;
    bool has_reason;
    enum wait_reason reason;
};

/* 0 or -ENOMEM. */
int wait_groups_make(const struct query_context *context, struct attribution *attribution,
                     struct wait_causes *causes, const struct wait_groups_options *options,
                     struct wait_groups *ret_groups);

/*
 * Reads the single waits of some of the groups, for lengths and objects: those whose `is_wanted`
 * (by group) is not 0. Lengths have those of stored waits only. 0 or -ENOMEM.
 */
int wait_groups_look(const struct query_context *context, const struct attribution *attribution,
                     const uint8_t *is_wanted, struct wait_groups *groups);
