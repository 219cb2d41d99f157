/* SPDX-License-Identifier: MIT */
/*
 * Only what the snapshot publishes is read, so that the run may go on
 * meanwhile. The same snapshot always gives the same bytes.
 *
 * Tables say what samples have met, so that these are put together first; they
 * are held back until the tables are written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/history_callees.h"
#include "archive/history_gaps.h"
#include "archive/history_names.h"
#include "archive/history_pairs.h"
#include "archive/history_spans.h"
#include "archive/history_tables.h"
#include "archive/run_history.h"

struct run_history_writing {
    const struct snapshot *snapshot;
    struct history_names names;
    uint32_t n_places; /* named places that frames are in */
    uint64_t first[HISTORY_KIND_N], n_rows[HISTORY_KIND_N];
    void *rows;                                   /* of one frame */
    struct column_buffer members[HISTORY_KIND_N]; /* up to HISTORY_SAMPLES, then one at a time */
    struct history_callees callees;
    struct history_pairs pairs;
    struct history_gaps gaps;
    struct history_spans_writing spans;
    enum history_kind kind;         /* that is put together */
    uint64_t wait_end_ns;           /* told last */
    uint32_t next_pair, first_next; /* of samples: see struct history_sample */
    uint32_t highest_stack;         /* of the pairs so far */
    int error;                      /* of a row */
};

typedef void (*fill_row_cb)(struct run_history_writing *source, uint64_t index, void *row);

static void note_error(struct run_history_writing *source, int r)
{
    source->error = source->error ? source->error : r;
}

static uint32_t name_number(struct run_history_writing *source, const char *name)
{
    uint32_t number = 0;
    note_error(source, history_names_put(&source->names, name, &number));
    return number;
}

/* ---- tables ---- */

static uint64_t part_of_build_id(const struct image *image, size_t from, size_t n_bytes)
{
    uint64_t part = 0;
    for (size_t i = 0; i < n_bytes && from + i < image->build_id_bytes; i++) {
        part |= (uint64_t)image->build_id[from + i] << 8 * i;
    }
    return part;
}

static void fill_image(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct image *image = snapshot_image(source->snapshot, (image_id)index);
    *(struct history_image *)row = (struct history_image){
        .path = name_number(source, image->path),
        .kind = (uint8_t)image->kind,
        .build_id_bytes = image->build_id_bytes,
        .inode = image->inode,
        .pid = (uint64_t)image->pid,
        .start_ip = image->start_ip,
        .end_ip = image->end_ip,
        .start_offset = image->start_offset,
        .device_major = image->device_major,
        .device_minor = image->device_minor,
        .build_id_0 = part_of_build_id(image, 0, 8),
        .build_id_8 = part_of_build_id(image, 8, 8),
        .build_id_16 = (uint32_t)part_of_build_id(image, 16, 4),
    };
}

static void fill_code_epoch(struct run_history_writing *source, uint64_t index, void *row)
{
    struct epoch_span span = snapshot_code_epoch(source->snapshot, (uint32_t)index);
    *(struct history_code_epoch *)row = (struct history_code_epoch){
        .pid = (uint64_t)span.pid, .from_ns = span.from_ns, .to_ns = span.to_ns};
}

static void fill_place(struct run_history_writing *source, uint64_t index, void *row)
{
    const char *name = snapshot_named_place(source->snapshot, index);
    *(struct history_place *)row = (struct history_place){.name = name_number(source, name)};
}

static void fill_frame(struct run_history_writing *source, uint64_t index, void *row)
{
    struct frame frame = snapshot_frame(source->snapshot, (frame_id)index);
    *(struct history_frame *)row = (struct history_frame){
        .image = frame.image, .code_epoch = frame.code_epoch, .offset = frame.offset};
}

static void fill_stack(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct snapshot *snapshot = source->snapshot;
    struct stack_node node = snapshot_stack(snapshot, (stack_id)index);
    size_t caller =
        node.parent == STACK_ID_EMPTY ? 0 : (size_t)snapshot_stack(snapshot, node.parent).frame + 1;
    struct history_callee callee = {0};
    note_error(source, history_callees_tell(&source->callees, caller, node.frame, &callee));
    *(struct history_stack *)row = (struct history_stack){
        .back = (uint32_t)index - node.parent, .rank = callee.rank, .away = callee.away};
}

static void fill_outsider(struct run_history_writing *source, uint64_t index, void *row)
{
    struct outsider outsider =
        snapshot_outsider(source->snapshot, WAKER_ID_OUTSIDER | (waker_id)index);
    *(struct history_outsider *)row = (struct history_outsider){
        .tid = (uint64_t)outsider.tid, .name = name_number(source, outsider.name)};
}

static void fill_wait_object(struct run_history_writing *source, uint64_t index, void *row)
{
    struct wait_object object = snapshot_wait_object(source->snapshot, (wait_object_id)index);
    *(struct history_wait_object *)row = (struct history_wait_object){
        .pid = (uint64_t)object.pid, .argument = object.argument, .syscall = object.syscall};
}

static void fill_thread(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct thread_totals *totals = &source->snapshot->threads[index];
    note_error(source, history_gaps_add_thread(&source->gaps, totals->start_ns));
    *(struct history_thread *)row = (struct history_thread){
        .pid = (uint64_t)totals->pid,
        .tid = (uint64_t)totals->tid,
        .creator_tid = (uint64_t)totals->creator_tid,
        .name = name_number(source, totals->name),
        .phase = (uint8_t)totals->phase,
        .wait_flags = totals->wait_flags,
        .start_ns = totals->start_ns,
        .end_ns = totals->end_ns,
        .phase_since_ns = totals->phase_since_ns,
        .waited_ns = totals->phase_since_ns - totals->waited_since_ns,
        .cpu_ns = totals->cpu_ns,
        .blocked_ns = totals->blocked_ns,
        .runnable_ns = totals->runnable_ns,
        .n_samples = totals->n_samples,
        .n_voluntary = totals->n_voluntary,
        .n_involuntary = totals->n_involuntary,
        .period_ns = totals->period_ns,
        .wait_stack = totals->wait_stack,
        .wait_object = totals->wait_object,
    };
}

/* ---- sums ---- */

static void fill_pair(struct run_history_writing *source, uint64_t index, void *row)
{
    uint32_t count;
    struct sample_pair pair = history_pairs_get(&source->pairs, (size_t)index, &count);
    source->highest_stack = pair.stack > source->highest_stack ? pair.stack : source->highest_stack;
    *(struct history_pair *)row = (struct history_pair){
        .thread = pair.thread,
        .count = count,
        .highest = source->highest_stack,
        .back = source->highest_stack - pair.stack,
        .slice_class = pair.slice_class,
    };
}

static void fill_class(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct snapshot *snapshot = source->snapshot;
    *(struct history_class *)row = (struct history_class){
        .slice_class = (uint8_t)index,
        .ns = snapshot->class_ns[index],
        .n_slices = snapshot->class_slices[index],
        .n_samples = snapshot->class_samples[index],
        .met_ns = snapshot->class_met_ns[index],
    };
}

static void fill_wait_sums(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct wait_sums *sums = &source->snapshot->wait_sums[index];
    *(struct history_wait_sums *)row = (struct history_wait_sums){
        .thread = sums->thread,
        .stack = sums->stack,
        .flags = sums->flags,
        .n_waits = sums->n_waits,
        .blocked_ns = sums->blocked_ns,
        .runnable_ns = sums->runnable_ns,
        .max_blocked_ns = sums->max_blocked_ns,
    };
}

static void fill_wake_sums(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct wake_sums *sums = &source->snapshot->wake_sums[index];
    *(struct history_wake_sums *)row = (struct history_wake_sums){
        .waker = history_waker_of(sums->waker),
        .wakee = sums->wakee,
        .waker_stack = sums->waker_stack,
        .n_wakeups = sums->n_wakeups,
        .blocked_ns = sums->blocked_ns,
        .runnable_ns = sums->runnable_ns,
    };
}

static void fill_counter_sums(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct counter_sums *sums = &source->snapshot->counter_sums[index];
    *(struct history_counter_sums *)row = (struct history_counter_sums){
        .thread = sums->thread,
        .stack = sums->stack,
        .n_readings = sums->n_readings,
        .value_0 = sums->values[0],
        .value_1 = sums->values[1],
        .value_2 = sums->values[2],
        .value_3 = sums->values[3],
    };
}

static void fill_counter_time(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct counter_time *time = &source->snapshot->counter_times[index];
    *(struct history_counter_time *)row = (struct history_counter_time){
        .enabled_ns = time->enabled_ns,
        .running_ns = time->running_ns,
        .tail_ns = time->tail_ns,
        .longest_ns = time->longest_ns,
    };
}

/* ---- records ---- */

static void fill_sample(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct stored_sample *sample = snapshot_sample(source->snapshot, index);
    const struct sample_pair pair = {
        .thread = sample->thread, .stack = sample->stack, .slice_class = sample->slice_class};
    uint32_t number = 0;
    note_error(source, history_pairs_find(&source->pairs, &pair, &number));
    if ((index - source->first[HISTORY_SAMPLES]) % COLUMN_FRAME_ROWS == 0) {
        source->first_next = source->next_pair;
    }
    *(struct history_sample *)row = (struct history_sample){
        .time_ns = sample->time_ns,
        .first_next = source->first_next,
        .back = source->next_pair - number,
        .period_ns = sample->period_ns,
        .cpu = sample->cpu,
    };
    source->next_pair = number >= source->next_pair ? number + 1 : source->next_pair;
}

static void fill_slice(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct stored_slice *slice = snapshot_slice(source->snapshot, index);
    note_error(source, history_gaps_add_slice(&source->gaps, slice));
    *(struct history_slice *)row = (struct history_slice){
        .end_ns = slice->end_ns,
        .length_ns = slice->end_ns - slice->start_ns,
        .thread = slice->thread,
        .cpu = slice->cpu,
        .gaps = (uint8_t)(slice->before | slice->after << 4),
    };
}

static void fill_wait(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct stored_wait *wait = snapshot_wait(source->snapshot, index);
    uint8_t gap = history_gaps_tell(&source->gaps, wait);
    source->wait_end_ns = gap == 0 ? wait->end_ns : source->wait_end_ns;
    *(struct history_wait *)row = (struct history_wait){
        .end_ns = source->wait_end_ns,
        .blocked_ns = gap == 0 ? wait->wake_ns - wait->start_ns : 0,
        .runnable_ns = wait->end_ns - wait->wake_ns,
        .gap = gap,
        .thread = wait->thread,
        .stack = wait->stack,
        .waker = history_waker_of(wait->waker),
        .waker_stack = wait->waker_stack,
        .object = wait->object,
        .flags = wait->flags,
    };
}

static void fill_reading(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct stored_reading *reading = snapshot_reading(source->snapshot, index);
    *(struct history_reading *)row = (struct history_reading){
        .time_ns = reading->time_ns,
        .thread = reading->thread,
        .stack = reading->stack,
        .enabled_ns = reading->enabled_ns,
        .running_ns = reading->running_ns,
        .value_0 = reading->values[0],
        .value_1 = reading->values[1],
        .value_2 = reading->values[2],
        .value_3 = reading->values[3],
    };
}

static void fill_of_spans(struct run_history_writing *source, uint64_t index, void *row)
{
    note_error(source, history_spans_fill(&source->spans, source->kind, index, row));
}

/* ---- the run as a whole, and the names ---- */

static void fill_name_byte(struct run_history_writing *source, uint64_t index, void *row)
{
    *(struct history_name_byte *)row =
        (struct history_name_byte){.byte = (uint8_t)source->names.bytes[index]};
}

#define N_SCALARS 30u
#define N_LOSSES (EVENT_LOST_CAUSE_N + EVENT_SPANS_LOST_CAUSE_N)

static void fill_run(struct run_history_writing *source, uint64_t index, void *row)
{
    const struct snapshot *snapshot = source->snapshot;
    const struct history_value scalars[N_SCALARS] = {
        {HISTORY_KEY_SEQUENCE, snapshot->sequence},
        {HISTORY_KEY_START_NS, snapshot->start_ns},
        {HISTORY_KEY_NOW_NS, snapshot->now_ns},
        {HISTORY_KEY_FOLDED_UNTIL_NS, snapshot->folded_until_ns},
        {HISTORY_KEY_FIRST_SAMPLE, snapshot->first_sample},
        {HISTORY_KEY_FIRST_SLICE, snapshot->first_slice},
        {HISTORY_KEY_FIRST_WAIT, snapshot->first_wait},
        {HISTORY_KEY_FIRST_READING, snapshot->first_reading},
        {HISTORY_KEY_N_KERNEL_SAMPLES, snapshot->n_kernel_samples},
        {HISTORY_KEY_N_WAIT_STACKS_UNKNOWN, snapshot->n_wait_stacks_unknown},
        {HISTORY_KEY_N_WAIT_DETAILS_FULL, snapshot->n_wait_details_full},
        {HISTORY_KEY_N_READINGS_DROPPED, snapshot->n_readings_dropped},
        {HISTORY_KEY_N_WAKEUPS, snapshot->n_wakeups},
        {HISTORY_KEY_N_STACKS_TRUNCATED, snapshot->n_stacks_truncated},
        {HISTORY_KEY_N_STACKS_EMPTY, snapshot->n_stacks_empty},
        {HISTORY_KEY_N_MISSED_SWITCHES, snapshot->n_missed_switches},
        {HISTORY_KEY_SWITCH_LAG_NS, snapshot->switch_lag_ns},
        {HISTORY_KEY_HAS_NO_SWITCHES, snapshot->has_no_switches},
        {HISTORY_KEY_FIRST_SPAN, snapshot->first_span},
        {HISTORY_KEY_SPANS_FOLDED_UNTIL_NS, snapshot->spans_folded_until_ns},
        {HISTORY_KEY_ORIGIN_BOUND_NS, snapshot->origin_bound_ns},
        {HISTORY_KEY_LINKED_N, snapshot->linked_distance.n},
        {HISTORY_KEY_LINKED_MIN_NS, snapshot->linked_distance.min_ns},
        {HISTORY_KEY_LINKED_MAX_NS, snapshot->linked_distance.max_ns},
        {HISTORY_KEY_LINKED_SUM_NS, snapshot->linked_distance.sum_ns},
        {HISTORY_KEY_TOO_FAR_N, snapshot->too_far_distance.n},
        {HISTORY_KEY_TOO_FAR_MIN_NS, snapshot->too_far_distance.min_ns},
        {HISTORY_KEY_TOO_FAR_MAX_NS, snapshot->too_far_distance.max_ns},
        {HISTORY_KEY_TOO_FAR_SUM_NS, snapshot->too_far_distance.sum_ns},
        {HISTORY_KEY_N_SPAN_DETAILS_FULL, snapshot->n_span_details_full},
    };
    struct history_value *value = row;
    if (index < N_SCALARS) {
        *value = scalars[index];
    } else if (index < N_SCALARS + EVENT_LOST_CAUSE_N) {
        uint16_t cause = (uint16_t)(index - N_SCALARS);
        *value =
            (struct history_value){(uint16_t)(HISTORY_KEY_LOST + cause), snapshot->lost[cause]};
    } else if (index < N_SCALARS + N_LOSSES) {
        uint16_t cause = (uint16_t)(index - N_SCALARS - EVENT_LOST_CAUSE_N);
        *value = (struct history_value){(uint16_t)(HISTORY_KEY_SPANS_LOST + cause),
                                        snapshot->spans_lost[cause]};
    } else {
        enum history_kind kind = (enum history_kind)(index - N_SCALARS - N_LOSSES);
        *value = (struct history_value){
            (uint16_t)(HISTORY_KEY_ROWS + history_table(kind)->columns.kind), source->n_rows[kind]};
    }
}

static const fill_row_cb fillers[HISTORY_KIND_N] = {
    [HISTORY_RUN] = fill_run,
    [HISTORY_NAMES] = fill_name_byte,
    [HISTORY_IMAGES] = fill_image,
    [HISTORY_CODE_EPOCHS] = fill_code_epoch,
    [HISTORY_PLACES] = fill_place,
    [HISTORY_FRAMES] = fill_frame,
    [HISTORY_STACKS] = fill_stack,
    [HISTORY_OUTSIDERS] = fill_outsider,
    [HISTORY_WAIT_OBJECTS] = fill_wait_object,
    [HISTORY_THREADS] = fill_thread,
    [HISTORY_PAIRS] = fill_pair,
    [HISTORY_CLASSES] = fill_class,
    [HISTORY_WAIT_SUMS] = fill_wait_sums,
    [HISTORY_WAKE_SUMS] = fill_wake_sums,
    [HISTORY_COUNTER_SUMS] = fill_counter_sums,
    [HISTORY_COUNTER_TIMES] = fill_counter_time,
    [HISTORY_SPAN_NAMES] = fill_of_spans,
    [HISTORY_LANES] = fill_of_spans,
    [HISTORY_SPAN_SUMS] = fill_of_spans,
    [HISTORY_SPAN_BUCKETS] = fill_of_spans,
    [HISTORY_ORIGIN_SUMS] = fill_of_spans,
    [HISTORY_SPAN_WAIT_SUMS] = fill_of_spans,
    [HISTORY_SAMPLES] = fill_sample,
    [HISTORY_SLICES] = fill_slice,
    [HISTORY_WAITS] = fill_wait,
    [HISTORY_READINGS] = fill_reading,
    [HISTORY_SPAN_COUNTERS] = fill_of_spans,
    [HISTORY_SPAN_ATTACHMENTS] = fill_of_spans,
    [HISTORY_SPAN_DETAILS] = fill_of_spans,
    [HISTORY_LONGEST_SPANS] = fill_of_spans,
    [HISTORY_SPANS] = fill_of_spans,
};

static void set_rows(struct run_history_writing *source, enum history_kind kind, uint64_t first,
                     uint64_t end)
{
    source->first[kind] = first;
    source->n_rows[kind] = end > first ? end - first : 0;
}

/* How many rows there are of each kind, but for the names: those are known at the end. */
static void count_rows(struct run_history_writing *source)
{
    const struct snapshot *snapshot = source->snapshot;
    for (frame_id id = 0; id < snapshot->n_frames; id++) {
        struct frame frame = snapshot_frame(snapshot, id);
        if (frame.image == IMAGE_ID_NAMED && frame.offset >= source->n_places) {
            source->n_places = (uint32_t)frame.offset + 1;
        }
    }
    set_rows(source, HISTORY_RUN, 0, N_SCALARS + N_LOSSES + HISTORY_KIND_N);
    set_rows(source, HISTORY_IMAGES, IMAGE_ID_FIRST, snapshot->n_images);
    set_rows(source, HISTORY_CODE_EPOCHS, 1, snapshot->n_code_epochs);
    set_rows(source, HISTORY_PLACES, 0, source->n_places);
    set_rows(source, HISTORY_FRAMES, 0, snapshot->n_frames);
    set_rows(source, HISTORY_STACKS, 1, snapshot->n_stacks);
    set_rows(source, HISTORY_OUTSIDERS, 0, snapshot->n_outsiders);
    set_rows(source, HISTORY_WAIT_OBJECTS, 1, snapshot->n_wait_objects);
    set_rows(source, HISTORY_THREADS, 0, snapshot->n_threads);
    set_rows(source, HISTORY_CLASSES, 0, SLICE_CLASS_N);
    set_rows(source, HISTORY_WAIT_SUMS, 0, snapshot->n_wait_sums);
    set_rows(source, HISTORY_WAKE_SUMS, 0, snapshot->n_wake_sums);
    set_rows(source, HISTORY_COUNTER_SUMS, 0, snapshot->n_counter_sums);
    set_rows(source, HISTORY_COUNTER_TIMES, 0, snapshot->n_counter_times);
    set_rows(source, HISTORY_SAMPLES, snapshot->first_sample, snapshot->n_samples);
    set_rows(source, HISTORY_SLICES, snapshot->first_slice, snapshot->n_slices);
    set_rows(source, HISTORY_WAITS, snapshot->first_wait, snapshot->n_waits);
    set_rows(source, HISTORY_READINGS, snapshot->first_reading, snapshot->n_readings);
    for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
        uint64_t first, end;
        if (history_spans_range(&source->spans, (enum history_kind)kind, &first, &end)) {
            set_rows(source, (enum history_kind)kind, first, end);
        }
    }
}

static int explain(int r, struct error *error)
{
    error_set_errno(error, r, "putting records together");
    return r;
}

static int put_together(struct run_history_writing *source, enum history_kind kind,
                        struct error *reterr_error)
{
    const struct history_table *table = history_table(kind);
    uint64_t at = source->first[kind], end = at + source->n_rows[kind];
    source->kind = kind;
    while (at < end) {
        size_t n_rows = end - at < COLUMN_FRAME_ROWS ? (size_t)(end - at) : COLUMN_FRAME_ROWS;
        for (size_t i = 0; i < n_rows; i++) {
            fillers[kind](source, at + i, (uint8_t *)source->rows + i * table->columns.row_bytes);
        }
        int r = column_append(&source->members[kind], &table->columns, source->rows, n_rows);
        r = r ? r : source->error;
        if (r != 0) {
            return explain(r, reterr_error);
        }
        at += n_rows;
    }
    return 0;
}

/* Of a kind without rows the run says that there are none. */
static int add_member(struct run_history_writing *source, enum history_kind kind,
                      struct archive_writer *writer, struct error *reterr_error)
{
    struct column_buffer *member = &source->members[kind];
    int r = source->n_rows[kind] == 0
                ? 0
                : archive_writer_add(writer, history_table(kind)->member, member->bytes,
                                     member->n_bytes, reterr_error);
    column_buffer_release(member);
    *member = (struct column_buffer){0};
    return r;
}

static int put_tables_together(struct run_history_writing *source, struct error *reterr_error)
{
    int r = source->rows ? history_names_init(&source->names) : -ENOMEM;
    r = r ? r : history_pairs_init(&source->pairs, source->snapshot);
    r = r ? r : history_spans_writing_init(&source->spans, source->snapshot, &source->names);
    if (r != 0) {
        return explain(r, reterr_error);
    }
    count_rows(source);
    for (int kind = HISTORY_NAMES + 1; kind <= HISTORY_SAMPLES && r == 0; kind++) {
        r = put_together(source, (enum history_kind)kind, reterr_error);
    }
    /* What the others have met. */
    set_rows(source, HISTORY_PAIRS, 0, history_pairs_count(&source->pairs));
    r = r ? r : put_together(source, HISTORY_PAIRS, reterr_error);
    set_rows(source, HISTORY_NAMES, 0, source->names.n_bytes);
    r = r ? r : put_together(source, HISTORY_NAMES, reterr_error);
    return r ? r : put_together(source, HISTORY_RUN, reterr_error);
}

struct run_history_writing *run_history_writing_free(struct run_history_writing *writing)
{
    if (writing) {
        history_names_release(&writing->names);
        history_callees_release(&writing->callees);
        history_pairs_release(&writing->pairs);
        history_gaps_release(&writing->gaps);
        history_spans_writing_release(&writing->spans);
        for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
            column_buffer_release(&writing->members[kind]);
        }
        free(writing->rows);
        free(writing);
    }
    return NULL;
}

int run_history_write_tables(const struct snapshot *snapshot, struct archive_writer *writer,
                             struct run_history_writing **ret_writing, struct error *reterr_error)
{
    _cleanup_(run_history_writing_freep) struct run_history_writing *source =
        calloc(1, sizeof(*source));
    if (!source) {
        return explain(-ENOMEM, reterr_error);
    }
    source->snapshot = snapshot;
    source->rows = calloc(COLUMN_FRAME_ROWS, HISTORY_ROW_BYTES);
    int r = put_tables_together(source, reterr_error);
    for (int kind = HISTORY_RUN; kind < HISTORY_SAMPLES && r == 0; kind++) {
        r = add_member(source, (enum history_kind)kind, writer, reterr_error);
    }
    if (r == 0) {
        *ret_writing = TAKE_PTR(source);
    }
    return r;
}

int run_history_write_records(struct run_history_writing *writing, struct archive_writer *writer,
                              struct error *reterr_error)
{
    int r = add_member(writing, HISTORY_SAMPLES, writer, reterr_error);
    for (int kind = HISTORY_SAMPLES + 1; kind < HISTORY_KIND_N && r == 0; kind++) {
        r = put_together(writing, (enum history_kind)kind, reterr_error);
        r = r ? r : add_member(writing, (enum history_kind)kind, writer, reterr_error);
    }
    return r;
}

int run_history_write(const struct snapshot *snapshot, struct archive_writer *writer,
                      struct error *reterr_error)
{
    _cleanup_(run_history_writing_freep) struct run_history_writing *writing = NULL;
    int r = run_history_write_tables(snapshot, writer, &writing, reterr_error);
    return r ? r : run_history_write_records(writing, writer, reterr_error);
}
