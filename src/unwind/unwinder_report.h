/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * unwinder_report - what an unwinder says of itself to those who ask
 *
 * A walk may wait for the target's memory for as long as that takes; whoever
 * asks how it goes does not wait with it, but gets what was published last.
 *
 * Owner:   a part of the unwinder.
 * Threads: unwinder_report_get_*() any; the rest the unwinder's.
 * Limits:  UNWINDER_REPORT_MAX_IMAGES images with stacks that end in them.
 * Tests:   unwinder_report_test.c
 */

#include <pthread.h>

#include "unwind/code_lookup.h"
#include "unwind/unwinder.h"

#define UNWINDER_REPORT_MAX_IMAGES 64u

struct unwinder_report {
    /* Being counted: */
    struct unwinder_image_stats ends[UNWINDER_REPORT_MAX_IMAGES];
    size_t n_ends;
    uint64_t n_counted, n_told; /* stacks in `ends` */
    size_t n_images_told, n_wanted_told;
    /* Published, under the lock: */
    pthread_mutex_t lock;
    struct unwinder_stats stats;
    struct unwinder_image_stats *images;
    size_t n_images, capacity;
};

void unwinder_report_init(struct unwinder_report *report);
void unwinder_report_release(struct unwinder_report *report);

/* A stack of process `pid` ends in the code at ip. */
void unwinder_report_count_end(struct unwinder_report *report, struct code_lookup *lookup,
                               int64_t pid, uint64_t ip, enum event_stack_end end);

/* What was counted, and which images stacks passed through, is for everybody from now on. */
void unwinder_report_publish(struct unwinder_report *report, struct code_lookup *lookup,
                             const struct unwinder_stats *stats);

void unwinder_report_get_stats(struct unwinder_report *report, struct unwinder_stats *ret_stats);
/* As unwinder_get_images(). */
size_t unwinder_report_get_images(struct unwinder_report *report,
                                  struct unwinder_image_stats *ret_images, size_t max_images);
