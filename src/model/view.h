/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * view - which part of a run a question is about
 *
 * Shape:   decoded from the `view` members of every query. Times are relative
 *          to the run's first instant; negative ones count back from its end
 *          (of a live run: from now).
 * Owner:   arrays and strings are borrowed from the request's arena.
 * Threads: values.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/ids.h"

enum view_mode {
    VIEW_MODE_ACTIVE,
    VIEW_MODE_CPU,
    VIEW_MODE_OFF_CPU,
    VIEW_MODE_WALL,
    VIEW_MODE_TARGET
};

struct view {
    run_id run; /* 0: the active run, else the selected one */
    size_t n_tids;
    int64_t *tids; /* none: all threads */
    bool has_from, has_to;
    int64_t from_ns, to_ns; /* clipped: half-open [from, to) */
    size_t n_exclude;
    char **exclude; /* stacks with any frame that matches any of these are left out */
    size_t n_focus;
    char **focus; /* only stacks with a frame that matches one of these */
    enum view_mode mode;
};

/* A view of the whole run? Then incremental aggregates answer it. */
static inline bool view_has_range(const struct view *view)
{
    return view->has_from || view->has_to;
}
