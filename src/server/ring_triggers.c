/* SPDX-License-Identifier: MIT */
/*
 * Stored waits and slices are walked by their numbers, so that each is met once
 * however late it is told; those that lasted in an earlier look are known again
 * by their thread and start, which does not move.
 */
#include "server/ring_triggers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/query_names.h"
#include "query/wait_causes.h"

#define NAMES_WAIT_MS 1000

struct rule {
    bool is_for_cpu;
    bool has_reason; /* else all reasons but idle and sleep */
    enum wait_reason reason;
    uint64_t longer_than_ns;
};

struct known_thread {
    uint64_t met_wait_ns; /* the start of the last wait that was met and was long enough */
    uint64_t met_runq_ns; /* likewise of waiting for a CPU */
    uint64_t slice_end_ns;
    uint64_t runq_since_ns; /* a long wait for a CPU lasts since then; 0: none does */
};

struct ring_triggers {
    size_t n_rules;
    struct rule rules[RING_TRIGGERS_MAX];
    uint64_t least_wait_ns, least_runq_ns; /* shorter ones are nobody's business */
    uint64_t next_wait, next_slice;
    uint64_t slices_from_ns; /* those before it were not all looked at; 0: they were */
    struct known_thread *threads;
    size_t n_threads;
};

/* One look. */
struct look {
    struct ring_triggers *triggers;
    const struct query_context *context;
    const struct snapshot *snapshot;
    struct wait_causes causes;
    bool has_settled; /* names were waited for */
    uint64_t known_until_ns;
    bool is_last;
    struct ring_hit *hit;
    uint64_t n_skipped;
};

struct long_wait {
    thread_id thread;
    uint64_t start_ns, length_ns;
    bool is_open, is_for_cpu;
    stack_id stack;
    wait_object_id object;
};

/* ---- the rules ---- */

static int read_rule(const struct ring_trigger *trigger, struct rule *rule,
                     struct error *reterr_error)
{
    if (trigger->longer_than_ns > RING_MAX_NS) {
        error_set(reterr_error, "invalid_params", "triggers: nothing is waited for over a year");
        return -EINVAL;
    }
    *rule = (struct rule){.longer_than_ns = trigger->longer_than_ns};
    if (strcmp(trigger->on, "runq") == 0) {
        rule->is_for_cpu = true;
    } else if (strcmp(trigger->on, "off-cpu") != 0) {
        rule->has_reason = wait_reason_parse(trigger->on, &rule->reason);
        if (!rule->has_reason) {
            error_set(reterr_error, "invalid_params",
                      "triggers: '%s' is neither off-cpu nor runq nor a reason to wait",
                      trigger->on);
            return -EINVAL;
        }
    }
    return 0;
}

int ring_triggers_new(const struct ring_trigger *triggers, size_t n_triggers,
                      struct ring_triggers **ret_triggers, struct error *reterr_error)
{
    if (n_triggers > RING_TRIGGERS_MAX) {
        error_set(reterr_error, "invalid_params", "triggers: at most %u", RING_TRIGGERS_MAX);
        return -EINVAL;
    }
    _cleanup_(ring_triggers_freep) struct ring_triggers *made = calloc(1, sizeof(*made));
    if (!made) {
        return -ENOMEM;
    }
    made->least_wait_ns = made->least_runq_ns = UINT64_MAX;
    for (size_t i = 0; i < n_triggers; i++) {
        struct rule *rule = &made->rules[made->n_rules++];
        int r = read_rule(&triggers[i], rule, reterr_error);
        if (r != 0) {
            return r;
        }
        uint64_t *least_ns = rule->is_for_cpu ? &made->least_runq_ns : &made->least_wait_ns;
        *least_ns = rule->longer_than_ns < *least_ns ? rule->longer_than_ns : *least_ns;
    }
    *ret_triggers = TAKE_PTR(made);
    return 0;
}

uint64_t ring_triggers_reach_ns(const struct ring_trigger *triggers, size_t n_triggers)
{
    uint64_t longest_ns = 0;
    for (size_t i = 0; i < n_triggers; i++) {
        uint64_t wait_ns = triggers[i].longer_than_ns;
        longest_ns = wait_ns > longest_ns ? wait_ns : longest_ns;
    }
    return n_triggers > 0 ? longest_ns + RING_PATIENCE_NS : 0;
}

struct ring_triggers *ring_triggers_free(struct ring_triggers *triggers)
{
    if (triggers) {
        free(triggers->threads);
        free(triggers);
    }
    return NULL;
}

/* ---- is it one? ---- */

/* Neither where the thread waits nor in which system call: it may as well be idle. */
static bool is_unknown(const struct long_wait *wait)
{
    return wait->stack == STACK_ID_EMPTY && wait->object == 0;
}

static bool is_meant(const struct look *look, const struct long_wait *wait, enum wait_reason reason)
{
    bool meant = false;
    bool is_any = reason != WAIT_REASON_IDLE && reason != WAIT_REASON_SLEEP && !is_unknown(wait);
    for (size_t i = 0; i < look->triggers->n_rules && !meant; i++) {
        const struct rule *rule = &look->triggers->rules[i];
        uint64_t patience_ns = wait->is_open && !look->is_last ? RING_PATIENCE_NS : 0;
        if (rule->is_for_cpu != wait->is_for_cpu ||
            wait->length_ns <= rule->longer_than_ns + patience_ns) {
            continue;
        }
        meant = rule->is_for_cpu || (rule->has_reason ? rule->reason == reason : is_any);
    }
    return meant;
}

static int find_reason(struct look *look, const struct long_wait *wait,
                       enum wait_reason *ret_reason)
{
    *ret_reason = WAIT_REASON_OTHER;
    if (wait->is_for_cpu || is_unknown(wait)) {
        return 0;
    }
    if (!look->has_settled) {
        look->has_settled = true;
        query_names_settle(look->context->names, NAMES_WAIT_MS);
    }
    const struct wait_cause_entry *entry =
        wait_causes_get(&look->causes, wait->stack, wait->object);
    if (!entry) {
        return -ENOMEM;
    }
    *ret_reason = entry->reason;
    return 0;
}

/* A wait that is long enough for some trigger. */
static int meet(struct look *look, const struct long_wait *wait)
{
    struct known_thread *thread = &look->triggers->threads[wait->thread];
    uint64_t *met_ns = wait->is_for_cpu ? &thread->met_runq_ns : &thread->met_wait_ns;
    if (wait->start_ns <= *met_ns) {
        return 0; /* it lasted when it was met */
    }
    enum wait_reason reason;
    int r = find_reason(look, wait, &reason);
    if (r != 0 || !is_meant(look, wait, reason)) {
        return r;
    }
    *met_ns = wait->start_ns;
    if (wait->start_ns < look->known_until_ns) {
        look->n_skipped++;
        return 0;
    }
    struct ring_hit *hit = look->hit;
    if (hit->n_waits == 0 || wait->start_ns < hit->first_start_ns) {
        hit->first_start_ns = wait->start_ns;
    }
    hit->n_waits++;
    if (wait->length_ns > hit->length_ns) {
        const struct thread_totals *totals = &look->snapshot->threads[wait->thread];
        hit->start_ns = wait->start_ns;
        hit->length_ns = wait->length_ns;
        hit->is_open = wait->is_open;
        hit->is_for_cpu = wait->is_for_cpu;
        hit->reason = reason;
        hit->tid = totals->tid;
        hit->name = totals->name;
    }
    return 0;
}

static int meet_wait(struct look *look, const struct long_wait *wait)
{
    return wait->length_ns > look->triggers->least_wait_ns ? meet(look, wait) : 0;
}

static int meet_runq(struct look *look, thread_id thread, uint64_t since_ns, uint64_t until_ns,
                     bool is_open)
{
    if (until_ns <= since_ns || until_ns - since_ns <= look->triggers->least_runq_ns) {
        return 0;
    }
    const struct long_wait wait = {
        .thread = thread,
        .start_ns = since_ns,
        .length_ns = until_ns - since_ns,
        .is_open = is_open,
        .is_for_cpu = true,
    };
    return meet(look, &wait);
}

/* ---- what there is ---- */

static int look_at_wait(struct look *look, const struct stored_wait *stored)
{
    const struct long_wait wait = {
        .thread = stored->thread,
        .start_ns = stored->start_ns,
        .length_ns = stored->wake_ns - stored->start_ns,
        .stack = stored->stack,
        .object = stored->object,
    };
    int r = meet_wait(look, &wait);
    return r ? r : meet_runq(look, stored->thread, stored->wake_ns, stored->end_ns, false);
}

static int look_at_waits(struct look *look)
{
    const struct snapshot *snapshot = look->snapshot;
    struct ring_triggers *triggers = look->triggers;
    uint64_t n_stored = snapshot->n_waits - snapshot->n_newest_waits;
    uint64_t first =
        triggers->next_wait > snapshot->first_wait ? triggers->next_wait : snapshot->first_wait;
    int r = 0;
    for (uint64_t i = first; i < snapshot->n_waits && r == 0; i++) {
        r = look_at_wait(look, snapshot_wait(snapshot, i));
    }
    triggers->next_wait = n_stored;
    return r;
}

/* What a thread did before, where none of its slices is known. */
static uint64_t first_known_ns(const struct look *look, thread_id thread)
{
    uint64_t start_ns = look->snapshot->threads[thread].start_ns;
    uint64_t from_ns = look->triggers->slices_from_ns;
    return start_ns > from_ns ? start_ns : from_ns;
}

/* Slices were dropped that nobody has looked at: what a thread did last is not known any more. */
static void forget_slices(struct look *look)
{
    struct ring_triggers *triggers = look->triggers;
    triggers->slices_from_ns = look->snapshot->folded_until_ns;
    for (size_t i = 0; i < triggers->n_threads; i++) {
        triggers->threads[i].slice_end_ns = 0;
        triggers->threads[i].runq_since_ns = 0;
    }
}

/* The time before it that the thread wanted a CPU; slices of no length cut a long one. */
static int look_at_slice(struct look *look, const struct stored_slice *slice)
{
    struct known_thread *thread = &look->triggers->threads[slice->thread];
    bool is_mark = slice->start_ns == slice->end_ns;
    int r = 0;
    if (slice->before == GAP_RUNNABLE) {
        uint64_t since_ns = thread->runq_since_ns;
        since_ns = since_ns ? since_ns : thread->slice_end_ns;
        since_ns = since_ns ? since_ns : first_known_ns(look, slice->thread);
        thread->runq_since_ns = is_mark ? since_ns : 0;
        r = is_mark ? 0 : meet_runq(look, slice->thread, since_ns, slice->start_ns, false);
    }
    thread->slice_end_ns = slice->end_ns;
    return r;
}

static int look_at_slices(struct look *look)
{
    const struct snapshot *snapshot = look->snapshot;
    struct ring_triggers *triggers = look->triggers;
    uint64_t first = triggers->next_slice;
    int r = 0;
    if (first < snapshot->first_slice) {
        first = snapshot->first_slice;
        forget_slices(look);
    }
    for (uint64_t i = first; i < snapshot->n_slices && r == 0; i++) {
        r = look_at_slice(look, snapshot_slice(snapshot, i));
    }
    triggers->next_slice = snapshot->n_slices;
    return r;
}

/* What lasts. */
static int look_at_thread(struct look *look, thread_id id)
{
    const struct thread_totals *totals = &look->snapshot->threads[id];
    uint64_t now_ns = look->snapshot->now_ns;
    uint64_t cut_ns = look->triggers->threads[id].runq_since_ns;
    if (totals->phase == THREAD_PHASE_BLOCKED && totals->phase_since_ns < now_ns) {
        const struct long_wait wait = {
            .thread = id,
            .start_ns = totals->phase_since_ns,
            .length_ns = now_ns - totals->phase_since_ns,
            .is_open = true,
            .stack = totals->wait_stack,
            .object = totals->wait_object,
        };
        return meet_wait(look, &wait);
    }
    if (totals->phase == THREAD_PHASE_RUNNABLE) {
        return meet_runq(look, id, cut_ns ? cut_ns : totals->phase_since_ns, now_ns, true);
    }
    if (totals->phase == THREAD_PHASE_RUNNING && totals->waited_since_ns < totals->phase_since_ns) {
        return meet_runq(look, id, cut_ns ? cut_ns : totals->waited_since_ns,
                         totals->phase_since_ns, false);
    }
    return 0;
}

static int make_room(struct ring_triggers *triggers, size_t n_threads)
{
    if (n_threads > triggers->n_threads) {
        size_t n_room = n_threads + n_threads / 2 + 64;
        struct known_thread *grown = reallocarray(triggers->threads, n_room, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        memset(grown + triggers->n_threads, 0, (n_room - triggers->n_threads) * sizeof(*grown));
        triggers->threads = grown;
        triggers->n_threads = n_room;
    }
    return 0;
}

int ring_triggers_look(struct ring_triggers *triggers, const struct query_context *context,
                       uint64_t known_until_ns, bool is_last, struct ring_hit *ret_hit,
                       uint64_t *ret_n_skipped)
{
    const struct snapshot *snapshot = context->snapshot;
    *ret_hit = (struct ring_hit){.n_waits = 0};
    *ret_n_skipped = 0;
    struct look look = {
        .triggers = triggers,
        .context = context,
        .snapshot = snapshot,
        .known_until_ns = known_until_ns,
        .is_last = is_last,
        .hit = ret_hit,
    };
    int r = make_room(triggers, snapshot->n_threads);
    r = r ? r : wait_causes_init(context, &look.causes);
    if (r != 0) {
        return r;
    }
    r = look_at_waits(&look);
    if (r == 0 && triggers->least_runq_ns != UINT64_MAX) {
        r = look_at_slices(&look);
    }
    for (size_t i = 0; r == 0 && i < snapshot->n_threads; i++) {
        r = look_at_thread(&look, (thread_id)i);
    }
    wait_causes_release(&look.causes);
    *ret_n_skipped = look.n_skipped;
    return r;
}
