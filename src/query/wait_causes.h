/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_causes - why a thread waits in a stack, decided once per stack
 *
 * The names of a stack decide (reasons/wait_cause.h). Where it was only found out by a look what
 * the thread waits in, or the host hides its names, the kernel's half has one name or none, and the
 * system call that the thread is in takes part, too.
 *
 * Shape:   by stack_id, and by system call where that takes part. What was decided by names that
 *          are final is kept for the run (cause_cache.h); by others, for the query.
 * Owner:   entries lie in the arena of the query or the cache of the run, and stay where they are;
 *          names belong to the symbolizer. wait_causes_release() frees what is in neither.
 * Threads: one.
 * Tests:   wait_causes_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "query/cause_cache.h"
#include "query/query.h"

struct wait_causes {
    const struct query_context *context;
    struct cause_cache *kept;          /* of the run */
    struct hash_table passing_of;      /* by stack_id and system call */
    struct wait_cause_entry **passing; /* decided for this query only */
    uint32_t n_passing, n_passing_room;
    const char **names; /* of the stack that is decided on */
    const char **images;
    size_t n_names_room;
};

/* 0 or -ENOMEM. */
int wait_causes_init(const struct query_context *context, struct wait_causes *ret_causes);
void wait_causes_release(struct wait_causes *causes);
DEFINE_RELEASEP(wait_causes);

/* `object` may be 0. NULL where memory ran out. */
const struct wait_cause_entry *wait_causes_get(struct wait_causes *causes, stack_id stack,
                                               wait_object_id object);

/* Does it depend on the system call why a thread waits in this stack? */
bool wait_causes_need_object(const struct query_context *context, stack_id stack);
