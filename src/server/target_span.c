/* SPDX-License-Identifier: MIT */
#include "server/target_span.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Clocks of devices are not exact; what lies further in the future than that is no time. */
#define FUTURE_NS NS_PER_S
/* More spans than that cannot have been lost since the last look. */
#define MAX_LOSS UINT64_C(1000000000)

struct target_source *target_source_new(struct target_producer *producer,
                                        const struct target_ring_counts *counts)
{
    struct target_source *source = calloc(1, sizeof(*source));
    if (source) {
        source->producer = producer;
        source->n_malformed = target_ring_reader_malformed(producer->reader);
        source->counts = *counts;
        source->inner_pid = target_ring_reader_pid(producer->reader);
        if (source->inner_pid != 0 && source->inner_pid != producer->pid) {
            source->threads = target_threads_new(producer->pid);
        }
    }
    return source;
}

struct target_source *target_source_free(struct target_source *source)
{
    if (source) {
        target_threads_free(source->threads);
        free(source);
    }
    return NULL;
}

/* The program may say anything, also less than before. */
static uint64_t grown(uint64_t before, uint64_t now)
{
    uint64_t n = now - before;
    return now < before ? 0 : n < MAX_LOSS ? n : MAX_LOSS;
}

void target_source_take_losses(struct target_source *source,
                               struct target_source_losses *ret_losses)
{
    struct target_ring_reader *reader = source->producer->reader;
    const struct target_ring_counts *before = &source->counts;
    struct target_ring_counts now;
    target_ring_reader_counts(reader, &now);
    uint64_t n_malformed = target_ring_reader_malformed(reader);
    *ret_losses = (struct target_source_losses){
        .n_lost = {[EVENT_SPANS_LOST_TARGET_QUEUE] =
                       grown(before->n_dropped_full, now.n_dropped_full),
                   [EVENT_SPANS_LOST_NO_SERVER] =
                       grown(before->n_dropped_no_server, now.n_dropped_no_server),
                   [EVENT_SPANS_LOST_MALFORMED] = n_malformed - source->n_malformed},
        .n_names_refused = grown(before->n_names_refused, now.n_names_refused),
        .n_lanes_refused = grown(before->n_lanes_refused, now.n_lanes_refused),
        .n_details_refused = grown(before->n_details_refused, now.n_details_refused),
    };
    source->counts = now;
    source->n_malformed = n_malformed;
}

#define NUMBER_MALFORMED (TARGET_TABLES_NONE - 1)

static uint32_t lane_number(struct target_source *source, struct target_tables *tables, uint32_t id)
{
    struct target_ring_text lane;
    if (id >= TARGET_RING_LANES) {
        return NUMBER_MALFORMED;
    }
    if (source->lanes[id] != 0) {
        return source->lanes[id] - 1;
    }
    if (!target_ring_reader_lane(source->producer->reader, id, &lane)) {
        /* It is set before a span uses it, or never. */
        source->lanes[id] = NUMBER_MALFORMED + 1;
        return NUMBER_MALFORMED;
    }
    uint32_t number = target_tables_lane(tables, source->producer->pid, &lane);
    if (number != TARGET_TABLES_NONE) {
        source->lanes[id] = number + 1;
    }
    return number;
}

/* All of the chain's first n_names have this number, for the rest of the run. */
static uint32_t settle(struct target_source *source, size_t n_names, uint32_t number)
{
    for (size_t i = 0; i < n_names; i++) {
        source->names[source->chain[i]] = number;
    }
    return number;
}

/*
 * Outer names first. A parent is smaller than its child, so this ends; and whatever comes of it is
 * remembered for the whole chain, so that no name is walked twice: a chain can be as long as the
 * table.
 */
static uint32_t new_name_number(struct target_source *source, struct target_tables *tables,
                                uint32_t id)
{
    const struct target_ring_reader *reader = source->producer->reader;
    struct target_ring_text name;
    size_t n_chain = 0;
    for (uint32_t parent; id != TARGET_RING_NAME_NONE && source->names[id] == 0; id = parent) {
        source->chain[n_chain++] = id;
        if (!target_ring_reader_parent(reader, id, &parent)) {
            return settle(source, n_chain, NUMBER_MALFORMED);
        }
    }
    uint32_t number = source->names[id];
    if (number >= NUMBER_MALFORMED) {
        return settle(source, n_chain, number);
    }
    while (n_chain > 0) {
        /* It may have changed meanwhile; what it is inside of was settled above. */
        if (!target_ring_reader_name(reader, source->chain[n_chain - 1], &name)) {
            return settle(source, n_chain, NUMBER_MALFORMED);
        }
        uint32_t outer = number;
        number = target_tables_name(tables, outer, name.text, name.n_bytes);
        if (number == TARGET_TABLES_NONE) {
            /* The next span may try again, but not walk as far for it. */
            size_t n_deep = n_chain > LIMIT_SPAN_DEPTH ? n_chain - LIMIT_SPAN_DEPTH : 0;
            settle(source, n_deep, number);
            return number;
        }
        if (number == outer) { /* "(other)", as all that is inside of it */
            return settle(source, n_chain, number);
        }
        source->names[source->chain[--n_chain]] = number;
    }
    return number;
}

static uint32_t name_number(struct target_source *source, struct target_tables *tables, uint32_t id)
{
    if (id == TARGET_RING_NAME_NONE || id >= TARGET_RING_NAMES) {
        return NUMBER_MALFORMED;
    }
    uint32_t number = source->names[id];
    return number ? number : new_name_number(source, tables, id);
}

/* Of a detail, where a name that makes no sense, or cannot be told now, is none. */
static uint32_t optional_name(struct target_source *source, struct target_tables *tables,
                              uint32_t id)
{
    uint32_t number = name_number(source, tables, id);
    return number < NUMBER_MALFORMED ? number : 0;
}

/* Of a program in another pid namespace the numbers are not those of the kernel's events. */
static uint32_t outer_tid(struct target_source *source, uint32_t tid)
{
    return source->threads ? target_threads_find(source->threads, tid) : tid;
}

static struct event_origin event_origin(struct target_source *source,
                                        const struct target_ring_origin *origin)
{
    struct event_origin known = {
        .pid = origin->pid, .tid = origin->tid, .time_ns = origin->time_ns};
    if (source->threads && origin->pid == source->inner_pid && origin->tid != 0) {
        known.pid = source->producer->pid;
        known.tid = outer_tid(source, origin->tid);
    }
    return known;
}

static void add_counter(struct target_source *source, struct target_tables *tables,
                        const struct target_ring_slot *slot, struct event_span_details *details)
{
    const struct event_span_counter counter = {
        .name = optional_name(source, tables, slot->name),
        .unit = optional_name(source, tables, slot->counter.unit),
        .value = slot->counter.value,
    };
    if (counter.name != 0 && isfinite(counter.value) && details->n_counters < LIMIT_SPAN_DETAILS) {
        details->counters[details->n_counters++] = counter;
    }
}

static void add_attachment(struct target_source *source, struct target_tables *tables,
                           const struct target_ring_slot *slot, struct event_span_details *details)
{
    if (details->n_attachments == LIMIT_SPAN_DETAILS) {
        return;
    }
    struct event_span_attachment *attachment = &details->attachments[details->n_attachments++];
    *attachment = (struct event_span_attachment){
        .label = optional_name(source, tables, slot->name),
        .size_bytes = slot->attachment.size_bytes,
        .n_dimensions = slot->attachment.n_dimensions < LIMIT_SPAN_DIMENSIONS
                            ? slot->attachment.n_dimensions
                            : LIMIT_SPAN_DIMENSIONS,
    };
    memcpy(attachment->dimensions, slot->attachment.dimensions,
           attachment->n_dimensions * sizeof(attachment->dimensions[0]));
}

static void add_detail(struct target_source *source, struct target_tables *tables,
                       const struct target_ring_slot *slot, struct event_span_details *details)
{
    switch (slot->kind) {
    case TARGET_RING_IDS:
        details->queue_id = slot->ids.queue_id;
        details->command_buffer_id = slot->ids.command_buffer_id;
        details->dispatch_id = slot->ids.dispatch_id;
        break;
    case TARGET_RING_WAIT:
        if (slot->wait.end_ns >= slot->wait.begin.time_ns) {
            details->wait = event_origin(source, &slot->wait.begin);
            details->wait_end_ns = slot->wait.end_ns;
        }
        break;
    case TARGET_RING_COMPLETION:
        details->completion = event_origin(source, &slot->completion);
        break;
    case TARGET_RING_SOURCE:
        details->source_file = optional_name(source, tables, slot->name);
        details->source_function = optional_name(source, tables, slot->source.function);
        details->source_line = slot->source.line;
        break;
    case TARGET_RING_COUNTER:
        add_counter(source, tables, slot, details);
        break;
    case TARGET_RING_ATTACHMENT:
        add_attachment(source, tables, slot, details);
        break;
    default:
        break;
    }
}

/* Whether its times make sense. */
static int check_times(const struct target_span_place *place, uint64_t start_ns, uint64_t end_ns)
{
    /* A span may be older than the run; but 0 is a counter that nobody has filled in. */
    if (end_ns < start_ns || start_ns == 0) {
        return EVENT_SPANS_LOST_BAD_DURATION;
    }
    if (end_ns < place->start_ns || end_ns > place->now_ns + FUTURE_NS) {
        return EVENT_SPANS_LOST_OUTSIDE_RUN;
    }
    return TARGET_SPAN_TOLD;
}

int target_span_tell(struct target_source *source, const struct target_span_place *place,
                     const struct target_ring_record *record)
{
    const struct target_ring_slot *slot = &record->span;
    int cause = check_times(place, slot->span.start_ns, slot->span.end_ns);
    if (cause != TARGET_SPAN_TOLD) {
        return cause;
    }
    uint32_t lane = lane_number(source, place->tables, slot->span.lane);
    uint32_t name = name_number(source, place->tables, slot->name);
    if (lane == NUMBER_MALFORMED || name == NUMBER_MALFORMED) {
        return EVENT_SPANS_LOST_MALFORMED;
    }
    struct event_span_details details;
    struct event_span span = {
        .lane = lane,
        .name = name,
        .start_ns = slot->span.start_ns,
        .end_ns = slot->span.end_ns,
        .origin = event_origin(source, &slot->span.origin),
    };
    if (record->n_details > 0) {
        memset(&details, 0, sizeof(details));
        for (uint32_t i = 0; i < record->n_details; i++) {
            add_detail(source, place->tables, &record->details[i], &details);
        }
        span.details = &details;
    }
    const struct event event = {
        .kind = EVENT_SPAN,
        .pid = source->producer->pid,
        .tid = outer_tid(source, slot->span.reporter_tid),
        .span = &span,
    };
    if (lane == TARGET_TABLES_NONE || name == TARGET_TABLES_NONE) {
        run_ingest_lose_spans(place->ingest, EVENT_SPANS_LOST_QUEUE_FULL, 1);
        return EVENT_SPANS_LOST_QUEUE_FULL;
    }
    return run_ingest_add_told(place->ingest, &event) ? TARGET_SPAN_TOLD
                                                      : EVENT_SPANS_LOST_QUEUE_FULL;
}
