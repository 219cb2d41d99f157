/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dialect - ranges that nest, overlap, or have no length, as spans on lanes
 *
 * What NVTX and ITT have in common. Ranges that nest belong to a thread: they
 * go to a lane of their domain and thread ("domain: thread"), the inner ones
 * as names inside of the outer ones. Ranges that any thread may end go to the
 * domain's lane "domain ranges". The origin of each is the thread that began
 * it, at that moment.
 *
 * A range that was begun while nobody recorded is followed, so that ends find
 * their begins, and not reported. What cannot be followed shows as a span of no
 * length that says so, on the lane that it would have been on.
 *
 * Owner:   the process; domains live as long as it.
 * Threads: any. In the child of a fork() the ranges of the parent are its own.
 * Limits:  256 domains; 64 domains and DIALECT_DEPTH_MAX nested ranges of each
 *          for a thread; OPEN_RANGES_MAX open ones that do not nest; past 128
 *          threads without a name of their own the lane is "domain: other threads".
 * Tests:   dialect_test.c
 */

#include "inject/open_ranges.h"
#include "inject/range.h"

#define DIALECT_DEPTH_MAX 64u

struct dialect_domain;

/* Before any other; more than once does no harm. Looks for a server. */
void dialect_start(const char *default_domain);

/* The same for the same name. Never NULL: one too many is "(other)". */
struct dialect_domain *dialect_domain(const char *name);

/* Begins a range inside of the thread's others. Returns its level from 0, or -1 without memory.
 * `text` may be NULL; `facts` too. */
int dialect_push(struct dialect_domain *domain, const char *text, const struct range_facts *facts);

/* Ends the innermost. Returns its level, or -1 where none is open. */
int dialect_pop(struct dialect_domain *domain);

/* The innermost open range of the thread, to add to; NULL where it is not reported. */
struct range_facts *dialect_innermost(struct dialect_domain *domain);

/* A moment. */
void dialect_mark(struct dialect_domain *domain, const char *text, const struct range_facts *facts);

/* A range that does not nest, found again by its key. */
void dialect_open(struct dialect_domain *domain, const struct open_key *key, const char *text,
                  const struct range_facts *facts);
void dialect_close(const struct open_key *key);

/* One whose times are known. */
void dialect_report(struct dialect_domain *domain, const char *text, uint64_t start_ns,
                    uint64_t end_ns);

/* A number that has changed: a moment on the lane "domain counters". */
void dialect_count(struct dialect_domain *domain, const char *name, double value);

/* A thread's name for its lanes; tid 0: the caller's. */
void dialect_name_thread(uint32_t tid, const char *name);
