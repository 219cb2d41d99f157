/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cause_cache - why threads wait in the stacks of a run, remembered
 *
 * The names of a stack decide (wait_causes.h), and reading them costs more than all else that is
 * done for a stack in a query. Once they are final, so is what they decide: it is kept for the
 * queries that come later. What was decided by names that can still change is none of its business.
 *
 * Shape:   a number of 16 bits per stack_id, in chunks, and where system calls take part a short
 *          list per stack. Equal verdicts are one: a run has far fewer of them than stacks.
 * Owner:   entries belong to the cache and stay where they are until cause_cache_free(); the names
 *          in them belong to the symbolizer or the run.
 * Threads: any.
 * Limits:  CAUSE_CACHE_BYTES_MAX, CAUSE_CACHE_STACKS_MAX and CAUSE_CACHE_CALLS_MAX; past them
 *          nothing new is kept.
 * Tests:   cause_cache_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ids.h"
#include "model/wait_reason.h"

#define CAUSE_CACHE_BYTES_MAX ((size_t)32 << 20)
#define CAUSE_CACHE_STACKS_MAX (1u << 25)
#define CAUSE_CACHE_CALLS_MAX 32u /* of one stack */

#define WAIT_CAUSE_NO_FRAME SIZE_MAX

struct wait_cause_entry {
    enum wait_reason reason;
    const char
        *site; /* the function, or system call, that says what is waited for; "": none does */
    const char *site_image; /* "" where site is */
    size_t site_frame; /* of frames_of_stack(); WAIT_CAUSE_NO_FRAME: the site is not among them */
};

struct cause_cache;

/* 0 or -ENOMEM. */
int cause_cache_new(struct cause_cache **ret_cache);
struct cause_cache *cause_cache_free(struct cause_cache *cache);
DEFINE_FREEP(cause_cache);

/* What the names alone decide, and whether the system call takes part, too. NULL: not kept. */
const struct wait_cause_entry *cause_cache_find(const struct cause_cache *cache, stack_id stack,
                                                bool *ret_needs_call);
const struct wait_cause_entry *cause_cache_find_call(const struct cause_cache *cache,
                                                     stack_id stack, uint32_t syscall);

/* Keeps a copy and returns it, or what somebody kept before. NULL: past a limit, or no memory. */
const struct wait_cause_entry *cause_cache_put(struct cause_cache *cache, stack_id stack,
                                               const struct wait_cause_entry *entry,
                                               bool needs_call);
const struct wait_cause_entry *cause_cache_put_call(struct cause_cache *cache, stack_id stack,
                                                    uint32_t syscall,
                                                    const struct wait_cause_entry *entry);

/* All that it occupies. */
size_t cause_cache_memory_bytes(struct cause_cache *cache);
