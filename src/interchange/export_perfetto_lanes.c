/* SPDX-License-Identifier: MIT */
#include "interchange/export_perfetto_lanes.h"

#include <errno.h>
#include <inttypes.h>

#include "interchange/perfetto_fields.h"
#include "interchange/protobuf_write.h"

#define NAME_IID_CATEGORY 2u                /* 1 is that of waits, … */
#define NAME_IID_FIRST (WAIT_REASON_N + 1u) /* … whose reasons are the names before these */

struct lanes {
    struct export_job *job;
    struct export_span_rows rows;
    struct text packet, inner, field;
    uint64_t track; /* of the row that is written */
};

static void put_packet(struct lanes *lanes)
{
    protobuf_uint(&lanes->packet, PACKET_SEQUENCE_ID, 1);
    protobuf_uint(&lanes->packet, PACKET_SEQUENCE_FLAGS, SEQUENCE_NEEDS_STATE);
    protobuf_put(&lanes->job->sink, TRACE_PACKET, &lanes->packet);
    text_clear(&lanes->inner);
}

/* ---- names ---- */

static void add_name(struct lanes *lanes, uint32_t field, uint64_t iid, const char *name)
{
    text_clear(&lanes->field);
    protobuf_uint(&lanes->field, NAME_IID, iid);
    protobuf_string(&lanes->field, NAME_TEXT, name);
    protobuf_message(&lanes->inner, field, &lanes->field);
}

/* Nodes of a tree have a number each; the same name can have several. */
static void put_names(struct lanes *lanes)
{
    const struct export_spans *spans = &lanes->job->spans;
    add_name(lanes, INTERNED_EVENT_CATEGORIES, NAME_IID_CATEGORY, "target");
    for (uint32_t i = 0; i < spans->tree.n_nodes; i++) {
        add_name(lanes, INTERNED_EVENT_NAMES, (uint64_t)NAME_IID_FIRST + i,
                 export_spans_name(spans, spans->tree.nodes[i].name));
    }
    protobuf_message(&lanes->packet, PACKET_INTERNED_DATA, &lanes->inner);
    put_packet(lanes);
}

/* ---- tracks ---- */

static uint64_t track_of(uint32_t lane, uint32_t row)
{
    return hash_u64(UINT64_C(1) << 63 | (uint64_t)lane << 16 | row) | 1;
}

/* A process of which no thread is in the trace, but a lane. */
static void put_process(struct lanes *lanes, int64_t pid)
{
    const struct export_shares *shares = &lanes->job->shares;
    for (size_t i = 0; i < shares->n_threads; i++) {
        if (shares->threads[i].pid == pid) {
            return;
        }
    }
    const struct export_thread thread = {.pid = pid};
    text_clear(&lanes->field);
    protobuf_uint(&lanes->field, PROCESS_PID, (uint64_t)pid);
    protobuf_string(&lanes->field, PROCESS_NAME, export_process_name(lanes->job, &thread));
    protobuf_uint(&lanes->inner, TRACK_UUID, perfetto_process_uuid(pid));
    protobuf_message(&lanes->inner, TRACK_PROCESS, &lanes->field);
    protobuf_message(&lanes->packet, PACKET_TRACK_DESCRIPTOR, &lanes->inner);
    put_packet(lanes);
}

static void put_track(struct lanes *lanes, uint32_t lane)
{
    const struct export_spans *spans = &lanes->job->spans;
    protobuf_uint(&lanes->inner, TRACK_UUID, lanes->track);
    protobuf_string(&lanes->inner, TRACK_NAME, export_spans_lane_name(spans, lane));
    protobuf_uint(&lanes->inner, TRACK_PARENT_UUID,
                  perfetto_process_uuid(export_spans_lane(spans, lane)->pid));
    protobuf_message(&lanes->packet, PACKET_TRACK_DESCRIPTOR, &lanes->inner);
    put_packet(lanes);
}

/* ---- slices ---- */

static void add_text(struct lanes *lanes, const char *name, const char *text)
{
    text_clear(&lanes->field);
    protobuf_string(&lanes->field, ANNOTATION_NAME, name);
    protobuf_string(&lanes->field, ANNOTATION_STRING, text);
    protobuf_message(&lanes->inner, EVENT_ANNOTATIONS, &lanes->field);
}

static void add_number(struct lanes *lanes, const char *name, uint64_t number)
{
    text_clear(&lanes->field);
    protobuf_string(&lanes->field, ANNOTATION_NAME, name);
    protobuf_uint_always(&lanes->field, ANNOTATION_UINT, number);
    protobuf_message(&lanes->inner, EVENT_ANNOTATIONS, &lanes->field);
}

static void add_origin(struct lanes *lanes, const struct stored_span *span)
{
    const char *name = export_spans_origin_name(&lanes->job->spans, span);
    add_text(lanes, "origin", origin_state_name((enum origin_state)span->state));
    if (span->origin_tid != 0) {
        add_number(lanes, "queued by tid", (uint64_t)span->origin_tid);
    }
    if (name[0] != '\0') {
        add_text(lanes, "queued by", name);
    }
    if (span->origin_ns != 0 && span->origin_ns <= span->start_ns) {
        add_number(lanes, "queued ns before", span->start_ns - span->origin_ns);
    }
}

static void put_edge(void *userdata, const struct export_span_row *row, bool is_begin)
{
    struct lanes *lanes = userdata;
    struct export_job *job = lanes->job;
    protobuf_uint(&lanes->inner, EVENT_TYPE,
                  is_begin ? EVENT_TYPE_SLICE_BEGIN : EVENT_TYPE_SLICE_END);
    protobuf_uint(&lanes->inner, EVENT_TRACK_UUID, lanes->track);
    if (is_begin) {
        const struct stored_span span = snapshot_span(job->context->snapshot, row->index);
        uint32_t node = export_spans_node(&job->spans, span.lane, span.name);
        protobuf_uint(&lanes->inner, EVENT_CATEGORY_IIDS, NAME_IID_CATEGORY);
        if (node != SPAN_TREE_NONE) {
            protobuf_uint(&lanes->inner, EVENT_NAME_IID, (uint64_t)NAME_IID_FIRST + node);
        }
        add_origin(lanes, &span);
    }
    protobuf_uint(&lanes->packet, PACKET_TIMESTAMP, is_begin ? row->start_ns : row->end_ns);
    protobuf_message(&lanes->packet, PACKET_TRACK_EVENT, &lanes->inner);
    put_packet(lanes);
}

static void put_lanes(struct lanes *lanes)
{
    const struct snapshot *snapshot = lanes->job->context->snapshot;
    put_names(lanes);
    for (uint32_t lane = 0; lane < snapshot->n_lanes; lane++) {
        if (lanes->rows.n_rows[lane] > 0) {
            put_process(lanes, snapshot->lanes[lane].pid);
        }
        for (uint32_t row = 0; row < lanes->rows.n_rows[lane]; row++) {
            lanes->track = track_of(lane, row);
            put_track(lanes, lane);
            export_span_rows_visit(&lanes->rows, lane, row, put_edge, lanes);
        }
    }
}

int perfetto_lanes_write(struct export_job *job)
{
    struct lanes lanes = {.job = job};
    if (job->spans.tree.n_nodes == 0) {
        return 0;
    }
    int r = export_span_rows_build(&job->spans, &lanes.rows);
    if (r != 0) {
        return r;
    }
    text_init(&lanes.packet, PERFETTO_PACKET_MAX_BYTES);
    text_init(&lanes.inner, PERFETTO_PACKET_MAX_BYTES);
    text_init(&lanes.field, PERFETTO_PACKET_MAX_BYTES);
    put_lanes(&lanes);
    text_release(&lanes.packet);
    text_release(&lanes.inner);
    text_release(&lanes.field);
    export_span_rows_release(&lanes.rows);
    return 0;
}
