/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_format - what the writer of each format is given
 *
 * Owner:   export_write() makes it all and frees it.
 * Threads: one.
 * Tests:   export_<name>_test.c
 */

#include "base/error.h"
#include "interchange/export.h"
#include "interchange/export_frames.h"
#include "interchange/export_shares.h"
#include "interchange/export_sink.h"
#include "interchange/export_spans.h"

struct export_job {
    const struct export_source *source;
    const struct query_context *context;
    struct export_shares shares;
    struct export_frames frames;
    struct export_spans spans;
    struct export_sink sink;
    const char *command; /* never NULL */
    struct error *reterr_error;
};

/* 0 or a negative errno; what writing failed with stays in the sink. */
int export_firefox_write(struct export_job *job);
int export_pprof_write(struct export_job *job);
int export_speedscope_write(struct export_job *job);
int export_folded_write(struct export_job *job);
int export_perfetto_write(struct export_job *job);
int export_callgrind_write(struct export_job *job);
int export_svg_write(struct export_job *job);
int export_html_write(struct export_job *job);

/* The place that stands for a row without a stack, or for why it waited; EXPORT_NO_PLACE: none. */
#define EXPORT_NO_PLACE UINT32_MAX

static inline uint32_t export_outer_place(const struct export_job *job,
                                          const struct export_row *row)
{
    if (row->kind == EXPORT_ROW_UNSAMPLED) {
        return job->frames.not_sampled;
    }
    return row->shown_stack == STACK_ID_EMPTY ? job->frames.no_stack : EXPORT_NO_PLACE;
}

static inline uint32_t export_inner_place(const struct export_job *job,
                                          const struct export_row *row, enum wait_reason reason)
{
    return row->kind == EXPORT_ROW_WAIT ? job->frames.off_cpu[reason] : EXPORT_NO_PLACE;
}

/* The run's process has its command; children of it, and processes of a run of many, their names.
 */
static inline const char *export_process_name(const struct export_job *job,
                                              const struct export_thread *thread)
{
    const struct run_info *run = job->source->run;
    bool is_own = !run || job->shares.has_one_process || run->pid == thread->pid;
    return is_own || !thread->process ? job->command : thread->process;
}

/* Relative to the first instant of the run. */
static inline uint64_t export_time_ns(const struct export_job *job, uint64_t time_ns)
{
    uint64_t start_ns = job->context->snapshot->start_ns;
    return time_ns > start_ns ? time_ns - start_ns : 0;
}
