/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_path - the names that a span is inside of, as answers say them
 *
 * Owner:   arrays lie in the arena of the query, texts belong to the run.
 * Threads: one.
 * Tests:   query_target_top_test.c
 */

#include "query/query.h"

struct span_path {
    size_t n_names;
    char **names; /* outermost first, without the span's own */
};

struct span_paths {
    const struct query_context *context;
    struct span_path *of_name; /* filled as they are asked for */
};

/* 0 or -ENOMEM. */
int span_paths_init(const struct query_context *context, struct span_paths *ret_paths);
int span_paths_get(struct span_paths *paths, uint32_t name, struct span_path *ret_path);

/* Order of names that are otherwise alike: by lane, then path and name. */
int span_path_compare(const struct snapshot *snapshot, uint32_t left_lane, uint32_t left_name,
                      uint32_t right_lane, uint32_t right_name);
