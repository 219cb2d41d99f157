/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * compare_figures - what a comparison tells of its sides, in words
 *
 * Shape:   one figure after the other; those that are 0 on both sides are left
 *          out, but for the ones that everybody looks for.
 * Owner:   figures borrow nothing.
 * Threads: any.
 * Tests:   render_compare_test.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "cli/quantity.h"
#include "model/results/compare.h"

struct compare_figure {
    const char *name;
    char base[QUANTITY_TEXT_BYTES], candidate[QUANTITY_TEXT_BYTES];
    char difference[2 * QUANTITY_TEXT_BYTES]; /* "+812 ms (+26.2 %)" */
};

/* The figure *index is at, or the next one that there is; false: there is none. */
bool compare_figures_next(const struct compare_result *result, size_t *index,
                          struct compare_figure *ret_figure);

/* "run 3", "runs 3, 4, 5" */
void compare_figures_append_runs(const struct compare_side *side, struct text *text);

/* "2 functions differ significantly (71 differences tested)" */
void compare_figures_append_verdict(const struct compare_result *result, struct text *text);

/* A lane: its target time as figures have it; without a name. */
void compare_figures_lane(const struct compare_lane *lane, struct compare_figure *ret_figure);
/* "GPU 0 (gpu) new" is what this and its name make: " (gpu) new" */
void compare_figures_append_lane_facts(const struct compare_lane *lane, struct text *text);
