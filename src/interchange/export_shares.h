/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_shares - what each thread did in each stack: the numbers of all exports
 *
 * Formats that hold sums write the rows. Formats that hold moments visit the
 * stored samples and waits, which share their row's time, so that both sum to
 * the same totals, those of `stax top` and `stax off-cpu`, to the nanosecond.
 *
 * Shape:   rows in the order of threads; of a thread first what it ran, then
 *          where it waited. Threads with few samples share their CPU time
 *          (attribution.h): rows of all threads together are exact then.
 * Owner:   rows lie in the arena of the query; _release() frees the rest.
 * Threads: one.
 * Limits:  memory grows with distinct stacks and threads, not with samples.
 * Tests:   export_shares_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "query/attribution.h"
#include "query/portion.h"
#include "query/wait_causes.h"

enum export_row_kind {
    EXPORT_ROW_SAMPLED,
    EXPORT_ROW_UNSAMPLED, /* CPU time of a thread that no sample met; no stack */
    EXPORT_ROW_WAIT,
};

struct export_row {
    thread_id thread;
    stack_id stack;       /* STACK_ID_EMPTY: not known */
    stack_id shown_stack; /* of waits without the frames of the scheduler */
    enum export_row_kind kind;
    enum wait_reason reason; /* of waits */
    const char *wait_site;   /* the function that says what is waited for; NULL: none does */
    uint64_t time_ns;        /* on a CPU, or blocked */
    uint64_t n;              /* samples, or waits; 0: time of which none tells */
    /* While its samples or waits are visited: */
    struct portion left;
    uint64_t told; /* of its weight by what is stored */
};

struct export_thread {
    thread_id thread;
    int64_t pid, tid;
    const char *name;    /* never "" */
    const char *process; /* the name of the thread that its process began with; NULL: not known */
    size_t first_row, n_rows;
    uint64_t cpu_ns, off_cpu_ns, n_samples, n_waits; /* of its rows */
};

struct export_shares {
    const struct query_context *context;
    struct attribution attribution;
    struct wait_causes causes;
    size_t n_rows, n_rows_room;
    struct export_row *rows;
    size_t n_threads; /* those with rows */
    struct export_thread *threads;
    bool has_one_process;          /* all of them are of one */
    uint32_t *thread_of;           /* by thread_id: index into threads */
    struct hash_table ran, waited; /* row by thread and stack */
};

/* 0, -ENOMEM, or -EINVAL with the reason. */
int export_shares_init(const struct query_context *context, struct export_shares *ret_shares,
                       struct error *reterr_error);
void export_shares_release(struct export_shares *shares);
DEFINE_RELEASEP(export_shares);

/* One sample, one wait, or what is left of a row whose samples or waits are not stored. */
struct export_moment {
    const struct export_row *row;
    uint64_t time_ns, end_ns; /* absolute; of a sample end_ns is time_ns */
    uint64_t weight_ns;       /* its share of the row's time */
    uint64_t n;               /* samples or waits that it stands for */
    bool is_rest;             /* nobody knows when: time_ns is where the view begins */
    bool is_open;             /* a wait that lasts */
    enum wait_reason reason;
    const char *wait_site;
    const struct stored_sample *sample; /* NULL: none */
    const struct stored_wait *wait;     /* NULL: none */
};

/* 0, or what ends the visit. */
typedef int (*export_moment_cb)(void *userdata, const struct export_moment *moment);

/* Samples in the order of time; waits nearly in the order of their ends, those that last behind
 * them. What has no time comes first. 0, -ENOMEM, or what the callback returned. */
int export_shares_visit_samples(struct export_shares *shares, export_moment_cb on_moment,
                                void *userdata);
int export_shares_visit_waits(struct export_shares *shares, export_moment_cb on_moment,
                              void *userdata);

static inline const struct export_thread *export_shares_thread(const struct export_shares *shares,
                                                               thread_id thread)
{
    return &shares->threads[shares->thread_of[thread]];
}
