/* SPDX-License-Identifier: MIT */
/*
 * pprof's profile.proto, compressed. A sample is what one thread did in one
 * stack, with four values: samples, CPU time, waits and time off the CPU. Its
 * labels name the thread and say why it waited. A location is a frame, its
 * lines are the functions that were inlined there, innermost first. Where
 * programs have reported spans there are two values more, spans and target
 * time, and a sample for each name on each lane.
 */
#include <errno.h>
#include <stdio.h>

#include "interchange/export_format.h"
#include "interchange/export_strings.h"
#include "interchange/protobuf_write.h"

#define MESSAGE_MAX_BYTES ((size_t)1 << 26)

/* Fields of profile.proto, by message. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING_TABLE = 6,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS = 10,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
    VALUE_TYPE_TYPE = 1,
    VALUE_TYPE_UNIT = 2,
    SAMPLE_LOCATION_ID = 1,
    SAMPLE_VALUE = 2,
    SAMPLE_LABEL = 3,
    LABEL_KEY = 1,
    LABEL_STR = 2,
    LABEL_NUM = 3,
    MAPPING_ID = 1,
    MAPPING_MEMORY_START = 2,
    MAPPING_MEMORY_LIMIT = 3,
    MAPPING_FILE_OFFSET = 4,
    MAPPING_FILENAME = 5,
    MAPPING_BUILD_ID = 6,
    MAPPING_HAS_FUNCTIONS = 7,
    MAPPING_HAS_FILENAMES = 8,
    MAPPING_HAS_LINE_NUMBERS = 9,
    MAPPING_HAS_INLINE_FRAMES = 10,
    LOCATION_ID = 1,
    LOCATION_MAPPING_ID = 2,
    LOCATION_ADDRESS = 3,
    LOCATION_LINE = 4,
    LINE_FUNCTION_ID = 1,
    LINE_LINE = 2,
    FUNCTION_ID = 1,
    FUNCTION_NAME = 2,
    FUNCTION_SYSTEM_NAME = 3,
    FUNCTION_FILENAME = 4,
};

struct work {
    struct export_job *job;
    struct export_strings strings;
    struct text message, inner, packed;
};

static uint32_t number_of(struct work *work, const char *string)
{
    return export_strings_number(&work->strings, string);
}

/* ---- samples ---- */

static void put_value_type(struct work *work, uint32_t field, const char *type, const char *unit)
{
    protobuf_uint(&work->message, VALUE_TYPE_TYPE, number_of(work, type));
    protobuf_uint(&work->message, VALUE_TYPE_UNIT, number_of(work, unit));
    protobuf_put(&work->job->sink, field, &work->message);
}

static void add_label(struct work *work, const char *key, const char *text, int64_t number)
{
    text_clear(&work->inner);
    protobuf_uint(&work->inner, LABEL_KEY, number_of(work, key));
    protobuf_uint(&work->inner, LABEL_STR, text ? number_of(work, text) : 0);
    protobuf_int(&work->inner, LABEL_NUM, number);
    protobuf_message(&work->message, SAMPLE_LABEL, &work->inner);
}

/* Locations are the frames with code, numbered from 1, and behind them the places without. */
static uint64_t location_of(const struct work *work, uint32_t place)
{
    frame_id frame = work->job->frames.places[place].frame;
    return frame != EXPORT_NO_FRAME ? (uint64_t)frame + 1
                                    : (uint64_t)work->job->context->snapshot->n_frames + 1 + place;
}

static bool has_spans(const struct export_job *job)
{
    return job->spans.tree.n_nodes > 0;
}

static void put_sample(struct work *work, const struct export_thread *thread,
                       const struct export_row *row)
{
    const struct export_job *job = work->job;
    const struct snapshot *snapshot = job->context->snapshot;
    bool is_wait = row->kind == EXPORT_ROW_WAIT;
    uint32_t inner = export_inner_place(job, row, row->reason);
    uint32_t outer = export_outer_place(job, row);
    text_clear(&work->packed);
    if (inner != EXPORT_NO_PLACE) {
        protobuf_varint(&work->packed, location_of(work, inner));
    }
    for (stack_id id = row->shown_stack; id != STACK_ID_EMPTY;) {
        struct stack_node node = snapshot_stack(snapshot, id);
        protobuf_varint(&work->packed, (uint64_t)node.frame + 1);
        id = node.parent;
    }
    if (outer != EXPORT_NO_PLACE) {
        protobuf_varint(&work->packed, location_of(work, outer));
    }
    protobuf_message(&work->message, SAMPLE_LOCATION_ID, &work->packed);
    text_clear(&work->packed);
    protobuf_varint(&work->packed, is_wait ? 0 : row->n);
    protobuf_varint(&work->packed, is_wait ? 0 : row->time_ns);
    protobuf_varint(&work->packed, is_wait ? row->n : 0);
    protobuf_varint(&work->packed, is_wait ? row->time_ns : 0);
    for (size_t i = 0; i < 2 && has_spans(job); i++) {
        protobuf_varint(&work->packed, 0);
    }
    protobuf_message(&work->message, SAMPLE_VALUE, &work->packed);
    add_label(work, "thread", thread->name, 0);
    add_label(work, "tid", NULL, thread->tid);
    add_label(work, "pid", NULL, thread->pid);
    if (is_wait) {
        add_label(work, "reason", wait_reason_name(row->reason), 0);
    }
    protobuf_put(&work->job->sink, PROFILE_SAMPLE, &work->message);
}

static void put_span(struct work *work, uint32_t number)
{
    const struct export_spans *spans = &work->job->spans;
    const struct span_node *node = &spans->tree.nodes[number];
    const struct lane_totals *lane = export_spans_lane(spans, node->lane);
    uint32_t path[EXPORT_SPAN_PATH_MAX];
    text_clear(&work->packed);
    for (size_t i = export_spans_path(spans, number, path); i-- > 0;) {
        protobuf_varint(&work->packed, location_of(work, path[i]));
    }
    protobuf_message(&work->message, SAMPLE_LOCATION_ID, &work->packed);
    text_clear(&work->packed);
    for (size_t i = 0; i < 4; i++) {
        protobuf_varint(&work->packed, 0);
    }
    /* A lane tells the number of all its spans; here each is counted once. */
    protobuf_varint(&work->packed, node->name != 0 ? node->n_spans : 0);
    protobuf_varint(&work->packed, spans->self_ns[number]);
    protobuf_message(&work->message, SAMPLE_VALUE, &work->packed);
    add_label(work, "thread", export_spans_lane_name(spans, node->lane), 0);
    add_label(work, "tid", NULL, export_spans_tid(node->lane));
    add_label(work, "pid", NULL, lane->pid);
    add_label(work, "lane", lane_kind_name((enum lane_kind)lane->kind), 0);
    protobuf_put(&work->job->sink, PROFILE_SAMPLE, &work->message);
}

static void put_samples(struct work *work)
{
    const struct export_shares *shares = &work->job->shares;
    for (size_t i = 0; i < shares->n_rows; i++) {
        const struct export_row *row = &shares->rows[i];
        put_sample(work, export_shares_thread(shares, row->thread), row);
    }
    const struct export_spans *spans = &work->job->spans;
    for (uint32_t i = 0; i < spans->tree.n_nodes; i++) {
        if (spans->self_ns[i] > 0 ||
            (spans->tree.nodes[i].name != 0 && spans->tree.nodes[i].n_spans > 0)) {
            put_span(work, i);
        }
    }
}

/* ---- code ---- */

static const char *hex_of(struct arena *arena, const uint8_t *bytes, size_t n_bytes)
{
    char *text = n_bytes > 0 ? arena_alloc(arena, 2 * n_bytes + 1) : NULL;
    for (size_t i = 0; text && i < n_bytes; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return text;
}

static void put_mapping(struct work *work, image_id id)
{
    struct export_job *job = work->job;
    const struct image *image = snapshot_image(job->context->snapshot, id);
    const char *build_id = hex_of(job->context->arena, image->build_id, image->build_id_bytes);
    protobuf_uint(&work->message, MAPPING_ID, (uint64_t)id + 1);
    protobuf_uint(&work->message, MAPPING_MEMORY_START, image->start_ip);
    protobuf_uint(&work->message, MAPPING_MEMORY_LIMIT, image->end_ip);
    protobuf_uint(&work->message, MAPPING_FILE_OFFSET, image->start_offset);
    protobuf_uint(&work->message, MAPPING_FILENAME, number_of(work, image->path));
    protobuf_uint(&work->message, MAPPING_BUILD_ID, number_of(work, build_id));
    /* Names are here; nobody needs to look for the file. */
    protobuf_uint(&work->message, MAPPING_HAS_FUNCTIONS, 1);
    protobuf_uint(&work->message, MAPPING_HAS_FILENAMES, 1);
    protobuf_uint(&work->message, MAPPING_HAS_LINE_NUMBERS, 1);
    protobuf_uint(&work->message, MAPPING_HAS_INLINE_FRAMES, 1);
    protobuf_put(&job->sink, PROFILE_MAPPING, &work->message);
}

/* Files in the order in which they were mapped, so that the first is the program. */
static void put_mappings(struct work *work)
{
    const struct snapshot *snapshot = work->job->context->snapshot;
    for (size_t round = 0; round < 2; round++) {
        for (image_id id = 0; id < snapshot->n_images; id++) {
            bool is_file = snapshot_image(snapshot, id)->kind == IMAGE_KIND_FILE;
            if (is_file == (round == 0)) {
                put_mapping(work, id);
            }
        }
    }
}

/* As it was in memory; of code that a file holds, where the file was first mapped. */
static uint64_t address_of(const struct snapshot *snapshot, const struct frame *frame)
{
    const struct image *image = snapshot_image(snapshot, frame->image);
    bool is_mapped = image->kind == IMAGE_KIND_FILE && image->start_ip > 0;
    return is_mapped ? frame->offset - image->start_offset + image->start_ip : frame->offset;
}

static void add_line(struct work *work, const struct export_place *place)
{
    text_clear(&work->inner);
    protobuf_uint(&work->inner, LINE_FUNCTION_ID, (uint64_t)place->function + 1);
    protobuf_uint(&work->inner, LINE_LINE, place->line);
    protobuf_message(&work->message, LOCATION_LINE, &work->inner);
}

static void put_locations(struct work *work)
{
    struct export_job *job = work->job;
    const struct snapshot *snapshot = job->context->snapshot;
    for (frame_id id = 0; id < snapshot->n_frames; id++) {
        struct export_frame_places places = job->frames.of_frame[id];
        if (places.n == 0) {
            continue; /* in no stack of the view */
        }
        struct frame frame = snapshot_frame(snapshot, id);
        protobuf_uint(&work->message, LOCATION_ID, (uint64_t)id + 1);
        protobuf_uint(&work->message, LOCATION_MAPPING_ID, (uint64_t)frame.image + 1);
        protobuf_uint(&work->message, LOCATION_ADDRESS, address_of(snapshot, &frame));
        for (uint32_t i = places.n; i-- > 0;) {
            add_line(work, &job->frames.places[places.first + i]);
        }
        protobuf_put(&job->sink, PROFILE_LOCATION, &work->message);
    }
    for (uint32_t i = 0; i < job->frames.n_places; i++) {
        const struct export_place *place = &job->frames.places[i];
        if (place->frame == EXPORT_NO_FRAME) {
            protobuf_uint(&work->message, LOCATION_ID, location_of(work, i));
            add_line(work, place);
            protobuf_put(&job->sink, PROFILE_LOCATION, &work->message);
        }
    }
}

static void put_functions(struct work *work)
{
    struct export_job *job = work->job;
    for (uint32_t i = 0; i < job->frames.n_functions; i++) {
        const struct export_function *function = &job->frames.functions[i];
        protobuf_uint(&work->message, FUNCTION_ID, (uint64_t)i + 1);
        protobuf_uint(&work->message, FUNCTION_NAME, number_of(work, function->name));
        protobuf_uint(&work->message, FUNCTION_SYSTEM_NAME, number_of(work, function->name));
        protobuf_uint(&work->message, FUNCTION_FILENAME, number_of(work, function->file));
        protobuf_put(&job->sink, PROFILE_FUNCTION, &work->message);
    }
}

/* ---- the rest ---- */

static void put_facts(struct work *work)
{
    const struct export_job *job = work->job;
    const struct run_info *run = job->source->run;
    const struct attribution *attribution = &job->shares.attribution;
    const char *comment =
        arena_printf(job->context->arena, "stax " STAX_VERSION ": %s", job->command);
    struct text *message = &work->message;
    /* Numbers alone: they go into the file as they are. */
    protobuf_uint(message, PROFILE_TIME_NANOS, run ? run->started_at_unix_ns : 0);
    protobuf_uint(message, PROFILE_DURATION_NANOS, attribution->to_ns - attribution->from_ns);
    protobuf_uint(message, PROFILE_PERIOD,
                  run && run->frequency_hz > 0 ? UINT64_C(1000000000) / run->frequency_hz : 0);
    protobuf_uint(message, PROFILE_COMMENT, number_of(work, comment));
    protobuf_uint(message, PROFILE_DEFAULT_SAMPLE_TYPE, number_of(work, "cpu"));
    protobuf_put_fields(&work->job->sink, message);
    put_value_type(work, PROFILE_PERIOD_TYPE, "cpu", "nanoseconds");
}

static void put_strings(struct work *work)
{
    for (uint32_t i = 0; i < work->strings.n_strings; i++) {
        protobuf_text(&work->message, work->strings.strings[i]);
        protobuf_put(&work->job->sink, PROFILE_STRING_TABLE, &work->message);
    }
}

int export_pprof_write(struct export_job *job)
{
    struct work work = {.job = job};
    export_strings_init(&work.strings);
    text_init(&work.message, MESSAGE_MAX_BYTES);
    text_init(&work.inner, MESSAGE_MAX_BYTES);
    text_init(&work.packed, MESSAGE_MAX_BYTES);
    put_value_type(&work, PROFILE_SAMPLE_TYPE, "samples", "count");
    put_value_type(&work, PROFILE_SAMPLE_TYPE, "cpu", "nanoseconds");
    put_value_type(&work, PROFILE_SAMPLE_TYPE, "waits", "count");
    put_value_type(&work, PROFILE_SAMPLE_TYPE, "off-cpu", "nanoseconds");
    if (has_spans(job)) {
        put_value_type(&work, PROFILE_SAMPLE_TYPE, "spans", "count");
        put_value_type(&work, PROFILE_SAMPLE_TYPE, "target", "nanoseconds");
    }
    put_facts(&work);
    put_samples(&work);
    put_mappings(&work);
    put_locations(&work);
    put_functions(&work);
    put_strings(&work);
    int r = work.strings.is_cut ? -ENOMEM : 0;
    text_release(&work.message);
    text_release(&work.inner);
    text_release(&work.packed);
    export_strings_release(&work.strings);
    return r;
}
