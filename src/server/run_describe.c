/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "server/run_diagnose_target.h"
#include "server/run_freeze.h"
#include "server/run_internal.h"

static const char *stop_reason(struct run *run, struct arena *arena)
{
    switch ((enum run_end)atomic_load(&run->end)) {
    case RUN_END_TARGET_EXITED:
        return run->import ? "imported" : "target exited";
    case RUN_END_STOPPED:
        return "stopped";
    case RUN_END_TIME_LIMIT:
        return "time limit";
    case RUN_END_SERVER_SHUTDOWN:
        return "server shutdown";
    case RUN_END_FAILED:
        return arena_printf(arena, "capture failed: %s", run->end_error.message);
    case RUN_END_NONE:
        break;
    }
    return NULL;
}

static void count(const struct snapshot *snapshot, struct run_info *info)
{
    info->duration_ns = snapshot->now_ns - snapshot->start_ns;
    info->threads = snapshot->n_threads;
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        info->samples += snapshot->threads[i].n_samples;
        /* Each voluntary switch begins an interval off the CPU. */
        info->intervals += snapshot->threads[i].n_voluntary;
    }
    for (uint32_t i = 0; i < snapshot->n_lanes; i++) {
        info->spans += snapshot->lanes[i].n_spans;
    }
    info->wakeups = snapshot->n_wakeups;
    for (int cause = 0; cause < EVENT_LOST_CAUSE_N; cause++) {
        info->lost += snapshot->lost[cause];
    }
    info->lost += run_diagnose_spans_lost(snapshot);
    info->memory_bytes = snapshot->memory_bytes;
    if (snapshot->folded_until_ns > snapshot->start_ns) {
        info->folded_until_ns = snapshot->folded_until_ns - snapshot->start_ns;
    }
}

int run_describe(struct run *run, const struct snapshot *snapshot, struct arena *arena,
                 struct run_info *ret_info)
{
    int64_t exit_status = atomic_load(&run->exit_status);
    struct run_info info = {
        .id = run->id,
        .state = run_get_state(run),
        .pid = run_get_pid(run),
        .command = run_get_command(run),
        .started_at_unix_ns = run->started_at_unix_ns,
        .frequency_hz = run->frequency_hz,
        .has_exit_status = exit_status != RUN_NO_EXIT_STATUS,
        .exit_status = exit_status == RUN_NO_EXIT_STATUS ? 0 : (int32_t)exit_status,
        .is_launched = run->request.launched,
        .backend = run->backend,
        .ring_ns = run->request.ring_ns,
    };
    if (snapshot) {
        count(snapshot, &info);
        if (!run->request.replay) {
            /* The first instant is that of the first event: of a launched target, its exec. */
            info.started_at_unix_ns += snapshot->start_ns - run->start_ns;
        }
    }
    char jit_trouble[RUN_NOTE_BYTES] = "";
    if (run->jit_tail) {
        jit_tail_describe(run->jit_tail, jit_trouble, sizeof(jit_trouble));
    }
    pthread_mutex_lock(&run->lock);
    info.frozen_from = run->parent ? run->parent->id : 0; /* of an opened one it is none of ours */
    info.stop_reason = run->parent                       ? run->frozen_reason
                       : run->archived                   ? run->archived->run.stop_reason
                       : info.state == RUN_STATE_STOPPED ? stop_reason(run, arena)
                                                         : NULL;
    info.notes = arena_alloc_array(arena, run->n_notes + 2, sizeof(*info.notes));
    for (size_t i = 0; info.notes && i < run->n_notes; i++) {
        info.notes[i] = arena_strdup(arena, run->notes[i]);
        info.n_notes = i + 1;
    }
    if (info.notes && jit_trouble[0] != '\0') {
        info.notes[info.n_notes++] = arena_strdup(arena, jit_trouble);
    }
    char *frozen = info.notes ? run_describe_frozen(run, arena) : NULL;
    if (frozen) {
        info.notes[info.n_notes++] = frozen;
    }
    pthread_mutex_unlock(&run->lock);
    if (!info.notes) {
        return -ENOMEM;
    }
    *ret_info = info;
    return 0;
}

const char *run_get_backend(const struct run *run)
{
    return run->backend;
}
