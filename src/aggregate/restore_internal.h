/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * restore_internal - what the files of restore share
 *
 * Owner:   struct restore. Threads: one.
 */

#include "aggregate/aggregate_internal.h"
#include "aggregate/restore.h"

/* Where the stored records of a thread have come to. */
struct restored_thread {
    uint64_t slice_end_ns, wait_end_ns;
};

struct restore {
    struct aggregate *aggregate;
    uint64_t n_mended;

    bool *image_is_seen; /* a frame in it has come */
    size_t image_is_seen_capacity;
    uint32_t n_named_places;
    uint16_t *depths; /* of the stacks */
    size_t depths_capacity;

    struct restored_thread *threads;
    size_t threads_capacity;
    uint64_t sample_ns, slice_end_ns, wait_end_ns, reading_ns; /* of the newest so far */
    size_t pairs_capacity, wait_sums_capacity, wake_sums_capacity;

    uint32_t *span_details; /* by the number that they came with: where they are */
    size_t n_span_details, span_details_capacity;
    uint32_t next_details; /* spans from now on have these, or later ones */
};

/* The array with room for one more item behind n_items; NULL where there is no memory: then the
 * array is as it was. */
void *restore_grow(void *items, size_t n_items, size_t *capacity, size_t item_bytes);

/* Each returns what it is given where that is there, and else what stands for "not known". */
stack_id restore_known_stack(struct restore *restore, stack_id stack);
wait_object_id restore_known_object(struct restore *restore, wait_object_id object);
waker_id restore_known_waker(struct restore *restore, waker_id waker);
uint64_t restore_time_in_run(struct restore *restore, uint64_t time_ns);

static inline bool restore_has_thread(const struct restore *restore, thread_id thread)
{
    return thread < thread_table_count(restore->aggregate->threads);
}
