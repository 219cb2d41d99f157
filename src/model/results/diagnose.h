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
    const char *symbols; /* where names come from: ".symtab", ".dynsym", "kallsyms", "none" */
    const char *state;   /* "loaded", "loading", "not needed", "failed: …" */
    uint64_t functions;
    uint64_t frames; /* distinct places seen in it */
};

struct diagnose_stacks {
    uint64_t total, complete, truncated, empty;
};

struct diagnose_result {
    struct run_stamp run;
    const char *backend;
    struct diagnose_stacks stacks;
    size_t n_counters;
    struct diagnose_counter *counters;
    size_t n_lost;
    struct diagnose_lost *lost;
    size_t n_images;
    struct diagnose_image *images;
    size_t n_hints;
    char **hints;
};
