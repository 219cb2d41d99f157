/* SPDX-License-Identifier: MIT */
#include "interchange/export_perfetto_code.h"

#include <errno.h>

#include "interchange/perfetto_fields.h"
#include "interchange/protobuf_write.h"

int perfetto_code_init(struct export_job *job, struct perfetto_code *ret_code)
{
    *ret_code = (struct perfetto_code){.job = job};
    export_strings_init(&ret_code->functions);
    export_strings_init(&ret_code->sources);
    hash_table_init(&ret_code->callstacks);
    text_init(&ret_code->inner, PERFETTO_PACKET_MAX_BYTES);
    text_init(&ret_code->packed, PERFETTO_PACKET_MAX_BYTES);
    for (uint32_t i = 0; i < job->frames.n_functions; i++) {
        export_strings_number(&ret_code->functions, job->frames.functions[i].name);
    }
    for (uint32_t i = 0; i < job->frames.n_places; i++) {
        export_strings_number(&ret_code->sources, job->frames.places[i].file);
    }
    return ret_code->functions.is_cut || ret_code->sources.is_cut ? -ENOMEM : 0;
}

void perfetto_code_release(struct perfetto_code *code)
{
    if (!code->job) {
        return;
    }
    export_strings_release(&code->functions);
    export_strings_release(&code->sources);
    hash_table_release(&code->callstacks);
    text_release(&code->inner);
    text_release(&code->packed);
}

static void add_string(struct perfetto_code *code, struct text *interned, uint32_t field,
                       uint64_t iid, const char *string)
{
    text_clear(&code->inner);
    protobuf_uint(&code->inner, NAME_IID, iid);
    protobuf_string(&code->inner, NAME_TEXT, string);
    protobuf_message(interned, field, &code->inner);
}

static void add_mappings(struct perfetto_code *code, struct text *interned)
{
    const struct snapshot *snapshot = code->job->context->snapshot;
    for (image_id id = 0; id < snapshot->n_images; id++) {
        const struct image *image = snapshot_image(snapshot, id);
        uint64_t iid = (uint64_t)id + 1;
        add_string(code, interned, INTERNED_MAPPING_PATHS, iid, image->path);
        text_clear(&code->inner);
        protobuf_uint(&code->inner, NAME_IID, iid);
        protobuf_bytes(&code->inner, NAME_TEXT, image->build_id, image->build_id_bytes);
        protobuf_message(interned, INTERNED_BUILD_IDS, &code->inner);
        text_clear(&code->inner);
        protobuf_uint(&code->inner, MAPPING_IID, iid);
        protobuf_uint(&code->inner, MAPPING_BUILD_ID, iid);
        protobuf_uint(&code->inner, MAPPING_START, image->start_ip);
        protobuf_uint(&code->inner, MAPPING_END, image->end_ip);
        protobuf_uint(&code->inner, MAPPING_EXACT_OFFSET, image->start_offset);
        protobuf_uint(&code->inner, MAPPING_PATH_STRING_IDS, iid);
        protobuf_message(interned, INTERNED_MAPPINGS, &code->inner);
    }
}

/* A place is a frame; inlined functions are frames of their own at the same address. */
static void add_frame(struct perfetto_code *code, struct text *interned, uint32_t number)
{
    const struct export_job *job = code->job;
    const struct export_place *place = &job->frames.places[number];
    const struct export_function *function = &job->frames.functions[place->function];
    text_clear(&code->inner);
    protobuf_uint(&code->inner, FRAME_IID, (uint64_t)number + 1);
    protobuf_uint(&code->inner, FRAME_FUNCTION_NAME_ID,
                  (uint64_t)export_strings_number(&code->functions, function->name) + 1);
    if (place->frame != EXPORT_NO_FRAME) {
        struct frame frame = snapshot_frame(job->context->snapshot, place->frame);
        protobuf_uint(&code->inner, FRAME_MAPPING_ID, (uint64_t)frame.image + 1);
        protobuf_uint_always(&code->inner, FRAME_REL_PC, frame.offset);
    } else {
        /* Readers before 2025 want each frame to be in some file. */
        protobuf_uint(&code->inner, FRAME_MAPPING_ID, (uint64_t)IMAGE_ID_UNKNOWN + 1);
        protobuf_uint_always(&code->inner, FRAME_REL_PC, number);
    }
    if (place->file) {
        protobuf_uint(&code->inner, FRAME_SOURCE_PATH_IID,
                      (uint64_t)export_strings_number(&code->sources, place->file) + 1);
        protobuf_uint(&code->inner, FRAME_LINE_NUMBER, place->line);
    }
    protobuf_message(interned, INTERNED_FRAMES, &code->inner);
}

void perfetto_code_names(struct perfetto_code *code, struct text *interned)
{
    for (uint32_t i = 0; i < code->functions.n_strings; i++) {
        add_string(code, interned, INTERNED_FUNCTION_NAMES, (uint64_t)i + 1,
                   code->functions.strings[i]);
    }
    for (uint32_t i = 0; i < code->sources.n_strings; i++) {
        add_string(code, interned, INTERNED_SOURCE_PATHS, (uint64_t)i + 1,
                   code->sources.strings[i]);
    }
    add_mappings(code, interned);
    for (uint32_t i = 0; i < code->job->frames.n_places; i++) {
        add_frame(code, interned, i);
    }
}

int perfetto_code_callstack(struct perfetto_code *code, const struct export_row *row,
                            enum wait_reason reason, struct text *interned, uint64_t *ret_iid)
{
    struct export_job *job = code->job;
    uint32_t outer = export_outer_place(job, row), inner = export_inner_place(job, row, reason);
    uint64_t key = ((uint64_t)row->shown_stack << 8 | (uint64_t)row->kind << 4) +
                   (row->kind == EXPORT_ROW_WAIT ? (uint64_t)reason : 0);
    uint32_t known = hash_table_find(&code->callstacks, key);
    if (known != HASH_TABLE_NONE) {
        *ret_iid = known;
        return 0;
    }
    const uint32_t *path;
    size_t n_path;
    int r = export_frames_path(&job->frames, row->shown_stack, &path, &n_path);
    r = r ? r : hash_table_add(&code->callstacks, key, ++code->n_callstacks);
    if (r != 0) {
        return r;
    }
    *ret_iid = code->n_callstacks;
    text_clear(&code->inner);
    protobuf_uint(&code->inner, CALLSTACK_IID, *ret_iid);
    if (outer != EXPORT_NO_PLACE) {
        protobuf_uint(&code->inner, CALLSTACK_FRAME_IDS, (uint64_t)outer + 1);
    }
    for (size_t i = 0; i < n_path; i++) {
        protobuf_uint(&code->inner, CALLSTACK_FRAME_IDS, (uint64_t)path[i] + 1);
    }
    if (inner != EXPORT_NO_PLACE) {
        protobuf_uint(&code->inner, CALLSTACK_FRAME_IDS, (uint64_t)inner + 1);
    }
    protobuf_message(interned, INTERNED_CALLSTACKS, &code->inner);
    return 0;
}
