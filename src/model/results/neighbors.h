/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * neighbors - who calls a function, and what it calls
 *
 * A stack counts once, however often the function stands on it: its caller is
 * that of the outermost occurrence, what it calls that of the innermost. So
 * the callers sum to the function's total, and so do the callees and its self.
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"
#include "model/results/top.h"

struct neighbor_row {
    const char *name; /* "(no caller)": the function is the outermost frame */
    const char *image;
    enum frame_kind kind;
    bool inlined;
    const char *address;
    uint64_t active_ns, samples; /* of stacks with this neighbour */
    double share_pct;            /* of the function's total */
};

struct neighbors_result {
    struct run_stamp run;
    struct view_echo view;
    struct totals totals;
    const char *choice;                /* what the name was taken as; NULL where it left no doubt */
    struct top_row function;           /* inlined: everywhere */
    uint64_t all_callers, all_callees; /* how many rows there are without the limit */
    size_t n_callers;
    struct neighbor_row *callers; /* by weight */
    size_t n_callees;
    struct neighbor_row *callees;
};
