/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * flame - the call tree of a view, callers above callees
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"
#include "model/view.h"

struct flame_node {
    const char *name;
    const char *image;
    enum frame_kind kind;
    bool inlined;
    const char *address;
    uint64_t active_ns, off_cpu_ns, target_ns;
    uint64_t runq_ns; /* of the root, and of its child "(waiting for a CPU)" */
    uint64_t spans, samples;
    uint64_t self_active_ns, self_off_cpu_ns;
    bool linked; /* a remark: its time is in no total of the nodes above it, active_ns is 0 */
    uint64_t hidden_nodes; /* children and their descendants cut by max_depth or threshold_pct */
    size_t n_children;
    struct flame_node *children; /* by weight */
};

struct flame_result {
    struct run_stamp run;
    struct view_echo view;
    enum view_mode mode;
    bool inverted; /* what ran innermost on top, its callers below it */
    struct totals totals;
    struct flame_node root; /* named "(all)" */
    const char *hint;
};
