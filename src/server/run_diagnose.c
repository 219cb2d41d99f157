/* SPDX-License-Identifier: MIT */
#include "server/run_diagnose.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "jit/jit_code.h"
#include "query/cause_cache.h"
#include "query/image_quality.h"
#include "query/query_names.h"
#include "server/run_diagnose_target.h"
#include "server/run_diagnose_unwind.h"
#include "server/run_internal.h"

#define MAX_COUNTERS 64
#define MAX_HINTS 16
#define MAX_IMAGES 500 /* the busiest ones; a program with more is not read by people either */

/* Everything that is collected before it is told. */
struct findings {
    struct run *run;
    struct arena *arena;
    const struct snapshot *snapshot;
    struct capture_stats capture;
    struct run_ingest_stats ingest;
    uint64_t samples, threads;
    struct diagnose_result result;
};

static void add_counter(struct findings *findings, const char *room, const char *name,
                        uint64_t value, const char *unit)
{
    struct diagnose_result *result = &findings->result;
    if (result->n_counters < MAX_COUNTERS) {
        result->counters[result->n_counters++] =
            (struct diagnose_counter){.room = room, .name = name, .value = value, .unit = unit};
    }
}

static void add_counters(struct findings *findings)
{
    const struct capture_stats *capture = &findings->capture;
    const struct run_ingest_stats *ingest = &findings->ingest;
    const struct snapshot *snapshot = findings->snapshot;
    add_counter(findings, "capture", "records_read", capture->records_read, "records");
    add_counter(findings, "capture", "bytes_read", capture->bytes_read, "bytes");
    add_counter(findings, "capture", "records_foreign", capture->records_foreign, "records");
    add_counter(findings, "capture", "records_undecodable", capture->records_undecodable,
                "records");
    add_counter(findings, "capture", "records_lost", capture->records_lost, "records");
    add_counter(findings, "capture", "throttles", capture->throttles, "times");
    add_counter(findings, "capture", "drain_rounds", capture->drain_rounds, "times");
    add_counter(findings, "capture", "drain_cpu_ns", capture->drain_cpu_ns, "ns");
    add_counter(findings, "capture", "rings", capture->n_rings, "rings");
    add_counter(findings, "capture", "ring_bytes", capture->ring_bytes, "bytes");
    add_counter(findings, "capture", "ring_fill_max_bytes", capture->ring_fill_max_bytes, "bytes");
    add_counter(findings, "capture", "events_open", capture->n_events_open, "events");
    add_counter(findings, "capture", "samples_read", capture->samples_read, "samples");
    add_counter(findings, "capture", "bytes_per_sample",
                capture->samples_read ? capture->sample_bytes_read / capture->samples_read : 0,
                "bytes");
    add_counter(findings, "capture", "samples_with_copy", capture->samples_with_copy, "samples");
    add_counter(findings, "capture", "stack_bytes_copied", capture->stack_bytes_copied, "bytes");
    add_counter(findings, "capture", "stack_bytes_now", capture->stack_bytes_now, "bytes");
    add_counter(findings, "merge", "events_delivered", capture->events_delivered, "events");
    add_counter(findings, "merge", "events_late", capture->merge_late, "events");
    add_counter(findings, "unwind", "samples_truncated", capture->samples_truncated, "samples");
    add_counter(findings, "aggregate", "queue_slabs", ingest->n_slabs, "slabs");
    add_counter(findings, "aggregate", "queue_fill_max", ingest->n_fill_max, "slabs");
    add_counter(findings, "aggregate", "queue_pushed", ingest->n_pushed, "slabs");
    add_counter(findings, "aggregate", "queue_sleeps", ingest->n_wakeups, "times");
    add_counter(findings, "aggregate", "queue_lost", ingest->n_lost, "events");
    add_counter(findings, "aggregate", "events_applied", snapshot->sequence, "events");
    add_counter(findings, "aggregate", "samples", findings->samples, "samples");
    add_counter(findings, "aggregate", "threads", findings->threads, "threads");
    add_counter(findings, "aggregate", "distinct_stacks", snapshot->n_stacks, "stacks");
    add_counter(findings, "aggregate", "switches_inferred", snapshot->n_missed_switches,
                "switches");
    add_counter(findings, "aggregate", "distinct_frames", snapshot->n_frames, "frames");
    add_counter(findings, "aggregate", "samples_stored",
                snapshot->n_samples - snapshot->first_sample, "samples");
    add_counter(findings, "aggregate", "memory_bytes", snapshot->memory_bytes, "bytes");
    add_counter(findings, "symbols", "images", snapshot->n_images, "images");
    add_counter(findings, "waits", "waits", snapshot->n_waits, "waits");
    add_counter(findings, "waits", "wakeups", snapshot->n_wakeups, "wakeups");
    add_counter(findings, "waits", "stacks_lost", snapshot->n_wait_stacks_unknown, "waits");
    add_counter(findings, "waits", "stacks_walked", capture->wait_stacks_walked, "stacks");
    add_counter(findings, "waits", "stacks_compared", capture->wait_stacks_compared, "stacks");
    add_counter(findings, "waits", "stacks_by_registers", capture->wait_stacks_trusted, "stacks");
    add_counter(findings, "waits", "stacks_late", capture->wait_stacks_late, "stacks");
    add_counter(findings, "waits", "verdict_bytes",
                cause_cache_memory_bytes(query_names_causes(run_get_names(findings->run))),
                "bytes");
}

static const char *const lost_causes[EVENT_LOST_CAUSE_N] = {
    [EVENT_LOST_RING_FULL] = "ring full",
    [EVENT_LOST_QUEUE_FULL] = "queue full",
    [EVENT_LOST_UNDECODABLE] = "undecodable",
    [EVENT_LOST_THROTTLED] = "throttled",
};

static void add_lost(struct findings *findings)
{
    for (int cause = 0; cause < EVENT_LOST_CAUSE_N; cause++) {
        findings->result.lost[cause] = (struct diagnose_lost){
            .cause = lost_causes[cause],
            .count = findings->snapshot->lost[cause],
        };
    }
    findings->result.n_lost = EVENT_LOST_CAUSE_N;
}

static const char *state_text(struct arena *arena, const struct symbol_source_info *info)
{
    switch (info->state) {
    case SYMBOL_STATE_LOADING:
        return "loading";
    case SYMBOL_STATE_LOADED:
        return info->failure[0] ? arena_printf(arena, "loaded; %s", info->failure) : "loaded";
    case SYMBOL_STATE_FAILED:
        return info->failure[0] ? arena_printf(arena, "failed: %s", info->failure) : "failed";
    case SYMBOL_STATE_IDLE:
        break;
    }
    return "not needed";
}

/* What programs made is named by what they told of it. */
static void describe_made(const struct findings *findings, struct symbol_source_info *info)
{
    struct jit_code *code = query_names_jit(run_get_names(findings->run));
    struct jit_code_stats stats = {.n_functions = 0};
    if (code) {
        jit_code_get_stats(code, &stats);
    }
    if (stats.n_functions > 0) {
        info->origin = "jitdump or perf map";
        info->state = SYMBOL_STATE_LOADED;
        info->n_functions = stats.n_functions;
    }
}

static int by_frames(const void *left, const void *right)
{
    const struct diagnose_image *a = left, *b = right;
    return a->frames < b->frames ? 1 : a->frames > b->frames ? -1 : 0;
}

static int add_images(struct findings *findings)
{
    const struct snapshot *snapshot = findings->snapshot;
    struct diagnose_result *result = &findings->result;
    result->images =
        arena_alloc_array(findings->arena, snapshot->n_images, sizeof(*result->images));
    if (!result->images) {
        return -ENOMEM;
    }
    struct image_quality *qualities;
    int r =
        image_quality_compute(snapshot, run_get_names(findings->run), findings->arena, &qualities);
    if (r < 0) {
        return r;
    }
    for (frame_id frame = 0; frame < snapshot->n_frames; frame++) {
        image_id image = snapshot_frame(snapshot, frame).image;
        if (image < snapshot->n_images) {
            result->images[image].frames++;
        }
    }
    for (image_id id = 0; id < snapshot->n_images; id++) {
        struct symbol_source_info info = {.state = SYMBOL_STATE_IDLE};
        struct diagnose_image *image = &result->images[id];
        query_names_describe(run_get_names(findings->run), id, &info);
        if (snapshot_image(snapshot, id)->kind == IMAGE_KIND_ANONYMOUS) {
            describe_made(findings, &info);
        }
        image->path = snapshot_image(snapshot, id)->path;
        image->symbols = info.origin;
        image->state = state_text(findings->arena, &info);
        image->functions = info.n_functions;
        image->samples = qualities[id].n_samples;
        image->samples_named = qualities[id].n_named;
    }
    qsort(result->images, snapshot->n_images, sizeof(*result->images), by_frames);
    result->n_images = snapshot->n_images < MAX_IMAGES ? snapshot->n_images : MAX_IMAGES;
    return 0;
}

__attribute__((format(printf, 2, 3))) static void add_hint(struct findings *findings,
                                                           const char *format, ...)
{
    struct diagnose_result *result = &findings->result;
    char text[800];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char *hint = result->n_hints < MAX_HINTS ? arena_strdup(findings->arena, text) : NULL;
    if (hint) {
        result->hints[result->n_hints++] = hint;
    }
}

/* What was left out by choice, so that a switch costs little. */
static void hint_at_short_waits(struct findings *findings)
{
    const struct capture_stats *capture = &findings->capture;
    uint64_t n_told = capture->wait_stacks_walked + capture->wait_stacks_compared;
    if (capture->wait_stacks_trusted > n_told) {
        add_hint(findings,
                 "%llu of %llu stacks of waits and wakeups were recognised by their registers "
                 "alone, since the waits of their threads are all shorter than 20 us; durations "
                 "are exact all the same",
                 (unsigned long long)capture->wait_stacks_trusted,
                 (unsigned long long)capture->wait_stacks_trusted + n_told);
    }
}

static void hint_at_losses(struct findings *findings)
{
    const uint64_t *lost = findings->snapshot->lost;
    if (lost[EVENT_LOST_RING_FULL] > 0) {
        add_hint(findings,
                 "%llu events found the kernel's buffer full: record with a lower -F, or allow "
                 "larger buffers with sudo sysctl kernel.perf_event_mlock_kb=8192",
                 (unsigned long long)lost[EVENT_LOST_RING_FULL]);
    }
    if (lost[EVENT_LOST_QUEUE_FULL] > 0) {
        add_hint(findings,
                 "%llu events were dropped because stax-server got too little CPU time: record "
                 "with a lower -F, or leave it a core",
                 (unsigned long long)lost[EVENT_LOST_QUEUE_FULL]);
    }
    if (lost[EVENT_LOST_UNDECODABLE] > 0) {
        add_hint(findings, "%llu records of the kernel made no sense: please report this",
                 (unsigned long long)lost[EVENT_LOST_UNDECODABLE]);
    }
    if (lost[EVENT_LOST_THROTTLED] > 0) {
        add_hint(findings,
                 "the kernel held samples back (%llu): record with a lower -F, or "
                 "sudo sysctl kernel.perf_cpu_time_max_percent=0",
                 (unsigned long long)lost[EVENT_LOST_THROTTLED]);
    }
}

static void hint_at_stacks(struct findings *findings)
{
    const struct diagnose_stacks *stacks = &findings->result.stacks;
    if (stacks->truncated * 100 > stacks->total) {
        add_hint(findings,
                 "%llu of %llu stacks are cut: kernel.perf_event_max_stack (127 frames unless "
                 "raised) is the usual limit",
                 (unsigned long long)stacks->truncated, (unsigned long long)stacks->total);
    }
    if (stacks->empty * 100 > stacks->total) {
        add_hint(findings, "%llu of %llu samples came without any stack",
                 (unsigned long long)stacks->empty, (unsigned long long)stacks->total);
    }
    if (findings->snapshot->folded_until_ns > findings->snapshot->start_ns) {
        add_hint(findings,
                 "the first %.1f s are kept as sums only (--max-memory, --ring): ranges "
                 "that reach into them are incomplete",
                 (double)(findings->snapshot->folded_until_ns - findings->snapshot->start_ns) /
                     1e9);
    }
    if (stacks->total == 0) {
        add_hint(findings, "no samples yet: the target has not used a CPU long enough");
    }
}

static void hint_at_symbols(struct findings *findings)
{
    const struct diagnose_result *result = &findings->result;
    uint64_t all = findings->snapshot->n_frames;
    for (size_t i = 0; i < result->n_images; i++) {
        const struct diagnose_image *image = &result->images[i];
        bool has_failed = strncmp(image->state, "failed", 6) == 0;
        if (!has_failed || image->frames * 20 < all) {
            continue;
        }
        if (strcmp(image->path, "[kernel]") == 0) {
            add_hint(findings,
                     "kernel functions have no names (%s): sudo sysctl kernel.kptr_restrict=0",
                     image->state);
        } else {
            add_hint(findings, "no names for %s: %s", image->path, image->state);
        }
    }
}

/* What the run could not capture at all, with the fix: the notes of run.start. */
static int hint_at_notes(struct findings *findings)
{
    struct run_info info;
    int r = run_describe(findings->run, findings->snapshot, findings->arena, &info);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < info.n_notes; i++) {
        add_hint(findings, "%s", info.notes[i]);
    }
    return 0;
}

static int allocate(struct findings *findings)
{
    struct diagnose_result *result = &findings->result;
    struct arena *arena = findings->arena;
    result->counters = arena_alloc_array(arena, MAX_COUNTERS + RUN_DIAGNOSE_TARGET_COUNTERS,
                                         sizeof(*result->counters));
    result->lost = arena_alloc_array(arena, EVENT_LOST_CAUSE_N + RUN_DIAGNOSE_TARGET_LOST,
                                     sizeof(*result->lost));
    result->hints =
        arena_alloc_array(arena, MAX_HINTS + RUN_DIAGNOSE_TARGET_HINTS, sizeof(*result->hints));
    return result->counters && result->lost && result->hints ? 0 : -ENOMEM;
}

/* Behind what is said of all else, which has its own room. */
static int look_at_spans(struct findings *findings)
{
    struct target_ingest_stats stats;
    struct target_producer_stats producers;
    struct run_diagnose_target target = {.snapshot = findings->snapshot, .arena = findings->arena};
    if (findings->run->spans) {
        target_ingest_stats(findings->run->spans, &stats);
        target.ingest = &stats;
    }
    if (findings->run->producers) {
        target_producers_stats(findings->run->producers, &producers);
        target.producers = &producers;
    }
    return run_diagnose_target(&target, &findings->result);
}

static int find_out(struct findings *findings)
{
    const struct snapshot *snapshot = findings->snapshot;
    struct diagnose_stacks *stacks = &findings->result.stacks;
    int r = allocate(findings);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        findings->samples += snapshot->threads[i].n_samples;
    }
    findings->threads = snapshot->n_threads;
    *stacks = (struct diagnose_stacks){
        .total = findings->samples,
        .truncated = snapshot->n_stacks_truncated,
        .empty = snapshot->n_stacks_empty,
    };
    uint64_t flawed = stacks->truncated + stacks->empty;
    stacks->complete = stacks->total > flawed ? stacks->total - flawed : 0;
    add_counters(findings);
    add_lost(findings);
    r = add_images(findings);
    if (r == 0) {
        r = run_diagnose_unwind(findings->run, findings->arena, &findings->result.unwind);
    }
    if (r < 0) {
        return r;
    }
    hint_at_losses(findings);
    hint_at_short_waits(findings);
    hint_at_stacks(findings);
    hint_at_symbols(findings);
    r = hint_at_notes(findings);
    return r ? r : look_at_spans(findings);
}

int run_diagnose(struct run *run, struct snapshot *snapshot, struct arena *arena,
                 struct diagnose_result *ret_result)
{
    enum run_state state = run_get_state(run);
    _cleanup_(snapshot_unrefp) struct snapshot *taken = snapshot ? NULL : run_take_snapshot(run);
    snapshot = snapshot ? snapshot : taken;
    if (!snapshot) {
        return -ENOMEM;
    }
    if (run->diagnosis) {
        /* As it was told where it was recorded; the state is another. */
        *ret_result = *run->diagnosis;
        ret_result->run = (struct run_stamp){.id = run_get_id(run),
                                             .state = state,
                                             .sequence = snapshot->sequence,
                                             .duration_ns = snapshot->now_ns - snapshot->start_ns};
        return 0;
    }
    struct findings findings = {
        .run = run,
        .arena = arena,
        .snapshot = snapshot,
        .result = {.run = {.id = run_get_id(run),
                           .state = state,
                           .sequence = snapshot->sequence,
                           .duration_ns = snapshot->now_ns - snapshot->start_ns},
                   .backend = run_get_backend(run)},
    };
    run_get_stats(run, &findings.capture, &findings.ingest);
    int r = find_out(&findings);
    if (r < 0) {
        return r;
    }
    *ret_result = findings.result;
    return 0;
}
