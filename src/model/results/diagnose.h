/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * diagnose - the pipeline's own accounting
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

struct diagnose_counter {
    const char *room; /* "capture", "merge", "unwind", "symbols", "aggregate", "rpc" */
    const char *name; /* "records_read" */
    uint64_t value;
    const char *unit; /* "records", "bytes", "ns" … */
};

struct diagnose_lost {
    const char *cause; /* "ring full", "queue full", "undecodable", "throttled" */
    uint64_t count;
};

struct diagnose_image {
    const char *path;
    const char *symbols; /* where names come from: ".symtab", ".dynsym", "kallsyms", "none" … */
    const char *state;   /* "loaded", "loading", "not needed", "failed: …" */
    uint64_t functions;
    uint64_t frames;        /* distinct places seen in it */
    uint64_t samples;       /* with their innermost frame in it */
    uint64_t samples_named; /* whose innermost function has a name */
};

struct diagnose_stacks {
    uint64_t total, complete, truncated, empty;
};

/* How walks of stacks ended. */
struct diagnose_stack_end {
    const char *cause; /* "complete", "the copy of the stack ended", … */
    uint64_t stacks;
};

/* The unwind table of one image, and the stacks that came to grief in it. */
struct diagnose_table {
    const char *path;
    const char *origin;  /* ".eh_frame", ".debug_frame", "jitdump", "none" */
    const char *failure; /* why there is none; NULL where there is one */
    uint64_t functions, rows, memory_bytes;
    uint64_t build_ns, wait_ns; /* wait_ns: from the first need to the table */
    uint64_t cut_stacks;
    const char *cut_cause; /* the most frequent; NULL: none was cut */
};

struct diagnose_unwind {
    bool enabled; /* false: frame pointers only */
    uint64_t stacks, frames, walk_ns;
    uint64_t recalled, read_outside; /* outer frames from an earlier stack; from memory */
    uint64_t waits, wait_ns, given_up;
    uint64_t wanted_bytes; /* of stack, per sample */
    size_t n_ends;
    struct diagnose_stack_end *ends;
    size_t n_tables;
    struct diagnose_table *tables;
};

struct diagnose_result {
    struct run_stamp run;
    const char *backend;
    struct diagnose_stacks stacks;
    struct diagnose_unwind unwind;
    size_t n_counters;
    struct diagnose_counter *counters;
    size_t n_lost;
    struct diagnose_lost *lost;
    size_t n_images;
    struct diagnose_image *images;
    size_t n_hints;
    char **hints;
};
