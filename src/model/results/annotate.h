/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * annotate - one function, instruction by instruction
 *
 * The function is code at one place: what was inlined into it is part of it.
 * Lines where an inlined function stands name it in `inlined`. The samples of
 * the lines without that name sum to self_samples, which is what `top` says of
 * the function; those with it sum to inlined_samples, which `top` counts for
 * the inlined functions.
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

struct annotate_line {
    const char *address; /* "0x…"; in its image, as `address` of top */
    const char *bytes;   /* "f3 0f 1e fa"; NULL: unknown */
    const char *text;    /* the instruction; NULL: unknown */
    uint64_t samples;
    uint64_t self_active_ns;
    double pct;       /* of the whole function: self_active_ns + inlined_active_ns */
    const char *file; /* as debug information has it */
    uint32_t line;
    const char *source;        /* where file, line or inlined differ from the line before */
    const char *inlined;       /* the inlined function that stands here */
    const char *flow;          /* "jump", "branch", "call", "return", "bad"; NULL: goes on */
    const char *branch_target; /* "0x…", where it leads */
    const char *target_name;   /* the function there, where it is another one */
    bool is_target;            /* a jump of this function leads here */
};

/* Another function that fits as well, or one that a function was inlined into. */
struct annotate_candidate {
    const char *name;
    const char *image;
    enum frame_kind kind;
    bool inlined;
    const char *address; /* "0x…", to be typed; NULL where it is inlined */
    uint64_t self_samples, self_active_ns;
};

struct annotate_result {
    struct run_stamp run;
    struct view_echo view;
    struct totals totals;
    const char *name;
    const char *image;
    enum frame_kind kind;
    bool inlined; /* it has no code of its own: see inlined_into */
    const char *address;
    uint64_t size;                         /* bytes */
    uint64_t self_samples, self_active_ns; /* as top's row of this function */
    uint64_t inlined_samples, inlined_active_ns;
    double self_pct;      /* of the view */
    const char *language; /* of its source file; NULL: unknown */
    const char *machine;  /* "x86-64", "aarch64" */
    const char *origin;   /* of the bytes: "file", "target memory", "kernel memory", "record" */
    size_t n_lines;
    struct annotate_line *lines;
    const char *choice; /* what was taken for the name that was asked, where there was doubt */
    size_t n_candidates;
    struct annotate_candidate *candidates;
    size_t n_inlined_into;
    struct annotate_candidate *inlined_into;
    size_t n_notes;
    char **notes; /* what is missing and why, one sentence each */
};
