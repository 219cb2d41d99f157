/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * import_weights - samples of files that tell how many, and not when
 *
 * A stack that was met 12 times becomes 12 samples; together all of them take
 * the time that the file says, or one unit each. As nobody knows their order,
 * those of one stack are spread evenly over the whole: so no stretch of time
 * looks different from another, which is what the file says.
 *
 * Shape:   added once, then played. The samples and times of each stack sum to
 *          what was added, exactly.
 * Owner:   import_weights_init()/_release(); ips are borrowed until then.
 * Threads: one.
 * Limits:  IMPORT_MAX_PLAYED samples, and one of each stack; where a file tells
 *          of more, a stack has the part of them that it has of the time. Times
 *          longer than samples can tell are all divided by one number.
 *          IMPORT_MAX_WEIGHTS stacks.
 * Tests:   import_weights_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/event_batch.h"

#define IMPORT_MAX_PLAYED UINT64_C(4000000)
#define IMPORT_MAX_WEIGHTS (1u << 22)
#define IMPORT_MAX_STACK_BYTES (UINT64_C(512) << 20) /* of all ips, for those who keep them */

struct import_weight {
    const uint64_t *ips; /* import_names_make_stack() */
    uint32_t n_ips, n_kernel_ips;
    int64_t pid, tid;       /* pid 0: that of _begin() */
    uint64_t n_samples, ns; /* what it stands for */
};

struct import_weights {
    struct import_weight *weights;
    uint64_t *first_samples; /* of each, among all */
    size_t n_weights, capacity;
    uint64_t n_samples; /* in all; set by _begin() */
    uint64_t n_played, stride;
    double ns_divisor; /* of all times; 1 as a rule; set by _begin() */
    uint64_t start_ns, duration_ns;
    int64_t pid;
};

void import_weights_init(struct import_weights *weights);
void import_weights_release(struct import_weights *weights);
DEFINE_RELEASEP(import_weights);

/* 0, -ENOMEM or -ENOSPC. One without samples and time is left out. */
int import_weights_add(struct import_weights *weights, const struct import_weight *weight);

/*
 * All have been added; they are played from start_ns on, as long as they take
 * together if duration_ns is 0. *ret_is_scaled: there are more samples than are
 * played. 0 or -ENOMEM.
 */
int import_weights_begin(struct import_weights *weights, int64_t pid, uint64_t start_ns,
                         uint64_t duration_ns, bool *ret_is_scaled);

/* What of that the reader of the run has to know. */
struct import_notes;
void import_weights_note(const struct import_weights *weights, bool is_scaled,
                         struct import_notes *notes);

/* Adds samples until the batch has no room; true while there are more. */
bool import_weights_play(struct import_weights *weights, struct event_batch *batch);
