/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * restore - an aggregate made of what a snapshot told, instead of events
 *
 * Tables are filled in the order of their ids, then the records. Nothing is
 * taken on trust: what names something that is not there is pointed to what
 * stands for "not known", times are kept in their order and within the run, and
 * what makes no sense at all is refused.
 *
 * Shape:   restore_begin(), then images, code epochs, named places, frames,
 *          stacks, outsiders, wait objects, threads, span names and lanes in this
 *          order, then records and sums in any, each kind in its own order;
 *          restore_end().
 * Owner:   the caller until restore_end(); names and rows are borrowed.
 * Threads: one.
 * Limits:  those of the tables; config.max_memory_bytes: the oldest records go.
 * Source:  docs/design/0015-archive.md
 * Tests:   restore_test.c
 */

#include "aggregate/aggregate.h"
#include "base/cleanup.h"

struct restore;

/* What a snapshot says of the run as a whole. */
struct restore_run {
    uint64_t sequence, start_ns, now_ns, folded_until_ns;
    uint64_t first_sample, first_slice, first_wait, first_reading;
    uint64_t n_kernel_samples, n_wait_stacks_unknown, n_wait_details_full, n_readings_dropped;
    uint64_t n_wakeups, n_stacks_truncated, n_stacks_empty, n_missed_switches, switch_lag_ns;
    uint64_t lost[EVENT_LOST_CAUSE_N];
    bool has_no_switches;
    uint64_t first_span, spans_folded_until_ns, origin_bound_ns, n_span_details_full;
    struct distance_figures linked_distance, too_far_distance;
    uint64_t spans_lost[EVENT_SPANS_LOST_CAUSE_N];
};

/* What samples of one length of slices sum to, see snapshot.class_…. */
struct restore_class {
    uint64_t ns, n_slices, n_samples, met_ns;
};

/* 0, -ENOMEM, or -EBADMSG where the times of the run make no sense: out of their order, or a
 * century and more behind 1970. */
int restore_begin(const struct aggregate_config *config, const struct restore_run *run,
                  struct restore **ret_restore);
struct restore *restore_free(struct restore *restore);
DEFINE_FREEP(restore);

/*
 * Each adds one: 0; -EBADMSG where it was refused; -ENOSPC where there is no
 * room for more; -ENOMEM. Where a stack, a pair, an outsider, a wait object or a
 * named place is refused, the numbers of those behind it would be wrong: there
 * it ends.
 */
/* From IMAGE_ID_FIRST on: those before are there. */
int restore_add_image(struct restore *restore, const struct image *image);
/* From 1 on. */
int restore_add_code_epoch(struct restore *restore, const struct epoch_span *span);
int restore_add_named_place(struct restore *restore, const char *name);
int restore_add_frame(struct restore *restore, struct frame frame);
/* From 1 on. */
int restore_add_stack(struct restore *restore, struct stack_node node);
int restore_add_outsider(struct restore *restore, struct outsider outsider);
/* From 1 on. */
int restore_add_wait_object(struct restore *restore, const struct wait_object *object);
int restore_add_thread(struct restore *restore, const struct thread_totals *totals);

int restore_add_sample(struct restore *restore, const struct stored_sample *sample);
int restore_add_slice(struct restore *restore, const struct stored_slice *slice);
int restore_add_wait(struct restore *restore, const struct stored_wait *wait);
int restore_add_reading(struct restore *restore, const struct stored_reading *reading);

int restore_add_pair(struct restore *restore, struct sample_pair pair, uint32_t count);
/* One that was added; false where there is none of that number. */
bool restore_get_pair(const struct restore *restore, uint64_t number, struct sample_pair *ret_pair);
int restore_add_class(struct restore *restore, uint8_t slice_class, struct restore_class sums);
int restore_add_wait_sums(struct restore *restore, const struct wait_sums *sums);
int restore_add_wake_sums(struct restore *restore, const struct wake_sums *sums);
int restore_add_counter_sums(struct restore *restore, const struct counter_sums *sums);
/* Of thread 0, 1, 2 … */
int restore_add_counter_time(struct restore *restore, const struct counter_time *time);

/* One part more of a sum that is made anew; the sum is added where it is not there. As above. */
int restore_count_sample(struct restore *restore, struct sample_pair pair);
int restore_count_wait(struct restore *restore, const struct wait_sums *part);
int restore_count_wakeup(struct restore *restore, const struct wake_sums *part);
int restore_count_reading(struct restore *restore, const struct stored_reading *reading);

/*
 * What the target reported itself. Names from 1 on, lanes from 0 on, details
 * from 0 on, sums from 0 on: numbers of what comes later. Lanes come with their
 * sums. A span that is PENDING in the middle of others is no longer.
 */
int restore_add_span_name(struct restore *restore, const struct span_name *name);
int restore_add_lane(struct restore *restore, const struct lane_totals *totals);
int restore_add_span_sums(struct restore *restore, const struct span_sums *sums);
/* Of the `sums`-th sums that were added, each bucket once, in their order. */
int restore_add_span_bucket(struct restore *restore, size_t sums, struct span_bucket bucket);
int restore_add_origin_sums(struct restore *restore, const struct origin_sums *sums);
int restore_add_span_wait_sums(struct restore *restore, const struct span_wait_sums *sums);
int restore_add_span_details(struct restore *restore, const struct event_span_details *details);
/* Their `details` is the number of details that were added, or STORED_SPAN_NO_DETAILS. */
int restore_add_span(struct restore *restore, const struct stored_span *span);
int restore_add_longest_span(struct restore *restore, const struct stored_span *span);

/* Counts a span in all that is made of its kind anew: its lane, its sums and their histogram, its
 * origin, the longest ones. */
int restore_count_span(struct restore *restore, const struct stored_span *span);
int restore_count_span_wait(struct restore *restore, const struct span_wait_sums *part);

/* Drops the oldest records where there are more than fit; to be called now and then. */
void restore_fold(struct restore *restore);

/* How often something was pointed to what is not known, or moved into its order. */
uint64_t restore_n_mended(const struct restore *restore);

/* The aggregate, as one that has ended; the restore is empty behind it. */
struct aggregate *restore_end(struct restore *restore);
