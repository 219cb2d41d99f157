/* SPDX-License-Identifier: MIT */
#include "aggregate/span_events.h"

#include <errno.h>

static int apply_lane(struct aggregate *aggregate, const struct event *event)
{
    bool is_first = aggregate->lanes.n_lanes == 0;
    int r = lanes_add(&aggregate->lanes, event->pid, &event->lane);
    if (r == 0 && is_first) {
        span_events_look_back(aggregate);
    }
    return r;
}

static bool is_sound(const struct aggregate *aggregate, const struct event_span *span)
{
    return span->lane < aggregate->lanes.n_lanes && span->name != 0 &&
           span->name <= lanes_n_names(&aggregate->lanes) && span->end_ns >= span->start_ns;
}

static int apply_span(struct aggregate *aggregate, const struct event *event)
{
    const struct event_span *told = event->span;
    if (!is_sound(aggregate, told)) {
        aggregate->spans_lost[EVENT_SPANS_LOST_MALFORMED]++;
        return 0;
    }
    uint32_t row = span_totals_find(&aggregate->span_totals, told->lane, told->name);
    struct stored_span span = {
        .start_ns = told->start_ns,
        .end_ns = told->end_ns,
        .origin_ns = told->origin.tid != 0 ? told->origin.time_ns : 0,
        .origin_tid = told->origin.tid,
        .lane = told->lane,
        .name = told->name,
        .origin_thread = THREAD_ID_NONE,
        .origin_stack = STACK_ID_EMPTY,
        .state = ORIGIN_PENDING,
    };
    uint64_t index = aggregate->span_log.spans.n_items;
    if (row == SPAN_ROW_NONE || span_log_store(&aggregate->span_log, &span, told->details) != 0) {
        aggregate->spans_lost[EVENT_SPANS_LOST_QUEUE_FULL]++;
        return 0;
    }
    lanes_count(&aggregate->lanes, &span);
    span_totals_count(&aggregate->span_totals, row, &span, index,
                      told->details ? span_waited_ns(&span, told->details, aggregate->start_ns)
                                    : 0);
    return origin_links_add(aggregate, event, row);
}

int span_events_apply(struct aggregate *aggregate, const struct event *event)
{
    switch (event->kind) {
    case EVENT_LANE:
        return apply_lane(aggregate, event);
    case EVENT_SPAN_NAME:
        return lanes_add_name(&aggregate->lanes, &event->span_name);
    case EVENT_SPAN:
        return apply_span(aggregate, event);
    case EVENT_SPANS_LOST:
        if (event->spans_lost.cause < EVENT_SPANS_LOST_CAUSE_N) {
            aggregate->spans_lost[event->spans_lost.cause] += event->spans_lost.count;
        }
        return 0;
    default:
        return 0;
    }
}

/* ---- what was stored before the first lane came ---- */

/* Samples and waits that are stored, then those that are still kept back, each in its order. */
struct history {
    const struct aggregate *aggregate;
    struct stored_sample *newest;
    size_t n_newest, n_newest_waits;
    uint64_t sample, n_samples, wait, n_waits;
};

static const struct stored_sample *sample_of(const struct history *history)
{
    uint64_t n_stored = history->aggregate->samples.n_items;
    if (history->sample == history->n_samples) {
        return NULL;
    }
    return history->sample < n_stored ? chunked_get(&history->aggregate->samples, history->sample)
                                      : &history->newest[history->sample - n_stored];
}

static const struct stored_wait *wait_of(const struct history *history)
{
    const struct chunked *waits = &history->aggregate->wait_log.waits;
    if (history->wait == history->n_waits) {
        return NULL;
    }
    return history->wait < waits->n_items
               ? chunked_get(waits, history->wait)
               : &pending_waits_at(&history->aggregate->pending_waits,
                                   (size_t)(history->wait - waits->n_items))
                      ->wait;
}

static uint64_t begin_at(const struct chunked *stored, uint64_t n_items)
{
    uint64_t first = n_items > SPAN_HISTORY_MAX ? n_items - SPAN_HISTORY_MAX : 0;
    return first > stored->first_item ? first : stored->first_item;
}

/* The wait that lasts. */
static void note_present(struct aggregate *aggregate, thread_id id)
{
    const struct thread *thread = thread_table_at(aggregate->threads, id);
    const struct thread_totals *totals = &thread->totals;
    bool is_known =
        (totals->wait_flags & WAIT_FLAG_APPROXIMATE) == 0 && totals->wait_stack != STACK_ID_EMPTY;
    if (totals->phase == THREAD_PHASE_BLOCKED && is_known) {
        origin_links_note(aggregate, id, totals->phase_since_ns, totals->wait_stack);
    }
}

/* Of one thread no sample lies within a wait: by the end of the wait, and the time of the sample,
 * the points of each thread come in their order. */
void span_events_look_back(struct aggregate *aggregate)
{
    size_t n_newest = pending_samples_count(&aggregate->pending);
    struct history history = {
        .aggregate = aggregate,
        .n_newest = n_newest,
        .newest = reallocarray(NULL, n_newest + 1, sizeof(*history.newest)),
        .n_samples = aggregate->samples.n_items + n_newest,
        .n_waits =
            aggregate->wait_log.waits.n_items + pending_waits_count(&aggregate->pending_waits),
    };
    if (!history.newest) {
        return; /* no history, then */
    }
    pending_samples_copy(&aggregate->pending, history.newest);
    history.sample = begin_at(&aggregate->samples, history.n_samples);
    history.wait = begin_at(&aggregate->wait_log.waits, history.n_waits);
    for (;;) {
        const struct stored_sample *sample = sample_of(&history);
        const struct stored_wait *wait = wait_of(&history);
        if (!sample && !wait) {
            break;
        }
        if (sample && (!wait || sample->time_ns < wait->end_ns)) {
            origin_links_note(aggregate, sample->thread, sample->time_ns, sample->stack);
            history.sample++;
            continue;
        }
        bool is_known = (wait->flags & WAIT_FLAG_APPROXIMATE) == 0 && wait->stack != STACK_ID_EMPTY;
        if (is_known) {
            origin_links_note(aggregate, wait->thread, wait->start_ns, wait->stack);
        }
        history.wait++;
    }
    free(history.newest);
    for (size_t id = 0; id < thread_table_count(aggregate->threads); id++) {
        note_present(aggregate, (thread_id)id);
    }
}
