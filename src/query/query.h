/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * query - questions about one snapshot of a run
 *
 * A view is a file is a method is a command: query_top.c answers
 * profile.top, which `stax top` asks. All are pure functions of a snapshot,
 * a view and the names known so far.
 *
 * Owner:   results live in the arena that the caller passes.
 * Threads: any; each call works on its own arena.
 */

#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/arena.h"
#include "base/error.h"
#include "disasm/code_reader.h"
#include "model/counter_set.h"
#include "model/results/annotate.h"
#include "model/results/counters.h"
#include "model/results/flame.h"
#include "model/results/intervals.h"
#include "model/results/neighbors.h"
#include "model/results/off_cpu.h"
#include "model/results/target.h"
#include "model/results/threads.h"
#include "model/results/timeline.h"
#include "model/results/top.h"
#include "model/results/wakers.h"
#include "model/results/why.h"
#include "model/view.h"

struct query_names;
struct object_namer;

/* Everything a query needs besides its own options. */
struct query_context {
    struct snapshot *snapshot;
    struct query_names *names; /* query_names.h; of the run, shared */
    const struct view *view;
    run_id run;
    enum run_state state;
    struct arena *arena;
    const struct object_namer *objects; /* object_text.h; NULL: descriptors have no names */
};

struct query_top_options {
    enum top_sort sort;
    enum top_group group;
    uint32_t limit; /* 0: all */
};

struct query_flame_options {
    uint32_t max_depth;   /* 0: no bound but the reader's nesting limit */
    double threshold_pct; /* of the view's total; subtrees below it are cut and counted */
    bool invert;          /* what ran innermost on top, its callers below */
};

struct query_threads_options {
    uint32_t limit; /* 0: all */
};

struct query_off_cpu_options {
    enum off_cpu_by by;
    bool has_reason;
    enum wait_reason reason; /* only waits for this */
    uint32_t limit;          /* 0: all */
    uint32_t max_frames;     /* of a stack; 0: all */
};

struct query_counters_options {
    enum counters_by by;
    uint32_t limit;                /* 0: all */
    const struct counter_set *set; /* what the run read */
    const char *unrecorded;        /* why this host has none; NULL: it has */
};

struct query_neighbors_options {
    const char *function; /* function_choice.h says what it may be */
    uint32_t limit;       /* of callers and of callees; 0: all */
};

struct query_intervals_options {
    enum intervals_order order;
    bool has_reason;
    enum wait_reason reason;
    bool no_stacks;      /* rows have none: many thousands are asked for */
    uint32_t limit;      /* 0: all */
    uint32_t max_frames; /* of a stack, the innermost ones; 0: all */
};

struct query_wakers_options {
    bool by_stack;
    bool chain;
    uint32_t limit; /* 0: all */
    uint32_t max_frames;
    const char *unrecorded; /* why this host does not tell who wakes whom; NULL: it does */
};

#define QUERY_TIMELINE_MAX_BUCKETS 10000u

struct query_timeline_options {
    uint32_t buckets; /* 1 … QUERY_TIMELINE_MAX_BUCKETS */
    uint32_t limit;   /* 0: all */
};

struct query_why_options {
    uint32_t limit; /* of segments, and of rows of each summary; 0: all that are kept */
    uint32_t max_frames;
    const char *unrecorded; /* as above */
};

/* Which of the spans that a view has; patterns as those of --focus. NULL: all. */
struct query_span_choice {
    const char *lane, *name; /* of the lane; of the span itself */
};

/* Of the programs that are recorded: who could report spans. */
struct query_span_sources {
    bool is_known;        /* the rest says something */
    uint32_t n_connected; /* processes with libstax-target, or that speak through it */
    uint32_t n_children; /* such processes that the target has started, and that are not recorded */
};

struct query_target_lanes_options {
    struct query_span_choice choice;
    struct query_span_sources sources;
    uint32_t limit; /* 0: all */
};

struct query_target_top_options {
    struct query_span_choice choice;
    struct query_span_sources sources;
    enum target_top_sort sort;
    uint32_t limit; /* 0: all */
};

struct query_target_spans_options {
    struct query_span_choice choice;
    struct query_span_sources sources;
    enum target_spans_order order;
    uint32_t limit; /* 0: all */
    uint32_t max_frames;
};

struct query_target_origins_options {
    struct query_span_choice choice;
    struct query_span_sources sources;
    enum target_origins_by by;
    uint32_t limit; /* of origins, and of waiters; 0: all */
    uint32_t max_frames;
};

struct query_annotate_options {
    const char *function; /* function_choice.h says what it may be; also "image+0x…" */
    bool no_source;
    size_t n_source_map;
    char *const *source_map; /* "FROM=TO" */
    struct code_access code;
};

/* 0, -ENOMEM, or -EINVAL with the reason (a bad pattern, a range that is empty). */
int query_top(const struct query_context *context, const struct query_top_options *options,
              struct top_result *ret_result, struct error *reterr_error);
int query_flame(const struct query_context *context, const struct query_flame_options *options,
                struct flame_result *ret_result, struct error *reterr_error);
int query_threads(const struct query_context *context, const struct query_threads_options *options,
                  struct threads_result *ret_result, struct error *reterr_error);
int query_intervals(const struct query_context *context,
                    const struct query_intervals_options *options,
                    struct intervals_result *ret_result, struct error *reterr_error);
int query_wakers(const struct query_context *context, const struct query_wakers_options *options,
                 struct wakers_result *ret_result, struct error *reterr_error);
int query_timeline(const struct query_context *context,
                   const struct query_timeline_options *options, struct timeline_result *ret_result,
                   struct error *reterr_error);
int query_why(const struct query_context *context, const struct query_why_options *options,
              struct why_result *ret_result, struct error *reterr_error);
int query_off_cpu(const struct query_context *context, const struct query_off_cpu_options *options,
                  struct off_cpu_result *ret_result, struct error *reterr_error);

int query_counters(const struct query_context *context,
                   const struct query_counters_options *options, struct counters_result *ret_result,
                   struct error *reterr_error);

int query_target_lanes(const struct query_context *context,
                       const struct query_target_lanes_options *options,
                       struct target_lanes_result *ret_result, struct error *reterr_error);
int query_target_top(const struct query_context *context,
                     const struct query_target_top_options *options,
                     struct target_top_result *ret_result, struct error *reterr_error);
int query_target_spans(const struct query_context *context,
                       const struct query_target_spans_options *options,
                       struct target_spans_result *ret_result, struct error *reterr_error);
int query_target_origins(const struct query_context *context,
                         const struct query_target_origins_options *options,
                         struct target_origins_result *ret_result, struct error *reterr_error);

/* As above; -ENOENT where no function is meant. */
int query_neighbors(const struct query_context *context,
                    const struct query_neighbors_options *options,
                    struct neighbors_result *ret_result, struct error *reterr_error);
int query_annotate(const struct query_context *context,
                   const struct query_annotate_options *options, struct annotate_result *ret_result,
                   struct error *reterr_error);
