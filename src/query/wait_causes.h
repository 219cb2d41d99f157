/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_causes - why a thread waits in a stack, decided once per stack of a query
 *
 * The names of a stack decide (reasons/wait_cause.h). Where it was only found out by a look what
 * the thread waits in, or the host hides its names, the kernel's half has one name or none, and the
 * system call that the thread is in takes part, too.
 *
 * Shape:   by stack_id, and by system call where that takes part.
 * Owner:   entries lie in the arena of the query and stay where they are, names belong to the
 *          symbolizer. wait_causes_release() frees what is not in the arena.
 * Threads: one.
 * Tests:   wait_causes_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "model/wait_reason.h"
#include "query/query.h"

#define WAIT_CAUSE_NO_FRAME SIZE_MAX

struct wait_cause_entry {
    enum wait_reason reason;
    const char
        *site; /* the function, or system call, that says what is waited for; "": none does */
    const char *site_image; /* "" where site is */
    size_t site_frame; /* of frames_of_stack(); WAIT_CAUSE_NO_FRAME: the site is not among them */
};

struct wait_causes {
    const struct query_context *context;
    struct wait_cause_entry *
        *entries; /* by stack_id; without a system call; NULL: not decided yet */
    struct hash_table by_syscall;
    struct wait_cause_entry **with_syscall; /* by_syscall's values */
    uint32_t n_with_syscall, n_with_syscall_room;
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
