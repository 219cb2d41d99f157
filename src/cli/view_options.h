/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * view_options - which part of which run, the same for every query
 *
 * Owner:   values are borrowed from argv, lists from the arena.
 * Threads: any.
 * Tests:   view_options_test.c
 */

#include "cli/options.h"
#include "model/view.h"

struct view_options {
    struct option_number run;
    struct option_ids tids;
    struct option_number from, to;
    struct option_texts exclude, focus;
    bool json;
};

#define VIEW_OPTION_N 7
extern const struct option_spec view_option_specs[VIEW_OPTION_N];

/* The group as a row of option_table.groups; `type` has a member `view`. */
#define VIEW_OPTION_GROUP(type)                                                                    \
    {                                                                                              \
        .title = "Which part of which run", .specs = view_option_specs, .n_specs = VIEW_OPTION_N,  \
        .offset = offsetof(type, view)                                                             \
    }

/* The option -n of a view that lists `things`; `type` has a member `limit`. */
#define LIMIT_OPTION(type, things)                                                                 \
    {                                                                                              \
        .letter = 'n', .kind = OPTION_INTEGER, .value_name = "N", .fallback = "20",                \
        .summary = "as many " things "; 0: all", .min = 0, .max = INT32_MAX,                       \
        .offset = offsetof(type, limit)                                                            \
    }

/* What the options say, borrowing their lists. */
struct view view_options_view(const struct view_options *options);
