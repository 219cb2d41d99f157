/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_spans - what the target reported itself, as rows of an archive and back
 *
 * Owner:   the caller's memory; each kind of work has its _release().
 * Threads: one.
 * Limits:  reading: rows that name what is not there are refused or mended
 *          (aggregate/restore.h); of memory the caller counts what rows take
 *          (history_spans_row_bytes()).
 * Source:  docs/design/0015-archive.md
 * Tests:   run_history_test.c, history_spans_read_test.c,
 *          tests/fuzz/fuzz_run_history.c
 */

#include "aggregate/restore.h"
#include "archive/history_names.h"
#include "archive/history_tables.h"
#include "base/hash_table.h"

/* ---- writing ---- */

struct history_spans_writing {
    const struct snapshot *snapshot;
    struct history_names *names;
    /* Details have numbers in the order in which stored spans have them, then the longest ones. */
    struct hash_table detail_numbers;
    uint32_t *details; /* of the snapshot, by number */
    size_t n_details, details_capacity;
    uint64_t n_counters, n_attachments, n_buckets;
    size_t sums;        /* whose bucket is the next, … */
    uint64_t bucket;    /* … from here on */
    size_t counters_of; /* details that the next counter is of, … */
    uint32_t counter;   /* … and which of them it is */
    size_t attachments_of;
    uint32_t attachment;
};

/* Snapshot and names are borrowed. 0 or -ENOMEM. */
int history_spans_writing_init(struct history_spans_writing *writing,
                               const struct snapshot *snapshot, struct history_names *names);
void history_spans_writing_release(struct history_spans_writing *writing);

/* Which kinds are told here; rows from *ret_first to *ret_end. False: another one. */
bool history_spans_range(const struct history_spans_writing *writing, enum history_kind kind,
                         uint64_t *ret_first, uint64_t *ret_end);

/* The row of that number; those of a kind in their order. 0 or -ENOMEM. */
int history_spans_fill(struct history_spans_writing *writing, enum history_kind kind,
                       uint64_t index, void *row);

/* ---- reading ---- */

struct history_spans_reading {
    struct history_span_counter *counters;
    size_t n_counters, counters_capacity, next_counter;
    struct history_span_attachment *attachments;
    size_t n_attachments, attachments_capacity, next_attachment;
};

void history_spans_reading_release(struct history_spans_reading *reading);

/* What a row of the kind takes in memory beside itself. */
size_t history_spans_row_bytes(enum history_kind kind);

/* 0, -EBADMSG, -ENOSPC or -ENOMEM, as of restore.h. */
int history_spans_take(struct history_spans_reading *reading, struct restore *restore,
                       const struct history_names *names, enum history_kind kind, const void *row);
