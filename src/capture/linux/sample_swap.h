/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sample_swap - replaces the sampling events of a recording while it goes on
 *
 * How much stack a sample carries is fixed when its event is opened. For
 * another size all sampling events are opened anew, disabled; then the new
 * ones are enabled and the old ones disabled. For a moment both are at work;
 * one instant separates what is taken from which, so that no time is sampled
 * twice or not at all. Images, names, births and switches come from events
 * that stay.
 *
 * Threads that are born meanwhile inherit the new events or do not; nobody
 * tells. Each thread that is found gets events of its own; where samples show
 * that it has inherited others too, its own count no more and are closed. A
 * while later one more look finds those that were in the middle of their
 * birth.
 *
 * Shape:   generations of events; a record's tag says which one it is from.
 * Owner:   a part of struct capture. Threads: the drain thread.
 * Tests:   sample_swap_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_table.h"
#include "capture/linux/perf_sources.h"
#include "decode/perf_record.h"

struct capture;

/* A thread that inherited a period for a short life and has run for so long gets the nominal one.
 */
#define SAMPLE_SWAP_LONG_LIFE_NS (UINT64_C(250) * 1000 * 1000)
/* More processes than this in one recording: stacks keep the size that they have. */
#define SAMPLE_SWAP_PROCESSES 4096u
/* Threads with events of their own for nothing, per drain round. */
#define SAMPLE_SWAP_REDUNDANT 64u

enum sample_swap_thread {
    SAMPLE_SWAP_GONE,     /* forgotten */
    SAMPLE_SWAP_OWN,      /* events were opened on it */
    SAMPLE_SWAP_INHERITED /* its parent had the present events when it was born */
};

/* Its number can be another process's by now: child_process_is(). */
struct swap_child {
    int64_t pid;
    uint64_t born_ns;
};

struct sample_swap {
    uint8_t generation;
    uint64_t since_ns; /* samples from then on are the present generation's */
    /* Of task sessions: tid → enum sample_swap_thread, of the present generation and of the one
     * that is being opened. */
    struct hash_table threads, next_threads;
    uint64_t births_inherit_ns; /* from then on every newborn thread has the present events */
    uint64_t recheck_at_ns;     /* 0: was done */
    int32_t redundant_tids[SAMPLE_SWAP_REDUNDANT]; /* own events to be closed */
    size_t n_redundant_tids;
    /* tid → samples with a period that was meant for a short life (birth_period.h). */
    struct hash_table odd_samples;
    bool wants_renewal; /* a thread with such a period lives long */
    struct perf_source_set retired;
    bool has_retired;
    struct swap_child *children; /* processes that were forked, with --children */
    size_t n_children;
    unsigned n_failures;
};

int sample_swap_init(struct sample_swap *swap);
void sample_swap_release(struct sample_swap *swap);

/* The present generation is at work from now on, on every thread that there is when
 * is_complete (a target that does not run yet), else on those that were found. */
void sample_swap_begin(struct sample_swap *swap, bool is_complete, uint64_t now_ns);

/* A record that was read: births, deaths. */
void sample_swap_note(struct sample_swap *swap, const struct perf_record *record,
                      bool follows_children);

/* A sample whose moment another event's sample stands for. */
bool sample_swap_is_surplus(struct sample_swap *swap, const struct perf_source_tag *tag,
                            const struct perf_record *record);

/* A sample that counts: does a period that was meant for short lives stay with a long-lived thread?
 */
void sample_swap_note_period(struct sample_swap *swap, const struct perf_source_tag *tag,
                             const struct perf_record *record, uint64_t nominal_ns);

/*
 * Once per drain round, after all rings were read. Follows the wished size of
 * stack. What fails leaves everything as it was.
 */
void sample_swap_tend(struct capture *capture);
