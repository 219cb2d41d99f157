/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_hint - what to do where a view of spans is empty, or not whole
 *
 * Owner:   a constant, or text in the arena of the query.
 * Threads: any.
 * Tests:   span_hint_test.c
 */

#include "query/span_view.h"

/* NULL: nothing is missing. `n_rows`: of the answer; `is_partial`: single spans are gone. */
const char *span_hint(const struct span_view *view, const struct query_span_sources *sources,
                      uint64_t n_rows, bool is_partial);
