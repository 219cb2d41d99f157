/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * view_range - the range of a view in absolute time
 *
 * Owner:   values. Threads: any.
 * Tests:   attribution_test.c
 */

#include "query/query.h"

struct view_range {
    uint64_t from_ns, to_ns; /* absolute; the whole run where the view has none */
};

/* 0, or -EINVAL where nothing is in it. */
int view_range_resolve(const struct query_context *context, struct view_range *ret_range,
                       struct error *reterr_error);

/* The view as it was understood, borrowing its lists. */
struct view_echo view_range_echo(const struct query_context *context,
                                 const struct view_range *range);

/* Is this thread id one that the view asks for? */
bool view_has_tid(const struct view *view, int64_t tid);
