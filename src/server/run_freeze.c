/* SPDX-License-Identifier: MIT */
#include "server/run_freeze.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "query/query_extract.h"
#include "server/run_internal.h"

#define NOTE_MAX_BYTES 2000

/* What does not change any more of the run that the part was taken from. */
static void take_facts(struct run *frozen, const struct run *run)
{
    frozen->request = run->request;
    frozen->request.command = run_get_command(run);
    frozen->request.ring_ns = 0;
    frozen->request.n_triggers = 0;
    frozen->request.pid = run_get_pid(run);
    frozen->frequency_hz = run->frequency_hz;
    frozen->start_ns = run->start_ns;
    frozen->started_at_unix_ns = run->started_at_unix_ns;
    frozen->counters = run->counters;
    (void)snprintf(frozen->backend, sizeof(frozen->backend), "%s", run->backend);
}

/* Who asks for more than there is any more is told. */
static void note_missing(struct run *frozen, const struct snapshot *snapshot,
                         const struct run_part *part)
{
    uint64_t wanted_ns = part->from_ns > snapshot->start_ns ? part->from_ns : snapshot->start_ns;
    if (snapshot->folded_until_ns > wanted_ns) {
        (void)snprintf(frozen->notes[frozen->n_notes++], RUN_NOTE_BYTES,
                       "the first %.3f s of what was to be frozen are not in it: they had been "
                       "dropped by then",
                       (double)(snapshot->folded_until_ns - wanted_ns) / NS_PER_S);
    }
}

static void take_notes(struct run *frozen, struct run *run, const struct snapshot *snapshot,
                       const struct run_part *part, const struct snapshot *final)
{
    struct run_ingest_stats ingest;
    run_get_stats(run, &frozen->stats, &ingest);
    (void)snprintf(frozen->notes[frozen->n_notes++], RUN_NOTE_BYTES,
                   "from %.3f s to %.3f s of run %" PRIu32
                   "; what was lost is counted over all of that run",
                   (double)(final->start_ns - run->start_ns) / NS_PER_S,
                   (double)(final->now_ns - run->start_ns) / NS_PER_S, run->id);
    note_missing(frozen, snapshot, part);
    pthread_mutex_lock(&run->lock);
    for (size_t i = 0; i < run->n_notes && frozen->n_notes < RUN_MAX_NOTES; i++) {
        (void)snprintf(frozen->notes[frozen->n_notes++], RUN_NOTE_BYTES, "%s", run->notes[i]);
    }
    pthread_mutex_unlock(&run->lock);
}

/* Of the run, or of the one that it is a part of: what is frozen is bounded over all of them. */
static struct run *first_parent(struct run *run)
{
    while (run->parent) {
        run = run->parent;
    }
    return run;
}

/* Room for one more. 0 or -ENOSPC. */
static int begin_part(struct run *run, struct error *reterr_error)
{
    struct run_freezes *freezes = &run->freezes;
    uint64_t max_bytes = run->request.max_memory_bytes;
    pthread_mutex_lock(&run->lock);
    bool is_room = freezes->n_taken < RUN_FREEZE_MAX_PARTS &&
                   (max_bytes == 0 || freezes->taken_bytes < max_bytes);
    freezes->n_taken += is_room;
    uint64_t n_taken = freezes->n_taken, taken_bytes = freezes->taken_bytes;
    pthread_mutex_unlock(&run->lock);
    if (is_room) {
        return 0;
    }
    error_set(reterr_error, "limit",
              "run %" PRIu32 " has been frozen %" PRIu64 " times, which takes %" PRIu64
              " MiB: that is all there is room for",
              run->id, n_taken, taken_bytes >> 20);
    error_hint(reterr_error,
               "save what is worth it, and record anew; --max-memory bounds what is "
               "frozen of a run, too, and %u times is the most",
               RUN_FREEZE_MAX_PARTS);
    return -ENOSPC;
}

/* Nothing came of it where part_bytes is 0. */
static void end_part(struct run *run, uint64_t part_bytes)
{
    pthread_mutex_lock(&run->lock);
    run->freezes.n_taken -= part_bytes == 0;
    run->freezes.taken_bytes += part_bytes;
    pthread_mutex_unlock(&run->lock);
}

static int take_part(struct run *frozen, struct run *run, struct snapshot *snapshot,
                     const struct run_part *part, uint64_t *ret_bytes, struct error *reterr_error)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct query_context context = {
        .snapshot = snapshot, .names = run->names, .arena = &arena};
    const struct aggregate_config config = {.has_no_switches = snapshot->has_no_switches};
    uint64_t from_ns =
        part->from_ns > snapshot->folded_until_ns ? part->from_ns : snapshot->folded_until_ns;
    int r =
        query_extract(&context, from_ns, part->to_ns, &config, &frozen->aggregate, reterr_error);
    arena_release(&arena);
    if (r != 0) {
        return r;
    }
    struct snapshot *final = aggregate_snapshot(frozen->aggregate, 0);
    if (!final) {
        return -ENOMEM;
    }
    take_notes(frozen, run, snapshot, part, final);
    *ret_bytes = final->memory_bytes + 1; /* nothing at all is no part */
    run_settle_idle(frozen, final);
    return 0;
}

int run_freeze(struct run *run, struct snapshot *snapshot, const struct run_part *part,
               struct run **ret_frozen, struct error *reterr_error)
{
    _cleanup_(run_unrefp) struct run *frozen = NULL;
    struct run *bounded = first_parent(run);
    int r = begin_part(bounded, reterr_error);
    if (r < 0) {
        return r;
    }
    uint64_t part_bytes = 0;
    r = run_new_part(run, &frozen);
    if (r < 0) {
        end_part(bounded, 0);
        return r;
    }
    take_facts(frozen, run);
    (void)snprintf(frozen->frozen_reason, sizeof(frozen->frozen_reason), "frozen%s%s",
                   part->reason ? ": " : " on request", part->reason ? part->reason : "");
    r = take_part(frozen, run, snapshot, part, &part_bytes, reterr_error);
    end_part(bounded, part_bytes);
    if (r < 0) {
        return r;
    }
    *ret_frozen = TAKE_PTR(frozen);
    return 0;
}

void run_note_frozen(struct run *run, const struct run *frozen)
{
    pthread_mutex_lock(&run->lock);
    struct run_freezes *freezes = &run->freezes;
    freezes->ids[freezes->n_frozen % RUN_FREEZES_TOLD] = run_get_id(frozen);
    freezes->n_frozen++;
    pthread_mutex_unlock(&run->lock);
}

void run_note_not_frozen(struct run *run, uint64_t n_skipped, uint64_t n_refused)
{
    pthread_mutex_lock(&run->lock);
    run->freezes.n_skipped += n_skipped;
    run->freezes.n_refused += n_refused;
    pthread_mutex_unlock(&run->lock);
}

char *run_describe_frozen(struct run *run, struct arena *arena)
{
    const struct run_freezes *freezes = &run->freezes;
    if (freezes->n_frozen + freezes->n_skipped + freezes->n_refused == 0) {
        return NULL;
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, NOTE_MAX_BYTES);
    text_printf(&text, "frozen %" PRIu64 " time%s", freezes->n_frozen,
                freezes->n_frozen == 1 ? "" : "s");
    uint64_t n_told = freezes->n_frozen < RUN_FREEZES_TOLD ? freezes->n_frozen : RUN_FREEZES_TOLD;
    const char *before = n_told < freezes->n_frozen ? ", the last of them run " : ": run ";
    for (uint64_t i = freezes->n_frozen - n_told; i < freezes->n_frozen; i++) {
        text_printf(&text, "%s%" PRIu32, before, freezes->ids[i % RUN_FREEZES_TOLD]);
        before = ", ";
    }
    if (freezes->n_skipped > 0) {
        text_printf(&text, "; %" PRIu64 " more stalls began before the last freeze ended",
                    freezes->n_skipped);
    }
    if (freezes->n_refused > 0) {
        text_printf(&text,
                    "; %" PRIu64 " stalls were not frozen: what is frozen takes all the room "
                    "there is",
                    freezes->n_refused);
    }
    return arena_strdup(arena, text.data);
}
