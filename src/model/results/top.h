/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * top - the hottest functions of a view
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

enum top_sort { TOP_SORT_SELF, TOP_SORT_TOTAL, TOP_SORT_OFF_CPU };

/* What a row stands for. */
enum top_group { TOP_GROUP_FUNCTION, TOP_GROUP_IMAGE, TOP_GROUP_LINE };

struct top_row {
    const char *name;  /* "main", "libc.so.6+0x28f00"; by line "src/main.c:42" */
    const char *image; /* base name of the file, "[kernel]", "[vdso]" */
    enum frame_kind kind;
    bool inlined;
    const char *address; /* "0x…", where the function starts in its image; of a frame without a
                            name, itself */
    const char *file;    /* by image: of the image; by line: of the source */
    uint32_t line;       /* by line only; 0 where it is not known */
    uint64_t self_active_ns, total_active_ns;
    uint64_t self_samples, total_samples;
    uint64_t self_off_cpu_ns, total_off_cpu_ns, waits; /* only where rows are sorted by them */
    uint64_t target_ns, spans; /* target: of these spans, with what is inside of them */
    double self_pct, total_pct;
};

struct top_result {
    struct run_stamp run;
    struct view_echo view;
    enum top_sort sort;
    enum top_group group;
    struct totals totals;
    uint64_t functions; /* how many rows there are without the limit */
    size_t n_rows;
    struct top_row *rows;
    const char *hint; /* what to type when the view is empty */
};
