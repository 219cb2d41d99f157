/* SPDX-License-Identifier: MIT */
/*
 * speedscope's own JSON: shared frames, and per thread one profile of what it
 * ran and one of where it waited, both as stacks with weights in ns. Samples
 * are in the order of time, so that its time view shows how a thread went on;
 * where there are more of them than a browser likes, equal stacks are one.
 *
 * Frames are functions: a frame per line would tear the sums of its sandwich
 * view apart.
 */
#include <stdlib.h>

#include "interchange/export_format.h"
#include "interchange/export_timeline.h"

#define ORDERED_MAX 200000u

struct work {
    struct export_job *job;
    struct export_timeline timeline;
    bool is_ordered;
    bool has_profiles;
};

static void put_frames(struct export_job *job)
{
    struct export_sink *sink = &job->sink;
    export_sink_text(sink, "\"shared\":{\"frames\":[");
    for (uint32_t i = 0; i < job->frames.n_functions; i++) {
        const struct export_function *function = &job->frames.functions[i];
        export_sink_text(sink, i > 0 ? ",\n{\"name\":" : "\n{\"name\":");
        export_sink_json(sink, function->name);
        if (function->file || function->image[0] != '\0') {
            export_sink_text(sink, ",\"file\":");
            export_sink_json(sink, function->file ? function->file : function->image);
        }
        export_sink_char(sink, '}');
    }
    export_sink_text(sink, "]}");
}

static int put_stack(struct export_job *job, const struct export_row *row, enum wait_reason reason)
{
    struct export_sink *sink = &job->sink;
    const struct export_place *places = job->frames.places;
    const uint32_t *path;
    size_t n_path;
    int r = export_frames_path(&job->frames, row->shown_stack, &path, &n_path);
    if (r != 0) {
        return r;
    }
    uint32_t outer = export_outer_place(job, row), inner = export_inner_place(job, row, reason);
    const char *between = "";
    export_sink_char(sink, '[');
    if (outer != EXPORT_NO_PLACE) {
        export_sink_u64(sink, places[outer].function);
        between = ",";
    }
    for (size_t i = 0; i < n_path; i++) {
        export_sink_text(sink, between);
        export_sink_u64(sink, places[path[i]].function);
        between = ",";
    }
    if (inner != EXPORT_NO_PLACE) {
        export_sink_text(sink, between);
        export_sink_u64(sink, places[inner].function);
    }
    export_sink_char(sink, ']');
    return 0;
}

/* One stack after the other, those that follow each other and are equal as one. */
struct step {
    const struct export_row *row;
    enum wait_reason reason;
    uint64_t weight_ns;
};

/* The next step of the thread from *at on; false: that were all. */
static bool next_step(const struct work *work, const struct export_thread *thread, bool is_wait,
                      size_t *at, struct step *ret_step)
{
    const struct export_shares *shares = &work->job->shares;
    size_t index = (size_t)(thread - shares->threads);
    size_t end =
        work->is_ordered ? work->timeline.first[index + 1] : thread->first_row + thread->n_rows;
    *ret_step = (struct step){0};
    for (; *at < end; (*at)++) {
        const struct timed_moment *moment = work->is_ordered ? &work->timeline.moments[*at] : NULL;
        const struct export_row *row = &shares->rows[moment ? moment->row : *at];
        enum wait_reason reason = moment ? (enum wait_reason)moment->reason : row->reason;
        uint64_t weight_ns = moment ? moment->weight_ns : row->time_ns;
        if ((row->kind == EXPORT_ROW_WAIT) != is_wait || weight_ns == 0) {
            continue;
        }
        if (ret_step->row && (ret_step->row != row || ret_step->reason != reason)) {
            break;
        }
        ret_step->row = row;
        ret_step->reason = reason;
        ret_step->weight_ns += weight_ns;
    }
    return ret_step->row != NULL;
}

static int put_profile(struct work *work, const struct export_thread *thread, bool is_wait)
{
    struct export_sink *sink = &work->job->sink;
    size_t index = (size_t)(thread - work->job->shares.threads);
    size_t first = work->is_ordered ? work->timeline.first[index] : thread->first_row;
    uint64_t total_ns = is_wait ? thread->off_cpu_ns : thread->cpu_ns;
    struct step step;
    if (total_ns == 0) {
        return 0;
    }
    export_sink_text(sink, work->has_profiles ? ",\n{" : "\n{");
    work->has_profiles = true;
    export_sink_text(sink, "\"type\":\"sampled\",\"unit\":\"nanoseconds\",\"name\":");
    const char *name = arena_printf(work->job->context->arena, "%s (%lld)%s", thread->name,
                                    (long long)thread->tid, is_wait ? " off-CPU" : "");
    export_sink_json(sink, name ? name : thread->name);
    export_sink_text(sink, ",\"startValue\":0,\"endValue\":");
    export_sink_u64(sink, total_ns);
    export_sink_text(sink, ",\"samples\":[");
    size_t at = first;
    for (bool is_next = false; next_step(work, thread, is_wait, &at, &step); is_next = true) {
        export_sink_text(sink, is_next ? "," : "");
        int r = put_stack(work->job, step.row, step.reason);
        if (r != 0) {
            return r;
        }
    }
    export_sink_text(sink, "],\"weights\":[");
    at = first;
    for (bool is_next = false; next_step(work, thread, is_wait, &at, &step); is_next = true) {
        export_sink_text(sink, is_next ? "," : "");
        export_sink_u64(sink, step.weight_ns);
    }
    export_sink_text(sink, "]}");
    return 0;
}

/* A thread without time has no profile, and a reader wants at least one. */
static void put_none(struct export_sink *sink)
{
    export_sink_text(sink, "{\"type\":\"sampled\",\"unit\":\"nanoseconds\",\"name\":\"(nothing)\","
                           "\"startValue\":0,\"endValue\":0,\"samples\":[],\"weights\":[]}");
}

static int write_profiles(struct work *work)
{
    struct export_job *job = work->job;
    struct export_sink *sink = &job->sink;
    export_sink_text(sink, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\","
                           "\"exporter\":\"stax " STAX_VERSION "\",\"name\":");
    export_sink_json(sink, job->command);
    export_sink_text(sink, ",\"activeProfileIndex\":0,\"profiles\":[");
    int r = 0;
    for (size_t i = 0; i < job->shares.n_threads && r == 0; i++) {
        r = put_profile(work, &job->shares.threads[i], false);
    }
    for (size_t i = 0; i < job->shares.n_threads && r == 0; i++) {
        r = put_profile(work, &job->shares.threads[i], true);
    }
    if (!work->has_profiles) {
        put_none(sink);
    }
    export_sink_text(sink, "],\n");
    put_frames(job);
    export_sink_text(sink, "}\n");
    return r;
}

int export_speedscope_write(struct export_job *job)
{
    struct work work = {.job = job};
    uint64_t n_moments = 0;
    for (size_t i = 0; i < job->shares.n_threads; i++) {
        n_moments += job->shares.threads[i].n_samples + job->shares.threads[i].n_waits;
    }
    work.is_ordered = n_moments <= ORDERED_MAX;
    int r = work.is_ordered ? export_timeline_build(&job->shares, true, &work.timeline) : 0;
    r = r ? r : write_profiles(&work);
    export_timeline_release(&work.timeline);
    return r;
}
