/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * render - results as text for people, one file per result
 *
 * Shape:   each function appends whole lines. Hints are not in them: they go
 *          to stderr.
 * Owner:   borrows everything.
 * Threads: any.
 * Tests:   render_<result>_test.c, with the text that is expected
 */

#include "base/text.h"
#include "cli/terminal.h"
#include "model/results/annotate.h"
#include "model/results/archive.h"
#include "model/results/compare.h"
#include "model/results/counters.h"
#include "model/results/diagnose.h"
#include "model/results/doctor.h"
#include "model/results/flame.h"
#include "model/results/intervals.h"
#include "model/results/neighbors.h"
#include "model/results/off_cpu.h"
#include "model/results/run.h"
#include "model/results/target.h"
#include "model/results/threads.h"
#include "model/results/timeline.h"
#include "model/results/top.h"
#include "model/results/wakers.h"
#include "model/results/why.h"

#define RENDER_MAX_BYTES (256u << 20)

void render_save(const struct save_result *result, struct text *text);
void render_export(const struct export_result *result, struct text *text);
void render_top(const struct top_result *result, const struct terminal *terminal,
                struct text *text);
void render_flame(const struct flame_result *result, const struct terminal *terminal,
                  struct text *text);
void render_threads(const struct threads_result *result, const struct terminal *terminal,
                    struct text *text);
/* Up to max_frames frames of the program below each stack; 0: all, those of the kernel too. */
void render_off_cpu(const struct off_cpu_result *result, size_t max_frames,
                    const struct terminal *terminal, struct text *text);
void render_counters(const struct counters_result *result, const struct terminal *terminal,
                     struct text *text);
void render_neighbors(const struct neighbors_result *result, const struct terminal *terminal,
                      struct text *text);
void render_intervals(const struct intervals_result *result, const struct terminal *terminal,
                      struct text *text);
void render_wakers(const struct wakers_result *result, const struct terminal *terminal,
                   struct text *text);
void render_timeline(const struct timeline_result *result, const struct terminal *terminal,
                     struct text *text);
void render_why(const struct why_result *result, const struct terminal *terminal,
                struct text *text);

void render_target_lanes(const struct target_lanes_result *result, const struct terminal *terminal,
                         struct text *text);
void render_target_top(const struct target_top_result *result, const struct terminal *terminal,
                       struct text *text);
void render_target_spans(const struct target_spans_result *result, const struct terminal *terminal,
                         struct text *text);
void render_target_origins(const struct target_origins_result *result,
                           const struct terminal *terminal, struct text *text);
/* "step → forward": a span's name behind those that it is inside of. */
void render_span_path(char *const *path, size_t n_path, const char *name, struct text *text);
/* "submit ← main": who queued it, or waited; without n_inner frames, unless these are all. */
void render_span_place(const struct frame_result *stack, size_t n_stack, size_t n_inner,
                       struct text *text);

/* How an annotated function is shown. */
struct render_annotate_style {
    bool has_bytes;
    bool no_source;
    bool has_context; /* only n_context instructions around those that were sampled */
    size_t n_context;
};

void render_annotate(const struct annotate_result *result,
                     const struct render_annotate_style *style, const struct terminal *terminal,
                     struct text *text);
void render_compare(const struct compare_result *result, const struct terminal *terminal,
                    struct text *text);
/* What is significant, for a comment on a change. */
void render_compare_markdown(const struct compare_result *result, struct text *text);
void render_diagnose(const struct diagnose_result *result, const struct terminal *terminal,
                     struct text *text);
void render_doctor(const struct doctor_result *result, const struct terminal *terminal,
                   struct text *text);
void render_list(const struct run_list_result *result, const struct terminal *terminal,
                 struct text *text);
void render_status(const struct status_result *result, const struct terminal *terminal,
                   struct text *text);

/* "run 3 (recording, 12.3 s), pid 4711, ./bench" */
void render_run_line(const struct run_info *run, struct text *text);

/* What a run holds, two lines: how it ended, and its figures. `totals` may be NULL. */
void render_run_summary(const struct run_info *run, const struct totals *totals, struct text *text);

/* "run 3 (recording, 12.3 s): " and, on lines of its own, what restricts the view. */
void render_head(const struct run_stamp *run, const struct view_echo *view, struct text *text);

/* "parse_line (tool)", and " (inlined)" behind it. */
void render_frame(const char *name, const char *image, bool inlined, struct text *text);

/* "futex_wait ← pthread_cond_wait ← next_job ← worker": the site (may be NULL), and of the stack
 * who called it. */
void render_place(const char *site, const struct frame_result *stack, size_t n_stack,
                  struct text *text);

/* "worker (4712)"; of no thread (0) the name alone. */
void render_thread_name(const char *name, int64_t tid, struct text *text);

const char *render_run_state(enum run_state state);
