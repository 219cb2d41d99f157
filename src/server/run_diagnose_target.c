/* SPDX-License-Identifier: MIT */
#include "server/run_diagnose_target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "model/lane.h"

#define HINT_BYTES 800

struct findings {
    const struct snapshot *snapshot;
    const struct target_ingest_stats *ingest;
    const struct target_producer_stats *producers;
    struct arena *arena;
    struct diagnose_result *result;
    uint64_t spans;
    uint64_t states[ORIGIN_STATE_N];
    int error;
};

__attribute__((format(printf, 2, 3))) static void add_hint(struct findings *findings,
                                                           const char *format, ...)
{
    char text[HINT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    char *hint = arena_strdup(findings->arena, text);
    if (!hint) {
        findings->error = -ENOMEM;
        return;
    }
    findings->result->hints[findings->result->n_hints++] = hint;
}

static void add_counter(struct findings *findings, const char *name, uint64_t value,
                        const char *unit)
{
    struct diagnose_result *result = findings->result;
    result->counters[result->n_counters++] =
        (struct diagnose_counter){.room = "target", .name = name, .value = value, .unit = unit};
}

/* ---- counters ---- */

static const char *const state_counters[ORIGIN_STATE_N] = {
    [ORIGIN_LINKED] = "origins_linked",
    [ORIGIN_MISSING] = "origins_missing",
    [ORIGIN_NO_THREAD] = "origins_no_thread",
    [ORIGIN_NO_SAMPLE] = "origins_no_sample",
    [ORIGIN_NO_USER_STACK] = "origins_no_user_stack",
    [ORIGIN_TOO_FAR] = "origins_too_far",
    [ORIGIN_SYNTHETIC_TID] = "origins_synthetic_tid",
    [ORIGIN_WRONG_PID] = "origins_wrong_pid",
    [ORIGIN_OUTSIDE_RUN] = "origins_outside_run",
    [ORIGIN_PENDING] = "origins_pending",
};

static const char *const lost_counters[EVENT_SPANS_LOST_CAUSE_N] = {
    [EVENT_SPANS_LOST_TARGET_QUEUE] = "dropped_target_queue",
    [EVENT_SPANS_LOST_NO_SERVER] = "dropped_no_server",
    [EVENT_SPANS_LOST_BAD_DURATION] = "dropped_bad_duration",
    [EVENT_SPANS_LOST_OUTSIDE_RUN] = "dropped_outside_run",
    [EVENT_SPANS_LOST_MALFORMED] = "dropped_malformed",
    [EVENT_SPANS_LOST_QUEUE_FULL] = "dropped_queue_full",
};

static void add_distance(struct findings *findings, const struct distance_figures *distance,
                         const char *const names[3])
{
    add_counter(findings, names[0], distance->n > 0 ? distance->min_ns : 0, "ns");
    add_counter(findings, names[1], distance->n > 0 ? distance->sum_ns / distance->n : 0, "ns");
    add_counter(findings, names[2], distance->n > 0 ? distance->max_ns : 0, "ns");
}

static const char *const refusal_counters[TARGET_REFUSAL_N] = {
    [TARGET_REFUSED_VERSION] = "hellos_refused_version",
    [TARGET_REFUSED_MEMORY] = "hellos_refused_memory",
    [TARGET_REFUSED_LIMIT] = "hellos_refused_limit",
    [TARGET_REFUSED_REPEATED] = "hellos_refused_repeated",
};

static const char *const detail_counters[TARGET_RING_PADDING] = {
    [TARGET_RING_IDS] = "details_ids",
    [TARGET_RING_WAIT] = "details_waits",
    [TARGET_RING_COMPLETION] = "details_completions",
    [TARGET_RING_SOURCE] = "details_sources",
    [TARGET_RING_COUNTER] = "details_counters",
    [TARGET_RING_ATTACHMENT] = "details_attachments",
};

static void add_reception(struct findings *findings)
{
    const struct target_ingest_stats *ingest = findings->ingest;
    const struct target_producer_stats *producers = findings->producers;
    if (producers) {
        add_counter(findings, "programs_connected", producers->n_now, "programs");
        add_counter(findings, "programs_ever", producers->n_ever, "programs");
        for (int why = 0; why < TARGET_REFUSAL_N; why++) {
            add_counter(findings, refusal_counters[why], producers->n_refused[why], "times");
        }
    }
    for (int kind = TARGET_RING_IDS; ingest && kind < TARGET_RING_PADDING; kind++) {
        add_counter(findings, detail_counters[kind], ingest->n_details[kind], "details");
    }
}

static void add_counters(struct findings *findings)
{
    static const char *const linked[] = {"linked_distance_min", "linked_distance_avg",
                                         "linked_distance_max"};
    static const char *const too_far[] = {"too_far_distance_min", "too_far_distance_avg",
                                          "too_far_distance_max"};
    const struct snapshot *snapshot = findings->snapshot;
    const struct target_ingest_stats *ingest = findings->ingest;
    if (ingest) {
        add_counter(findings, "programs", ingest->n_sources, "programs");
        add_counter(findings, "programs_not_recorded", ingest->n_children, "programs");
        add_counter(findings, "batches_received", ingest->n_batches, "batches");
        add_counter(findings, "spans_received", ingest->n_spans, "spans");
        add_counter(findings, "names_refused", ingest->n_names_refused, "names");
        add_counter(findings, "lanes_refused", ingest->n_lanes_refused, "lanes");
        add_counter(findings, "details_refused", ingest->n_details_refused, "details");
    }
    add_reception(findings);
    add_counter(findings, "lanes", snapshot->n_lanes, "lanes");
    add_counter(findings, "span_names", snapshot->n_span_names, "names");
    add_counter(findings, "spans", findings->spans, "spans");
    add_counter(findings, "spans_stored", snapshot->n_spans - snapshot->first_span, "spans");
    add_counter(findings, "sums_without_room", snapshot->n_span_details_full, "times");
    for (int state = 0; state < ORIGIN_STATE_N; state++) {
        add_counter(findings, state_counters[state], findings->states[state], "spans");
    }
    add_counter(findings, "origin_bound", snapshot->origin_bound_ns, "ns");
    add_distance(findings, &snapshot->linked_distance, linked);
    add_distance(findings, &snapshot->too_far_distance, too_far);
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        add_counter(findings, lost_counters[cause], snapshot->spans_lost[cause], "spans");
    }
}

/* ---- what was dropped ---- */

/* What was there and could not be taken. Not what makes no sense, which is refused, nor what a
 * program ends when nobody records. */
static const char *const lost_causes[EVENT_SPANS_LOST_CAUSE_N] = {
    [EVENT_SPANS_LOST_TARGET_QUEUE] = "span: target queue full",
    [EVENT_SPANS_LOST_QUEUE_FULL] = "span: queue full",
};

uint64_t run_diagnose_spans_lost(const struct snapshot *snapshot)
{
    uint64_t n_lost = 0;
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        n_lost += lost_causes[cause] ? snapshot->spans_lost[cause] : 0;
    }
    return n_lost;
}

static void add_lost(struct findings *findings)
{
    struct diagnose_result *result = findings->result;
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        if (lost_causes[cause]) {
            result->lost[result->n_lost++] = (struct diagnose_lost){
                .cause = lost_causes[cause], .count = findings->snapshot->spans_lost[cause]};
        }
    }
}

static const char *const lost_hints[EVENT_SPANS_LOST_CAUSE_N] = {
    [EVENT_SPANS_LOST_TARGET_QUEUE] =
        "spans found the ring of their program full, the newest were dropped: stax-server was "
        "too slow to empty it; leave it a core, or report fewer and longer spans",
    [EVENT_SPANS_LOST_BAD_DURATION] =
        "spans end before they begin, or begin at 0, and were dropped: both times have to be of "
        "one clock, CLOCK_MONOTONIC, as stax_now_ns() tells it; a time of 0 is a counter of a "
        "device that was read before it was filled in",
    [EVENT_SPANS_LOST_OUTSIDE_RUN] =
        "spans ended before the recording began, or lie in the future, and were dropped: times "
        "of a device's counters have to be brought to CLOCK_MONOTONIC, as stax_now_ns() tells it",
    [EVENT_SPANS_LOST_MALFORMED] =
        "spans made no sense and were dropped: the program has written over the memory that it "
        "shares, or uses the lane or name of another process",
    [EVENT_SPANS_LOST_QUEUE_FULL] =
        "spans were dropped because stax-server got too little CPU time: leave it a core, or "
        "report fewer and longer spans",
};

static void hint_at_lost(struct findings *findings)
{
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        if (lost_hints[cause] && findings->snapshot->spans_lost[cause] > 0) {
            add_hint(findings, "%" PRIu64 " %s", findings->snapshot->spans_lost[cause],
                     lost_hints[cause]);
        }
    }
}

/* ---- floods ---- */

static void hint_at_floods(struct findings *findings)
{
    const struct snapshot *snapshot = findings->snapshot;
    const struct target_ingest_stats *ingest = findings->ingest;
    uint64_t names_refused = ingest ? ingest->n_names_refused : 0;
    uint64_t lanes_refused = ingest ? ingest->n_lanes_refused : 0;
    if (names_refused > 0 || snapshot->n_span_names >= LIMIT_SPAN_NAMES) {
        add_hint(findings,
                 "there are more names of spans than are kept (%u): the others are told as "
                 "\"(other)\"; a name shall say what is done, ids and sizes belong into counters "
                 "(stax_builder_counter())",
                 LIMIT_SPAN_NAMES);
    }
    if (lanes_refused > 0 || snapshot->n_lanes >= LIMIT_LANES) {
        add_hint(findings,
                 "there are more lanes than are kept: the others are told as \"(other)\"; a lane "
                 "is a queue or a worker that lives as long as the program, not a request");
    }
    if (ingest && ingest->n_details_refused > 0) {
        add_hint(findings,
                 "%" PRIu64 " counters and attachments were one too many for their span "
                 "(%u fit) and were left out",
                 ingest->n_details_refused, LIMIT_SPAN_DETAILS);
    }
    if (snapshot->spans_folded_until_ns > snapshot->start_ns) {
        add_hint(findings,
                 "single spans of the first %.1f s are gone (--max-memory, --ring): their sums "
                 "are kept, ranges that reach into them are incomplete",
                 (double)(snapshot->spans_folded_until_ns - snapshot->start_ns) / 1e9);
    }
}

/* ---- nothing came ---- */

static uint64_t count_refused(const struct findings *findings)
{
    uint64_t n_refused = 0;
    for (int why = 0; findings->producers && why < TARGET_REFUSAL_N; why++) {
        n_refused += findings->producers->n_refused[why];
    }
    return n_refused;
}

static void hint_at_refusals(struct findings *findings)
{
    if (count_refused(findings) == 0) {
        return;
    }
    const uint64_t *n_refused = findings->producers->n_refused;
    if (n_refused[TARGET_REFUSED_VERSION] > 0) {
        add_hint(findings, "%s",
                 "a program wanted to report spans in a version that this stax-server does not "
                 "speak: link it with the libstax-target of this stax");
    } else if (n_refused[TARGET_REFUSED_LIMIT] > 0) {
        add_hint(findings,
                 "programs wanted to report spans and %u were connected already, which is all "
                 "that there can be at once",
                 TARGET_PRODUCERS_MAX);
    } else {
        add_hint(findings, "%s",
                 "a program wanted to report spans and its memory was refused: the log of "
                 "stax-server says why (PROTOCOL.target-ring.md)");
    }
}

static void hint_at_children(struct findings *findings)
{
    uint64_t n_children = findings->ingest ? findings->ingest->n_children : 0;
    if (n_children > 0) {
        add_hint(findings,
                 "%" PRIu64 " program%s that report%s spans %s of the target and not recorded: "
                 "record --children",
                 n_children, n_children == 1 ? "" : "s", n_children == 1 ? "s" : "",
                 n_children == 1 ? "is a child" : "are children");
    }
}

static void hint_at_silence(struct findings *findings)
{
    const struct target_ingest_stats *ingest = findings->ingest;
    if (findings->spans > 0 || !ingest || ingest->n_sources == 0) {
        return;
    }
    uint64_t n_dropped = 0;
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        n_dropped += lost_hints[cause] ? findings->snapshot->spans_lost[cause] : 0;
    }
    if (n_dropped == 0) {
        add_hint(findings,
                 "%" PRIu64 " program%s with libstax-target %s connected, but no span has come: "
                 "only what is begun and ended while it is recorded is reported",
                 ingest->n_sources, ingest->n_sources == 1 ? "" : "s",
                 ingest->n_sources == 1 ? "is" : "are");
    }
}

/* ---- origins ---- */

/* Each follows "N of M spans ". */
static const char *const origin_hints[ORIGIN_STATE_N] = {
    [ORIGIN_MISSING] = "have no origin: call stax_origin_capture() where the work is queued, and "
                       "hand what it returns to the span",
    [ORIGIN_NO_THREAD] = "were queued by a thread that this run does not know: take origins with "
                         "stax_origin_capture(), not with a thread id of another system",
    [ORIGIN_NO_SAMPLE] = "were queued by a thread that was never sampled nor seen to sleep: record "
                         "with a higher -F, and without --no-off-cpu",
    [ORIGIN_NO_USER_STACK] =
        "were queued where only kernel frames are known: it is a thread of the kernel, or its "
        "stacks were not walked (see unwind)",
    [ORIGIN_TOO_FAR] = "were queued too long before or after anything that is known of their "
                       "thread: record with a higher -F",
    [ORIGIN_SYNTHETIC_TID] = "name a lane as their origin: take it on the thread that queues the "
                             "work, with stax_origin_capture()",
    [ORIGIN_WRONG_PID] = "were queued by a process that is not recorded: record --children "
                         "follows those that the target forks",
    [ORIGIN_OUTSIDE_RUN] = "were queued before the recording began or after it ended: their stack "
                           "is not known",
};

static void hint_at_origin(struct findings *findings, enum origin_state state)
{
    if (state == ORIGIN_TOO_FAR) {
        const struct distance_figures *distance = &findings->snapshot->too_far_distance;
        add_hint(findings,
                 "%" PRIu64 " of %" PRIu64 " spans %s (they are %.1f ms off, %.1f ms "
                 "are allowed)",
                 findings->states[state], findings->spans, origin_hints[state],
                 distance->n > 0 ? (double)distance->sum_ns / (double)distance->n / 1e6 : 0.0,
                 (double)findings->snapshot->origin_bound_ns / 1e6);
        return;
    }
    add_hint(findings, "%" PRIu64 " of %" PRIu64 " spans %s", findings->states[state],
             findings->spans, origin_hints[state]);
}

/* The most frequent reason first. */
static void hint_at_origins(struct findings *findings)
{
    bool is_told[ORIGIN_STATE_N] = {false};
    for (;;) {
        enum origin_state most = ORIGIN_LINKED;
        for (enum origin_state state = 0; state < ORIGIN_STATE_N; state++) {
            bool is_trouble = origin_hints[state] && !is_told[state] && findings->states[state] > 0;
            if (is_trouble &&
                (most == ORIGIN_LINKED || findings->states[state] > findings->states[most])) {
                most = state;
            }
        }
        if (most == ORIGIN_LINKED) {
            return;
        }
        is_told[most] = true;
        hint_at_origin(findings, most);
    }
}

/* ---- all of it ---- */

static bool has_anything(const struct findings *findings)
{
    const struct snapshot *snapshot = findings->snapshot;
    uint64_t n_told = snapshot->n_lanes + snapshot->n_span_names + findings->spans;
    for (int cause = 0; cause < EVENT_SPANS_LOST_CAUSE_N; cause++) {
        n_told += snapshot->spans_lost[cause];
    }
    return n_told > 0 ||
           (findings->ingest && findings->ingest->n_sources + findings->ingest->n_children > 0) ||
           count_refused(findings) > 0;
}

int run_diagnose_target(const struct run_diagnose_target *target, struct diagnose_result *result)
{
    struct findings findings = {
        .snapshot = target->snapshot,
        .ingest = target->ingest,
        .producers = target->producers,
        .arena = target->arena,
        .result = result,
    };
    for (uint32_t i = 0; i < target->snapshot->n_lanes; i++) {
        const struct lane_totals *lane = &target->snapshot->lanes[i];
        findings.spans += lane->n_spans;
        for (int state = 0; state < ORIGIN_STATE_N; state++) {
            findings.states[state] += lane->states[state];
        }
    }
    if (!has_anything(&findings)) {
        return 0;
    }
    add_counters(&findings);
    add_lost(&findings);
    hint_at_silence(&findings);
    hint_at_children(&findings);
    hint_at_refusals(&findings);
    hint_at_lost(&findings);
    hint_at_origins(&findings);
    hint_at_floods(&findings);
    return findings.error;
}
