/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_pairs - the numbers of the pairs that the samples of a snapshot belong to
 *
 * Pairs are the snapshot's, by their numbers, and behind them those that
 * samples need and that it does not have (a run of which something was lost).
 *
 * Owner:   the caller's memory; the snapshot has to outlive it.
 * Threads: one.
 * Tests:   history_pairs_test.c
 */

#include "aggregate/snapshot.h"
#include "base/cleanup.h"
#include "base/hash_table.h"

struct history_pairs {
    const struct snapshot *snapshot;
    struct hash_table numbers;
    struct sample_pair *more;
    size_t n_more, more_capacity;
};

/* Each 0 or -ENOMEM. */
int history_pairs_init(struct history_pairs *pairs, const struct snapshot *snapshot);
void history_pairs_release(struct history_pairs *pairs);
/* The first of those that are the same. */
int history_pairs_find(struct history_pairs *pairs, const struct sample_pair *pair,
                       uint32_t *ret_number);

size_t history_pairs_count(const struct history_pairs *pairs);
struct sample_pair history_pairs_get(const struct history_pairs *pairs, size_t number,
                                     uint32_t *ret_count);
