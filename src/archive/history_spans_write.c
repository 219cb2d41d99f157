/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/history_spans.h"

/* ---- what is told by number ---- */

static int number_details(struct history_spans_writing *writing, uint32_t details)
{
    if (details == STORED_SPAN_NO_DETAILS ||
        hash_table_find(&writing->detail_numbers, details) != HASH_TABLE_NONE) {
        return 0;
    }
    if (writing->n_details == writing->details_capacity) {
        size_t capacity = 2 * writing->details_capacity + 64;
        uint32_t *grown = reallocarray(writing->details, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        writing->details = grown;
        writing->details_capacity = capacity;
    }
    const struct event_span_details *told = snapshot_span_details(writing->snapshot, details);
    writing->n_counters += told->n_counters;
    writing->n_attachments += told->n_attachments;
    writing->details[writing->n_details] = details;
    return hash_table_add(&writing->detail_numbers, details, (uint32_t)writing->n_details++);
}

int history_spans_writing_init(struct history_spans_writing *writing,
                               const struct snapshot *snapshot, struct history_names *names)
{
    *writing = (struct history_spans_writing){.snapshot = snapshot, .names = names};
    hash_table_init(&writing->detail_numbers);
    int r = 0;
    for (uint64_t i = snapshot->first_span; i < snapshot->n_spans && r == 0; i++) {
        r = number_details(writing, snapshot_span(snapshot, i).details);
    }
    for (size_t i = 0; i < snapshot->n_longest_spans && r == 0; i++) {
        r = number_details(writing, snapshot->longest_spans[i].details);
    }
    for (size_t i = 0; i < snapshot->n_span_sums && r == 0; i++) {
        struct span_bucket bucket = {0};
        while (snapshot_span_bucket(snapshot, i, bucket.number, &bucket)) {
            writing->n_buckets++;
            bucket.number++;
        }
    }
    return r;
}

void history_spans_writing_release(struct history_spans_writing *writing)
{
    hash_table_release(&writing->detail_numbers);
    free(writing->details);
    *writing = (struct history_spans_writing){0};
}

bool history_spans_range(const struct history_spans_writing *writing, enum history_kind kind,
                         uint64_t *ret_first, uint64_t *ret_end)
{
    const struct snapshot *snapshot = writing->snapshot;
    *ret_first = 0;
    switch (kind) {
    case HISTORY_SPAN_NAMES:
        *ret_first = 1;
        *ret_end = (uint64_t)snapshot->n_span_names + 1;
        return true;
    case HISTORY_LANES:
        *ret_end = snapshot->n_lanes;
        return true;
    case HISTORY_SPAN_SUMS:
        *ret_end = snapshot->n_span_sums;
        return true;
    case HISTORY_SPAN_BUCKETS:
        *ret_end = writing->n_buckets;
        return true;
    case HISTORY_ORIGIN_SUMS:
        *ret_end = snapshot->n_origin_sums;
        return true;
    case HISTORY_SPAN_WAIT_SUMS:
        *ret_end = snapshot->n_span_wait_sums;
        return true;
    case HISTORY_SPAN_COUNTERS:
        *ret_end = writing->n_counters;
        return true;
    case HISTORY_SPAN_ATTACHMENTS:
        *ret_end = writing->n_attachments;
        return true;
    case HISTORY_SPAN_DETAILS:
        *ret_end = writing->n_details;
        return true;
    case HISTORY_LONGEST_SPANS:
        *ret_end = snapshot->n_longest_spans;
        return true;
    case HISTORY_SPANS:
        *ret_first = snapshot->first_span;
        *ret_end = snapshot->n_spans;
        return true;
    default:
        return false;
    }
}

/* ---- tables and sums ---- */

static int fill_name(struct history_spans_writing *writing, uint64_t index,
                     struct history_span_name *row)
{
    struct span_name name = snapshot_span_name(writing->snapshot, (uint32_t)index);
    *row = (struct history_span_name){.parent = name.parent};
    return history_names_put(writing->names, name.text, &row->text);
}

static int fill_lane(struct history_spans_writing *writing, uint64_t index,
                     struct history_lane *row)
{
    const struct lane_totals *totals = &writing->snapshot->lanes[index];
    *row = (struct history_lane){
        .pid = (uint64_t)totals->pid,
        .kind = totals->kind,
        .n_spans = totals->n_spans,
        .total_ns = totals->total_ns,
        .first_ns = totals->first_ns,
        .last_ns = totals->last_ns,
        .state_0 = totals->states[0],
        .state_1 = totals->states[1],
        .state_2 = totals->states[2],
        .state_3 = totals->states[3],
        .state_4 = totals->states[4],
        .state_5 = totals->states[5],
        .state_6 = totals->states[6],
        .state_7 = totals->states[7],
        .state_8 = totals->states[8],
        .state_9 = totals->states[9],
    };
    return history_names_put(writing->names, totals->name, &row->name);
}

static void fill_sums(const struct snapshot *snapshot, uint64_t index,
                      struct history_span_sums *row)
{
    const struct span_sums *sums = &snapshot->span_sums[index];
    *row = (struct history_span_sums){
        .lane = sums->lane,
        .name = sums->name,
        .n_spans = sums->n_spans,
        .total_ns = sums->total_ns,
        .length_ns = sums->length_ns,
        .min_ns = sums->min_ns,
        .max_ns = sums->max_ns,
        .n_waited = sums->n_waited,
        .waited_ns = sums->waited_ns,
    };
}

static void fill_bucket(struct history_spans_writing *writing, struct history_span_bucket *row)
{
    struct span_bucket bucket;
    while (!snapshot_span_bucket(writing->snapshot, writing->sums, writing->bucket, &bucket)) {
        writing->sums++;
        writing->bucket = 0;
    }
    *row = (struct history_span_bucket){
        .sums = (uint32_t)writing->sums, .number = bucket.number, .n_spans = bucket.n_spans};
    writing->bucket = bucket.number + 1;
}

static void fill_origin_sums(const struct snapshot *snapshot, uint64_t index,
                             struct history_origin_sums *row)
{
    const struct origin_sums *sums = &snapshot->origin_sums[index];
    *row = (struct history_origin_sums){
        .lane = sums->lane,
        .name = sums->name,
        .thread = sums->thread,
        .stack = sums->stack,
        .state = sums->state,
        .n_spans = sums->n_spans,
        .total_ns = sums->total_ns,
    };
}

static void fill_wait_sums(const struct snapshot *snapshot, uint64_t index,
                           struct history_span_wait_sums *row)
{
    const struct span_wait_sums *sums = &snapshot->span_wait_sums[index];
    *row = (struct history_span_wait_sums){
        .lane = sums->lane,
        .name = sums->name,
        .thread = sums->thread,
        .stack = sums->stack,
        .n_waits = sums->n_waits,
        .waited_ns = sums->waited_ns,
    };
}

/* ---- records ---- */

static const struct event_span_details *details_at(const struct history_spans_writing *writing,
                                                   size_t number)
{
    return snapshot_span_details(writing->snapshot, writing->details[number]);
}

/*
 * Those of a run that goes on can be other ones by now, where so many were told since the snapshot
 * was taken that their place was needed: then there are fewer than were counted, and empty rows.
 */
static void fill_counter(struct history_spans_writing *writing, struct history_span_counter *row)
{
    while (writing->counters_of < writing->n_details &&
           writing->counter >= details_at(writing, writing->counters_of)->n_counters) {
        writing->counters_of++;
        writing->counter = 0;
    }
    if (writing->counters_of == writing->n_details) {
        *row = (struct history_span_counter){0};
        return;
    }
    const struct event_span_counter *counter =
        &details_at(writing, writing->counters_of)->counters[writing->counter++];
    *row = (struct history_span_counter){.name = counter->name, .unit = counter->unit};
    memcpy(&row->value, &counter->value, sizeof(row->value));
}

static void fill_attachment(struct history_spans_writing *writing,
                            struct history_span_attachment *row)
{
    while (writing->attachments_of < writing->n_details &&
           writing->attachment >= details_at(writing, writing->attachments_of)->n_attachments) {
        writing->attachments_of++;
        writing->attachment = 0;
    }
    if (writing->attachments_of == writing->n_details) {
        *row = (struct history_span_attachment){0};
        return;
    }
    const struct event_span_attachment *attachment =
        &details_at(writing, writing->attachments_of)->attachments[writing->attachment++];
    *row = (struct history_span_attachment){
        .label = attachment->label,
        .n_dimensions = (uint8_t)attachment->n_dimensions,
        .size_0 = attachment->dimensions[0],
        .size_1 = attachment->dimensions[1],
        .size_2 = attachment->dimensions[2],
        .size_3 = attachment->dimensions[3],
        .size_bytes = attachment->size_bytes,
    };
}

static void fill_details(const struct history_spans_writing *writing, uint64_t index,
                         struct history_span_details *row)
{
    const struct event_span_details *details = details_at(writing, (size_t)index);
    *row = (struct history_span_details){
        .queue_id = details->queue_id,
        .command_buffer_id = details->command_buffer_id,
        .dispatch_id = details->dispatch_id,
        .wait_pid = (uint64_t)details->wait.pid,
        .wait_tid = (uint64_t)details->wait.tid,
        .wait_ns = details->wait.time_ns,
        .wait_length_ns = details->wait_end_ns - details->wait.time_ns,
        .completion_pid = (uint64_t)details->completion.pid,
        .completion_tid = (uint64_t)details->completion.tid,
        .completion_ns = details->completion.time_ns,
        .source_file = details->source_file,
        .source_function = details->source_function,
        .source_line = details->source_line,
        .n_counters = (uint8_t)details->n_counters,
        .n_attachments = (uint8_t)details->n_attachments,
    };
}

static void fill_span(const struct history_spans_writing *writing, const struct stored_span *span,
                      struct history_span *row)
{
    uint32_t number = span->details == STORED_SPAN_NO_DETAILS
                          ? HASH_TABLE_NONE
                          : hash_table_find(&writing->detail_numbers, span->details);
    *row = (struct history_span){
        .end_ns = span->end_ns,
        .length_ns = span->end_ns - span->start_ns,
        .queued_ns = span->origin_ns ? span->start_ns - span->origin_ns : 0,
        .has_origin = span->origin_ns != 0,
        .origin_tid = (uint64_t)span->origin_tid,
        .lane = span->lane,
        .name = span->name,
        .origin_thread = span->origin_thread,
        .origin_stack = span->origin_stack,
        .distance_ns = span->distance_ns,
        .details = number == HASH_TABLE_NONE ? 0 : number + 1,
        .state = span->state,
    };
}

int history_spans_fill(struct history_spans_writing *writing, enum history_kind kind,
                       uint64_t index, void *row)
{
    const struct snapshot *snapshot = writing->snapshot;
    struct stored_span span;
    switch (kind) {
    case HISTORY_SPAN_NAMES:
        return fill_name(writing, index, row);
    case HISTORY_LANES:
        return fill_lane(writing, index, row);
    case HISTORY_SPAN_SUMS:
        fill_sums(snapshot, index, row);
        break;
    case HISTORY_SPAN_BUCKETS:
        fill_bucket(writing, row);
        break;
    case HISTORY_ORIGIN_SUMS:
        fill_origin_sums(snapshot, index, row);
        break;
    case HISTORY_SPAN_WAIT_SUMS:
        fill_wait_sums(snapshot, index, row);
        break;
    case HISTORY_SPAN_COUNTERS:
        fill_counter(writing, row);
        break;
    case HISTORY_SPAN_ATTACHMENTS:
        fill_attachment(writing, row);
        break;
    case HISTORY_SPAN_DETAILS:
        fill_details(writing, index, row);
        break;
    case HISTORY_LONGEST_SPANS:
        fill_span(writing, &snapshot->longest_spans[index], row);
        break;
    case HISTORY_SPANS:
        span = snapshot_span(snapshot, index);
        fill_span(writing, &span, row);
        break;
    default:
        break;
    }
    return 0;
}
