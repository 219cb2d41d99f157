/* SPDX-License-Identifier: MIT */
#include "archive/history_tables.h"

#define DELTA COLUMN_DELTA
#define PLAIN COLUMN_PLAIN

static const struct column run_columns[] = {
    COLUMN(struct history_value, key, 1, PLAIN),
    COLUMN(struct history_value, value, 2, PLAIN),
};

static const struct column name_columns[] = {
    COLUMN(struct history_name_byte, byte, 1, PLAIN),
};

static const struct column image_columns[] = {
    COLUMN(struct history_image, path, 1, PLAIN),
    COLUMN(struct history_image, kind, 2, PLAIN),
    COLUMN(struct history_image, build_id_bytes, 3, PLAIN),
    COLUMN(struct history_image, inode, 4, DELTA),
    COLUMN(struct history_image, pid, 5, DELTA),
    COLUMN(struct history_image, start_ip, 6, DELTA),
    COLUMN(struct history_image, end_ip, 7, DELTA),
    COLUMN(struct history_image, start_offset, 8, PLAIN),
    COLUMN(struct history_image, device_major, 9, PLAIN),
    COLUMN(struct history_image, device_minor, 10, PLAIN),
    COLUMN(struct history_image, build_id_0, 11, PLAIN),
    COLUMN(struct history_image, build_id_8, 12, PLAIN),
    COLUMN(struct history_image, build_id_16, 13, PLAIN),
};

static const struct column code_epoch_columns[] = {
    COLUMN(struct history_code_epoch, pid, 1, DELTA),
    COLUMN(struct history_code_epoch, from_ns, 2, DELTA),
    COLUMN(struct history_code_epoch, to_ns, 3, DELTA),
};

static const struct column place_columns[] = {
    COLUMN(struct history_place, name, 1, DELTA),
};

static const struct column frame_columns[] = {
    COLUMN(struct history_frame, image, 1, PLAIN),
    COLUMN(struct history_frame, code_epoch, 2, PLAIN),
    COLUMN(struct history_frame, offset, 3, DELTA),
};

static const struct column stack_columns[] = {
    COLUMN(struct history_stack, back, 1, PLAIN),
    COLUMN(struct history_stack, rank, 2, PLAIN),
    COLUMN(struct history_stack, away, 3, PLAIN),
};

static const struct column outsider_columns[] = {
    COLUMN(struct history_outsider, tid, 1, DELTA),
    COLUMN(struct history_outsider, name, 2, DELTA),
};

static const struct column wait_object_columns[] = {
    COLUMN(struct history_wait_object, pid, 1, DELTA),
    COLUMN(struct history_wait_object, argument, 2, DELTA),
    COLUMN(struct history_wait_object, syscall, 3, PLAIN),
};

static const struct column thread_columns[] = {
    COLUMN(struct history_thread, pid, 1, DELTA),
    COLUMN(struct history_thread, tid, 2, DELTA),
    COLUMN(struct history_thread, creator_tid, 3, DELTA),
    COLUMN(struct history_thread, name, 4, PLAIN),
    COLUMN(struct history_thread, phase, 5, PLAIN),
    COLUMN(struct history_thread, wait_flags, 6, PLAIN),
    COLUMN(struct history_thread, start_ns, 7, DELTA),
    COLUMN(struct history_thread, end_ns, 8, DELTA),
    COLUMN(struct history_thread, phase_since_ns, 9, DELTA),
    COLUMN(struct history_thread, waited_ns, 10, PLAIN),
    COLUMN(struct history_thread, cpu_ns, 11, PLAIN),
    COLUMN(struct history_thread, blocked_ns, 12, PLAIN),
    COLUMN(struct history_thread, runnable_ns, 13, PLAIN),
    COLUMN(struct history_thread, n_samples, 14, PLAIN),
    COLUMN(struct history_thread, n_voluntary, 15, PLAIN),
    COLUMN(struct history_thread, n_involuntary, 16, PLAIN),
    COLUMN(struct history_thread, period_ns, 17, PLAIN),
    COLUMN(struct history_thread, wait_stack, 18, PLAIN),
    COLUMN(struct history_thread, wait_object, 19, PLAIN),
};

static const struct column pair_columns[] = {
    COLUMN(struct history_pair, thread, 1, PLAIN),
    COLUMN(struct history_pair, highest, 2, DELTA),
    COLUMN(struct history_pair, back, 3, PLAIN),
    COLUMN(struct history_pair, count, 4, PLAIN),
    COLUMN(struct history_pair, slice_class, 5, PLAIN),
};

static const struct column class_columns[] = {
    COLUMN(struct history_class, slice_class, 1, PLAIN),
    COLUMN(struct history_class, ns, 2, PLAIN),
    COLUMN(struct history_class, n_slices, 3, PLAIN),
    COLUMN(struct history_class, n_samples, 4, PLAIN),
    COLUMN(struct history_class, met_ns, 5, PLAIN),
};

static const struct column wait_sums_columns[] = {
    COLUMN(struct history_wait_sums, thread, 1, PLAIN),
    COLUMN(struct history_wait_sums, stack, 2, PLAIN),
    COLUMN(struct history_wait_sums, flags, 3, PLAIN),
    COLUMN(struct history_wait_sums, n_waits, 4, PLAIN),
    COLUMN(struct history_wait_sums, blocked_ns, 5, PLAIN),
    COLUMN(struct history_wait_sums, runnable_ns, 6, PLAIN),
    COLUMN(struct history_wait_sums, max_blocked_ns, 7, PLAIN),
};

static const struct column wake_sums_columns[] = {
    COLUMN(struct history_wake_sums, waker, 1, PLAIN),
    COLUMN(struct history_wake_sums, wakee, 2, PLAIN),
    COLUMN(struct history_wake_sums, waker_stack, 3, PLAIN),
    COLUMN(struct history_wake_sums, n_wakeups, 4, PLAIN),
    COLUMN(struct history_wake_sums, blocked_ns, 5, PLAIN),
    COLUMN(struct history_wake_sums, runnable_ns, 6, PLAIN),
};

static const struct column counter_sums_columns[] = {
    COLUMN(struct history_counter_sums, thread, 1, PLAIN),
    COLUMN(struct history_counter_sums, stack, 2, PLAIN),
    COLUMN(struct history_counter_sums, n_readings, 3, PLAIN),
    COLUMN(struct history_counter_sums, value_0, 4, PLAIN),
    COLUMN(struct history_counter_sums, value_1, 5, PLAIN),
    COLUMN(struct history_counter_sums, value_2, 6, PLAIN),
    COLUMN(struct history_counter_sums, value_3, 7, PLAIN),
};

static const struct column counter_time_columns[] = {
    COLUMN(struct history_counter_time, enabled_ns, 1, PLAIN),
    COLUMN(struct history_counter_time, running_ns, 2, PLAIN),
    COLUMN(struct history_counter_time, tail_ns, 3, PLAIN),
    COLUMN(struct history_counter_time, longest_ns, 4, PLAIN),
};

static const struct column sample_columns[] = {
    COLUMN(struct history_sample, time_ns, 1, DELTA),
    COLUMN(struct history_sample, first_next, 2, PLAIN),
    COLUMN(struct history_sample, back, 3, PLAIN),
    COLUMN(struct history_sample, period_ns, 4, DELTA),
    COLUMN(struct history_sample, cpu, 5, PLAIN),
};

static const struct column slice_columns[] = {
    COLUMN(struct history_slice, end_ns, 1, DELTA),
    COLUMN(struct history_slice, length_ns, 2, PLAIN),
    COLUMN(struct history_slice, thread, 3, PLAIN),
    COLUMN(struct history_slice, cpu, 4, PLAIN),
    COLUMN(struct history_slice, gaps, 5, PLAIN),
};

static const struct column wait_columns[] = {
    COLUMN(struct history_wait, end_ns, 1, DELTA),
    COLUMN(struct history_wait, blocked_ns, 2, PLAIN),
    COLUMN(struct history_wait, runnable_ns, 3, PLAIN),
    COLUMN(struct history_wait, thread, 4, PLAIN),
    COLUMN(struct history_wait, stack, 5, PLAIN),
    COLUMN(struct history_wait, waker, 6, PLAIN),
    COLUMN(struct history_wait, waker_stack, 7, PLAIN),
    COLUMN(struct history_wait, object, 8, PLAIN),
    COLUMN(struct history_wait, flags, 9, PLAIN),
    COLUMN(struct history_wait, gap, 10, PLAIN),
};

static const struct column reading_columns[] = {
    COLUMN(struct history_reading, time_ns, 1, DELTA),
    COLUMN(struct history_reading, thread, 2, PLAIN),
    COLUMN(struct history_reading, stack, 3, PLAIN),
    COLUMN(struct history_reading, enabled_ns, 4, PLAIN),
    COLUMN(struct history_reading, running_ns, 5, PLAIN),
    COLUMN(struct history_reading, value_0, 6, PLAIN),
    COLUMN(struct history_reading, value_1, 7, PLAIN),
    COLUMN(struct history_reading, value_2, 8, PLAIN),
    COLUMN(struct history_reading, value_3, 9, PLAIN),
};

static const struct column span_name_columns[] = {
    COLUMN(struct history_span_name, parent, 1, PLAIN),
    COLUMN(struct history_span_name, text, 2, DELTA),
};

static const struct column lane_columns[] = {
    COLUMN(struct history_lane, pid, 1, DELTA),
    COLUMN(struct history_lane, name, 2, PLAIN),
    COLUMN(struct history_lane, kind, 3, PLAIN),
    COLUMN(struct history_lane, n_spans, 4, PLAIN),
    COLUMN(struct history_lane, total_ns, 5, PLAIN),
    COLUMN(struct history_lane, first_ns, 6, DELTA),
    COLUMN(struct history_lane, last_ns, 7, DELTA),
    COLUMN(struct history_lane, state_0, 8, PLAIN),
    COLUMN(struct history_lane, state_1, 9, PLAIN),
    COLUMN(struct history_lane, state_2, 10, PLAIN),
    COLUMN(struct history_lane, state_3, 11, PLAIN),
    COLUMN(struct history_lane, state_4, 12, PLAIN),
    COLUMN(struct history_lane, state_5, 13, PLAIN),
    COLUMN(struct history_lane, state_6, 14, PLAIN),
    COLUMN(struct history_lane, state_7, 15, PLAIN),
    COLUMN(struct history_lane, state_8, 16, PLAIN),
    COLUMN(struct history_lane, state_9, 17, PLAIN),
};

static const struct column span_sums_columns[] = {
    COLUMN(struct history_span_sums, lane, 1, PLAIN),
    COLUMN(struct history_span_sums, name, 2, PLAIN),
    COLUMN(struct history_span_sums, n_spans, 3, PLAIN),
    COLUMN(struct history_span_sums, total_ns, 4, PLAIN),
    COLUMN(struct history_span_sums, min_ns, 5, PLAIN),
    COLUMN(struct history_span_sums, max_ns, 6, PLAIN),
    COLUMN(struct history_span_sums, n_waited, 7, PLAIN),
    COLUMN(struct history_span_sums, waited_ns, 8, PLAIN),
    COLUMN(struct history_span_sums, length_ns, 9, PLAIN),
};

static const struct column span_bucket_columns[] = {
    COLUMN(struct history_span_bucket, sums, 1, DELTA),
    COLUMN(struct history_span_bucket, number, 2, DELTA),
    COLUMN(struct history_span_bucket, n_spans, 3, PLAIN),
};

static const struct column origin_sums_columns[] = {
    COLUMN(struct history_origin_sums, lane, 1, PLAIN),
    COLUMN(struct history_origin_sums, name, 2, PLAIN),
    COLUMN(struct history_origin_sums, thread, 3, PLAIN),
    COLUMN(struct history_origin_sums, stack, 4, PLAIN),
    COLUMN(struct history_origin_sums, state, 5, PLAIN),
    COLUMN(struct history_origin_sums, n_spans, 6, PLAIN),
    COLUMN(struct history_origin_sums, total_ns, 7, PLAIN),
};

static const struct column span_wait_sums_columns[] = {
    COLUMN(struct history_span_wait_sums, lane, 1, PLAIN),
    COLUMN(struct history_span_wait_sums, name, 2, PLAIN),
    COLUMN(struct history_span_wait_sums, thread, 3, PLAIN),
    COLUMN(struct history_span_wait_sums, stack, 4, PLAIN),
    COLUMN(struct history_span_wait_sums, n_waits, 5, PLAIN),
    COLUMN(struct history_span_wait_sums, waited_ns, 6, PLAIN),
};

static const struct column span_counter_columns[] = {
    COLUMN(struct history_span_counter, name, 1, PLAIN),
    COLUMN(struct history_span_counter, unit, 2, PLAIN),
    COLUMN(struct history_span_counter, value, 3, PLAIN),
};

static const struct column span_attachment_columns[] = {
    COLUMN(struct history_span_attachment, label, 1, PLAIN),
    COLUMN(struct history_span_attachment, n_dimensions, 2, PLAIN),
    COLUMN(struct history_span_attachment, size_0, 3, PLAIN),
    COLUMN(struct history_span_attachment, size_1, 4, PLAIN),
    COLUMN(struct history_span_attachment, size_2, 5, PLAIN),
    COLUMN(struct history_span_attachment, size_3, 6, PLAIN),
    COLUMN(struct history_span_attachment, size_bytes, 7, PLAIN),
};

static const struct column span_details_columns[] = {
    COLUMN(struct history_span_details, queue_id, 1, DELTA),
    COLUMN(struct history_span_details, command_buffer_id, 2, DELTA),
    COLUMN(struct history_span_details, dispatch_id, 3, DELTA),
    COLUMN(struct history_span_details, wait_pid, 4, PLAIN),
    COLUMN(struct history_span_details, wait_tid, 5, PLAIN),
    COLUMN(struct history_span_details, wait_ns, 6, DELTA),
    COLUMN(struct history_span_details, wait_length_ns, 7, PLAIN),
    COLUMN(struct history_span_details, completion_pid, 8, PLAIN),
    COLUMN(struct history_span_details, completion_tid, 9, PLAIN),
    COLUMN(struct history_span_details, completion_ns, 10, DELTA),
    COLUMN(struct history_span_details, source_file, 11, PLAIN),
    COLUMN(struct history_span_details, source_function, 12, PLAIN),
    COLUMN(struct history_span_details, source_line, 13, PLAIN),
    COLUMN(struct history_span_details, n_counters, 14, PLAIN),
    COLUMN(struct history_span_details, n_attachments, 15, PLAIN),
};

/* Of the longest ones, too. */
static const struct column span_columns[] = {
    COLUMN(struct history_span, end_ns, 1, DELTA),
    COLUMN(struct history_span, length_ns, 2, PLAIN),
    COLUMN(struct history_span, queued_ns, 3, PLAIN),
    COLUMN(struct history_span, has_origin, 4, PLAIN),
    COLUMN(struct history_span, origin_tid, 5, PLAIN),
    COLUMN(struct history_span, lane, 6, PLAIN),
    COLUMN(struct history_span, name, 7, PLAIN),
    COLUMN(struct history_span, origin_thread, 8, PLAIN),
    COLUMN(struct history_span, origin_stack, 9, PLAIN),
    COLUMN(struct history_span, distance_ns, 10, PLAIN),
    COLUMN(struct history_span, details, 11, DELTA),
    COLUMN(struct history_span, state, 12, PLAIN),
};

/* The number of a kind in its frames is for ever, whatever its place in the enumeration. */
#define TABLE(name, number, type, list)                                                            \
    {                                                                                              \
        .member = "records/" name,                                                                 \
        .columns = {.kind = (number),                                                              \
                    .version = 1,                                                                  \
                    .n_columns = sizeof(list) / sizeof((list)[0]),                                 \
                    .columns = (list),                                                             \
                    .row_bytes = sizeof(type)},                                                    \
    }

static const struct history_table tables[HISTORY_KIND_N] = {
    [HISTORY_RUN] = TABLE("run", 1, struct history_value, run_columns),
    [HISTORY_NAMES] = TABLE("names", 2, struct history_name_byte, name_columns),
    [HISTORY_IMAGES] = TABLE("images", 3, struct history_image, image_columns),
    [HISTORY_CODE_EPOCHS] = TABLE("code-epochs", 4, struct history_code_epoch, code_epoch_columns),
    [HISTORY_PLACES] = TABLE("places", 5, struct history_place, place_columns),
    [HISTORY_FRAMES] = TABLE("frames", 6, struct history_frame, frame_columns),
    [HISTORY_STACKS] = TABLE("stacks", 7, struct history_stack, stack_columns),
    [HISTORY_OUTSIDERS] = TABLE("wakers", 8, struct history_outsider, outsider_columns),
    [HISTORY_WAIT_OBJECTS] =
        TABLE("wait-objects", 9, struct history_wait_object, wait_object_columns),
    [HISTORY_THREADS] = TABLE("threads", 10, struct history_thread, thread_columns),
    [HISTORY_PAIRS] = TABLE("pairs", 11, struct history_pair, pair_columns),
    [HISTORY_CLASSES] = TABLE("slice-classes", 12, struct history_class, class_columns),
    [HISTORY_WAIT_SUMS] = TABLE("wait-sums", 13, struct history_wait_sums, wait_sums_columns),
    [HISTORY_WAKE_SUMS] = TABLE("wake-sums", 14, struct history_wake_sums, wake_sums_columns),
    [HISTORY_COUNTER_SUMS] =
        TABLE("counter-sums", 15, struct history_counter_sums, counter_sums_columns),
    [HISTORY_COUNTER_TIMES] =
        TABLE("counter-times", 16, struct history_counter_time, counter_time_columns),
    [HISTORY_SAMPLES] = TABLE("samples", 17, struct history_sample, sample_columns),
    [HISTORY_SLICES] = TABLE("slices", 18, struct history_slice, slice_columns),
    [HISTORY_WAITS] = TABLE("waits", 19, struct history_wait, wait_columns),
    [HISTORY_READINGS] = TABLE("readings", 20, struct history_reading, reading_columns),
    [HISTORY_SPAN_NAMES] = TABLE("span-names", 21, struct history_span_name, span_name_columns),
    [HISTORY_LANES] = TABLE("lanes", 22, struct history_lane, lane_columns),
    [HISTORY_SPAN_SUMS] = TABLE("span-sums", 23, struct history_span_sums, span_sums_columns),
    [HISTORY_SPAN_BUCKETS] =
        TABLE("span-buckets", 24, struct history_span_bucket, span_bucket_columns),
    [HISTORY_ORIGIN_SUMS] =
        TABLE("origin-sums", 25, struct history_origin_sums, origin_sums_columns),
    [HISTORY_SPAN_WAIT_SUMS] =
        TABLE("span-wait-sums", 26, struct history_span_wait_sums, span_wait_sums_columns),
    [HISTORY_SPAN_COUNTERS] =
        TABLE("span-counters", 27, struct history_span_counter, span_counter_columns),
    [HISTORY_SPAN_ATTACHMENTS] =
        TABLE("span-attachments", 28, struct history_span_attachment, span_attachment_columns),
    [HISTORY_SPAN_DETAILS] =
        TABLE("span-details", 29, struct history_span_details, span_details_columns),
    [HISTORY_LONGEST_SPANS] = TABLE("longest-spans", 30, struct history_span, span_columns),
    [HISTORY_SPANS] = TABLE("spans", 31, struct history_span, span_columns),
};

_Static_assert(sizeof(struct history_thread) <= HISTORY_ROW_BYTES, "the largest row");
_Static_assert(LIMIT_COUNTERS == 4, "columns of readings and of their sums");
_Static_assert(ORIGIN_STATE_N == 10, "columns of lanes");
_Static_assert(LIMIT_SPAN_DIMENSIONS == 4, "columns of attachments");

const struct history_table *history_table(enum history_kind kind)
{
    return &tables[kind];
}
