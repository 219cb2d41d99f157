/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * path_sums - the segments and handovers of a critical path that are alike
 *
 * Owner:   path_sums_init()/_release(); texts are borrowed, results lie in the
 *          arena that they are asked for with.
 * Threads: one.
 * Tests:   path_sums_test.c
 */

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/hash_table.h"
#include "model/ids.h"
#include "model/results/why.h"

/* What has to be equal; texts may be NULL. */
struct path_sum_key {
    thread_id thread, other; /* other: of a handover who woke it; else THREAD_ID_NONE */
    enum why_kind kind;
    bool is_birth;
    enum wait_reason reason;
    const char *what, *image;
};

struct path_sum {
    struct path_sum_key key;
    uint64_t total_ns, max_ns, count;
};

struct path_sums {
    struct hash_table ids;
    struct path_sum *sums;
    size_t n_sums, capacity;
};

void path_sums_init(struct path_sums *sums);
void path_sums_release(struct path_sums *sums);
DEFINE_RELEASEP(path_sums);

/* 0 or -ENOMEM. */
int path_sums_add(struct path_sums *sums, const struct path_sum_key *key, uint64_t duration_ns);

/* Largest total first. */
void path_sums_sort(struct path_sums *sums);
