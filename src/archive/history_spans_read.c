/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/history_spans.h"

void history_spans_reading_release(struct history_spans_reading *reading)
{
    free(reading->counters);
    free(reading->attachments);
    *reading = (struct history_spans_reading){0};
}

size_t history_spans_row_bytes(enum history_kind kind)
{
    return kind == HISTORY_SPAN_DETAILS ? sizeof(struct event_span_details) : 0;
}

/* ---- tables and sums ---- */

static int take_name(struct restore *restore, const struct history_names *names,
                     const struct history_span_name *told)
{
    const struct span_name name = {.parent = told->parent,
                                   .text = history_names_get(names, told->text)};
    return restore_add_span_name(restore, &name);
}

static int take_lane(struct restore *restore, const struct history_names *names,
                     const struct history_lane *told)
{
    const struct lane_totals totals = {
        .pid = (int64_t)told->pid,
        .name = history_names_get(names, told->name),
        .kind = told->kind,
        .n_spans = told->n_spans,
        .total_ns = told->total_ns,
        .first_ns = told->first_ns,
        .last_ns = told->last_ns,
        .states = {told->state_0, told->state_1, told->state_2, told->state_3, told->state_4,
                   told->state_5, told->state_6, told->state_7, told->state_8, told->state_9},
    };
    return restore_add_lane(restore, &totals);
}

static int take_sums(struct restore *restore, const struct history_span_sums *told)
{
    const struct span_sums sums = {
        .lane = told->lane,
        .name = told->name,
        .n_spans = told->n_spans,
        .total_ns = told->total_ns,
        .length_ns = told->length_ns,
        .min_ns = told->min_ns,
        .max_ns = told->max_ns,
        .n_waited = told->n_waited,
        .waited_ns = told->waited_ns,
    };
    return restore_add_span_sums(restore, &sums);
}

static int take_origin_sums(struct restore *restore, const struct history_origin_sums *told)
{
    const struct origin_sums sums = {
        .lane = told->lane,
        .name = told->name,
        .thread = told->thread,
        .stack = told->stack,
        .state = told->state,
        .n_spans = told->n_spans,
        .total_ns = told->total_ns,
    };
    return restore_add_origin_sums(restore, &sums);
}

static int take_wait_sums(struct restore *restore, const struct history_span_wait_sums *told)
{
    const struct span_wait_sums sums = {
        .lane = told->lane,
        .name = told->name,
        .thread = told->thread,
        .stack = told->stack,
        .n_waits = told->n_waits,
        .waited_ns = told->waited_ns,
    };
    return restore_add_span_wait_sums(restore, &sums);
}

/* ---- details, whose parts come before them ---- */

/* A copy of the row behind n_rows others. 0 or -ENOMEM. */
static int keep(void **rows, size_t *n_rows, size_t *capacity, const void *row, size_t row_bytes)
{
    if (*n_rows == *capacity) {
        size_t wanted = 2 * *capacity + 256;
        void *grown = reallocarray(*rows, wanted, row_bytes);
        if (!grown) {
            return -ENOMEM;
        }
        *rows = grown;
        *capacity = wanted;
    }
    memcpy((uint8_t *)*rows + (*n_rows)++ * row_bytes, row, row_bytes);
    return 0;
}

static int keep_counter(struct history_spans_reading *reading, const void *row)
{
    void *rows = reading->counters;
    int r = keep(&rows, &reading->n_counters, &reading->counters_capacity, row,
                 sizeof(*reading->counters));
    reading->counters = rows;
    return r;
}

static int keep_attachment(struct history_spans_reading *reading, const void *row)
{
    void *rows = reading->attachments;
    int r = keep(&rows, &reading->n_attachments, &reading->attachments_capacity, row,
                 sizeof(*reading->attachments));
    reading->attachments = rows;
    return r;
}

/* Those that are lost are the last ones: details behind them have fewer. */
static void take_parts(struct history_spans_reading *reading, struct event_span_details *details,
                       const struct history_span_details *told)
{
    for (; details->n_counters < told->n_counters && reading->next_counter < reading->n_counters;
         details->n_counters++) {
        const struct history_span_counter *row = &reading->counters[reading->next_counter++];
        struct event_span_counter *counter = &details->counters[details->n_counters];
        *counter = (struct event_span_counter){.name = row->name, .unit = row->unit};
        memcpy(&counter->value, &row->value, sizeof(counter->value));
    }
    for (; details->n_attachments < told->n_attachments &&
           reading->next_attachment < reading->n_attachments;
         details->n_attachments++) {
        const struct history_span_attachment *row =
            &reading->attachments[reading->next_attachment++];
        details->attachments[details->n_attachments] = (struct event_span_attachment){
            .label = row->label,
            .n_dimensions = row->n_dimensions < LIMIT_SPAN_DIMENSIONS ? row->n_dimensions
                                                                      : LIMIT_SPAN_DIMENSIONS,
            .dimensions = {row->size_0, row->size_1, row->size_2, row->size_3},
            .size_bytes = row->size_bytes,
        };
    }
}

static int take_details(struct history_spans_reading *reading, struct restore *restore,
                        const struct history_span_details *told)
{
    if (told->n_counters > LIMIT_SPAN_DETAILS || told->n_attachments > LIMIT_SPAN_DETAILS) {
        return -EBADMSG;
    }
    struct event_span_details details = {
        .queue_id = told->queue_id,
        .command_buffer_id = told->command_buffer_id,
        .dispatch_id = told->dispatch_id,
        .wait = {.pid = (int64_t)told->wait_pid,
                 .tid = (int64_t)told->wait_tid,
                 .time_ns = told->wait_ns},
        .wait_end_ns = told->wait_ns + told->wait_length_ns,
        .completion = {.pid = (int64_t)told->completion_pid,
                       .tid = (int64_t)told->completion_tid,
                       .time_ns = told->completion_ns},
        .source_file = told->source_file,
        .source_function = told->source_function,
        .source_line = told->source_line,
    };
    take_parts(reading, &details, told);
    return restore_add_span_details(restore, &details);
}

/* ---- spans ---- */

static struct stored_span span_of(const struct history_span *told)
{
    uint64_t start_ns = told->end_ns - told->length_ns;
    return (struct stored_span){
        .start_ns = start_ns,
        .end_ns = told->end_ns,
        .origin_ns = told->has_origin ? start_ns - told->queued_ns : 0,
        .origin_tid = (int64_t)told->origin_tid,
        .lane = told->lane,
        .name = told->name,
        .origin_thread = told->origin_thread,
        .origin_stack = told->origin_stack,
        .distance_ns = told->distance_ns,
        .details = told->details ? told->details - 1 : STORED_SPAN_NO_DETAILS,
        .state = told->state,
    };
}

int history_spans_take(struct history_spans_reading *reading, struct restore *restore,
                       const struct history_names *names, enum history_kind kind, const void *row)
{
    const struct history_span_bucket *bucket = row;
    struct stored_span span;
    switch (kind) {
    case HISTORY_SPAN_NAMES:
        return take_name(restore, names, row);
    case HISTORY_LANES:
        return take_lane(restore, names, row);
    case HISTORY_SPAN_SUMS:
        return take_sums(restore, row);
    case HISTORY_SPAN_BUCKETS:
        return restore_add_span_bucket(
            restore, bucket->sums,
            (struct span_bucket){.number = bucket->number, .n_spans = bucket->n_spans});
    case HISTORY_ORIGIN_SUMS:
        return take_origin_sums(restore, row);
    case HISTORY_SPAN_WAIT_SUMS:
        return take_wait_sums(restore, row);
    case HISTORY_SPAN_COUNTERS:
        return keep_counter(reading, row);
    case HISTORY_SPAN_ATTACHMENTS:
        return keep_attachment(reading, row);
    case HISTORY_SPAN_DETAILS:
        return take_details(reading, restore, row);
    case HISTORY_LONGEST_SPANS:
        span = span_of(row);
        return restore_add_longest_span(restore, &span);
    case HISTORY_SPANS:
        span = span_of(row);
        return restore_add_span(restore, &span);
    default:
        return -EBADMSG;
    }
}
