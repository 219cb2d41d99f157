/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * aggregate - the state behind aggregate.h, shared by the files of the room
 *
 * Owner:   struct aggregate. Threads: the aggregator's, but for the tables
 *          that snapshots let readers follow.
 */

#include <stdatomic.h>

#include "aggregate/aggregate.h"
#include "aggregate/chunked.h"
#include "aggregate/code_epoch.h"
#include "aggregate/counters.h"
#include "aggregate/frame_table.h"
#include "aggregate/lanes.h"
#include "aggregate/name_table.h"
#include "aggregate/origin_links.h"
#include "aggregate/pending_samples.h"
#include "aggregate/pending_waits.h"
#include "aggregate/span_log.h"
#include "aggregate/span_totals.h"
#include "aggregate/stack_table.h"
#include "aggregate/switch_lag.h"
#include "aggregate/thread_table.h"
#include "aggregate/wait_log.h"
#include "aggregate/wait_objects.h"
#include "aggregate/wakers.h"
#include "base/arena.h"
#include "base/hash_table.h"
#include "images/image_map.h"

/* A snapshot with its count; linked so that the aggregator can free what nobody reads any more. */
struct held_snapshot {
    struct snapshot snapshot; /* first: the public part is the same address */
    _Atomic uint32_t n_references;
    uint64_t number;
    struct held_snapshot *next;
    void *memory; /* what is copied: threads, sums, counts, the newest samples and waits */
    struct quantile **lengths; /* held, beside snapshot.span_sums */
};

/* A chunk that was dropped while snapshots up to `number` could still see it. */
struct dropped_chunk {
    void *chunk;
    size_t item_bytes;
    uint64_t number;
    struct dropped_chunk *next;
};

/* Stacks by the hash of their raw addresses: most samples repeat a recent one. */
#define STACK_CACHE_ENTRIES (1u << 15)

struct stack_cache_entry {
    uint64_t hash;
    stack_id stack;
    bool is_cut;
};

struct aggregate {
    struct aggregate_config config;
    uint64_t sequence;
    uint64_t start_ns, newest_ns, end_ns;
    uint64_t checkpoint_at_ns;
    bool has_events, has_ended;
    bool is_restored; /* from what a snapshot told (restore.h): the lag is in the sums already */

    struct image_table *images;
    struct image_map *map;
    bool *image_is_seen; /* a frame in it was interned */
    size_t image_is_seen_capacity;

    struct frame_table *frames;
    struct code_epochs *code_epochs;
    struct stack_table *stacks;
    struct stack_cache_entry *stack_cache;

    struct thread_table *threads;
    struct switch_lag switch_lag;
    struct arena names;

    struct pending_samples pending;                                /* samples whose slice is open */
    uint64_t class_ns[SLICE_CLASS_N], class_slices[SLICE_CLASS_N]; /* see snapshot.h */
    uint64_t class_samples[SLICE_CLASS_N], class_met_ns[SLICE_CLASS_N];
    uint64_t n_kernel_samples;
    uint32_t first_period_ns; /* of the first sample that has one */
    bool has_own_periods;     /* not all samples stand for as much */

    struct chunked samples; /* struct stored_sample */
    struct chunked slices;  /* struct stored_slice */
    struct chunked pairs;   /* struct sample_pair */
    struct hash_table pair_ids;
    uint32_t *pair_counts;
    size_t pair_counts_capacity;

    struct pending_waits pending_waits;
    struct wait_log wait_log;
    struct wait_objects wait_objects;
    struct wakers wakers;
    struct counters counters;
    struct name_table sites; /* of the kernel, known by name alone: places in IMAGE_ID_NAMED */
    struct lanes lanes;
    struct span_totals span_totals;
    struct span_log span_log;
    struct origin_links origin_links;
    uint64_t spans_lost[EVENT_SPANS_LOST_CAUSE_N];
    uint64_t lost[EVENT_LOST_CAUSE_N];
    uint64_t n_wait_stacks_unknown;
    uint64_t n_wakeups, n_stacks_truncated, n_stacks_empty, n_not_stored;
    uint64_t folded_until_ns;
    uint64_t ring_look_at_ns; /* when to look next for what is older than the ring */

    struct held_snapshot *snapshots;
    uint64_t n_snapshots;
    struct dropped_chunk *dropped;
};

/* A sample is stored: does it stand for as much as those before? */
static inline void aggregate_note_period(struct aggregate *aggregate, uint32_t period_ns)
{
    if (aggregate->first_period_ns == 0) {
        aggregate->first_period_ns = period_ns;
    }
    aggregate->has_own_periods |= period_ns != aggregate->first_period_ns;
}

/* Drops the oldest stored samples, slices and waits while the run holds more than it may. */
void aggregate_fold(struct aggregate *aggregate);
uint64_t aggregate_memory_bytes(const struct aggregate *aggregate);

/* Frees snapshots that nobody holds and the chunks that only they could see. */
void aggregate_sweep(struct aggregate *aggregate);
