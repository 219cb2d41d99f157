/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_index - which functions ever stood at an address
 *
 * Code memory is used again, so ranges overlap: an implicit interval tree over
 * the ranges sorted by start finds all of them in logarithmic time.
 *
 * Shape:   two sorted arrays, a large one and a small one of what came lately,
 *          so that adding stays cheap while a program keeps making code.
 * Owner:   the caller holds the struct; jit_index_release() frees the arrays.
 * Threads: one writer, or any number of readers.
 * Limits:  2^31 ranges.
 * Tests:   jit_index_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct jit_body; /* jit_code.h */
struct symbol;

/* One function at one place for some time. */
struct jit_range {
    uint64_t start_ip, end_ip;
    uint64_t from_ns, to_ns; /* to_ns UINT64_MAX: until something else stands there */
    uint64_t order;          /* in which it was told: later ones replace earlier ones */
    const struct symbol *symbol;
    const struct jit_body *body;
    bool is_time_exact; /* from_ns is when its producer made it, not when we learnt of it */
    bool is_named;      /* its producer can speak of it again: jit_code_move() */
};

struct jit_level {
    size_t n_ranges;
    struct jit_range *ranges; /* by start_ip, then order */
    uint64_t *max_end_ips;    /* the largest end_ip in the subtree of each */
};

struct jit_index {
    struct jit_level large, recent;
};

void jit_index_init(struct jit_index *index);
void jit_index_release(struct jit_index *index);
DEFINE_RELEASEP(jit_index);

/*
 * Makes the index that `index` will be with n_added ranges more; neither is
 * changed but for ret_index, whose arrays may be those of `index` (see
 * jit_index_replace()). What is told twice (same place, function and time,
 * neither body nor name) is kept once. 0 or -ENOMEM.
 */
int jit_index_extend(const struct jit_index *index, const struct jit_range *added, size_t n_added,
                     struct jit_index *ret_index);

/* Puts an extended index in the place of `index` and frees what only the old one held. */
void jit_index_replace(struct jit_index *index, const struct jit_index *extended);

/*
 * Calls back for each range that overlaps [start_ip, end_ip), which may change
 * it but for its address and order; the one that begins last and was told last
 * comes first. Stops at the first answer false. False where there were more than
 * max_visits of them.
 */
typedef bool (*jit_index_cb)(void *userdata, struct jit_range *range);
bool jit_index_overlaps(const struct jit_index *index, uint64_t start_ip, uint64_t end_ip,
                        size_t max_visits, jit_index_cb on_range, void *userdata);

/* The range that begins at start_ip and was told as number `order`; NULL: there is none. */
struct jit_range *jit_index_at(const struct jit_index *index, uint64_t start_ip, uint64_t order);
