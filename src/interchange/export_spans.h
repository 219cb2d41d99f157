/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_spans - lanes and spans of an export
 *
 * Formats that hold sums write the tree: what a node has for itself, of all
 * nodes, sums to the target time, as `stax target top` has it. Formats that hold
 * moments write the stored spans, in rows in which one span is inside another
 * or behind it, as slices have to be.
 *
 * Shape:   a place (export_frames.h) for each node of the tree. Rows of a lane
 *          are given out to the first that has room, in the order of time.
 * Owner:   nodes lie in the arena of the query; export_span_rows_release().
 * Threads: one.
 * Limits:  EXPORT_SPAN_ROWS_MAX rows of a lane: spans of which more run at a time are
 *          left out and counted. Rows take 32 bytes for each span.
 * Tests:   export_spans_test.c
 */

#include "interchange/export_frames.h"
#include "query/attribution.h"
#include "query/span_tree.h"

#define EXPORT_SPAN_ROWS_MAX 256u
#define EXPORT_SPANS_OPEN_MAX 64u /* inside each other, in one row */

struct export_spans {
    const struct query_context *context;
    const struct span_view *view; /* NULL: there are none */
    struct span_tree tree;
    uint32_t *places;  /* by node */
    uint64_t *self_ns; /* by node: what it does not share with those inside of it */
    uint64_t target_ns, n_spans;
};

/* 0 or -ENOMEM. Adds places to `frames`, where there are spans. */
int export_spans_init(const struct query_context *context, const struct attribution *attribution,
                      struct export_frames *frames, struct export_spans *ret_spans);

/* The node's places, outermost first; with the lane's. How many: at most LIMIT_SPAN_DEPTH + 2. */
#define EXPORT_SPAN_PATH_MAX (LIMIT_SPAN_DEPTH + 2u)
size_t export_spans_path(const struct export_spans *spans, uint32_t node,
                         uint32_t ret_places[static EXPORT_SPAN_PATH_MAX]);

/* The node of a name on a lane, else of the lane; SPAN_TREE_NONE: there is neither. */
uint32_t export_spans_node(const struct export_spans *spans, uint32_t lane, uint32_t name);

static inline const struct lane_totals *export_spans_lane(const struct export_spans *spans,
                                                          uint32_t lane)
{
    return &spans->context->snapshot->lanes[lane];
}

static inline int64_t export_spans_tid(uint32_t lane)
{
    return LANE_TID_FIRST + lane;
}

/* Never "". */
const char *export_spans_lane_name(const struct export_spans *spans, uint32_t lane);
const char *export_spans_name(const struct export_spans *spans, uint32_t name);
/* Of the thread that queued it; "" where nobody knows. */
const char *export_spans_origin_name(const struct export_spans *spans,
                                     const struct stored_span *span);

/* ---- single spans ---- */

struct export_span_row {
    uint64_t start_ns, end_ns; /* absolute, inside the view */
    uint64_t index;            /* for snapshot_span() */
    uint32_t lane, row;        /* EXPORT_SPAN_ROWS_MAX: there was no room */
};

struct export_span_rows {
    size_t n_spans, n_room;
    struct export_span_row *spans; /* by lane, start, then the longest first */
    size_t *first;                 /* by lane: its first span; one more at the end */
    uint32_t *n_rows;              /* by lane */
    uint64_t n_left_out;
};

/* 0 or -ENOMEM. */
int export_span_rows_build(const struct export_spans *spans, struct export_span_rows *ret_rows);
void export_span_rows_release(struct export_span_rows *rows);
DEFINE_RELEASEP(export_span_rows);

/*
 * Do the spans of a lane follow each other as calls do, with what their sums
 * say: one row, each span inside of those whose names its own is inside of, and
 * all of them stored?
 */
bool export_span_rows_are_calls(const struct export_spans *spans,
                                const struct export_span_rows *rows, uint32_t lane);

/* Begins and ends of a lane's row in the order of time, inner ones between those of outer ones. */
typedef void (*export_span_edge_cb)(void *userdata, const struct export_span_row *span,
                                    bool is_begin);
void export_span_rows_visit(const struct export_span_rows *rows, uint32_t lane, uint32_t row,
                            export_span_edge_cb on_edge, void *userdata);
