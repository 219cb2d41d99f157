/* SPDX-License-Identifier: MIT */
#include "dwarf/code_index.h"

#include <errno.h>

#include "dwarf/dwarf_inlines.h"
#include "dwarf/dwarf_lines.h"
#include "dwarf/dwarf_names.h"
#include "dwarf/dwarf_split.h"

#define CANCEL_STEP_NAMES 256u

/* A unit as it is read: the skeleton for lines, what it stands for for everything else. */
struct subject {
    struct dwarf_file *file;
    const struct dwarf_unit *unit;
    struct dwarf_split split;
    struct dwarf_sources sources;
    struct dwarf_unit_list units; /* in which own references are looked up */
};

static int open_subject(struct dwarf_file *file, uint32_t unit, struct subject *ret_subject)
{
    const struct dwarf_unit *skeleton = &file->units.units[unit];
    *ret_subject = (struct subject){
        .file = file, .unit = skeleton, .sources = file->sources, .units = file->units};
    if (!skeleton->has_dwo_id) {
        return 0;
    }
    int r = dwarf_split_open(file->sources.sections, skeleton, file->path, dwarf_file_package(file),
                             &ret_subject->split);
    if (r == 0) {
        ret_subject->unit = &ret_subject->split.unit;
        ret_subject->units = (struct dwarf_unit_list){
            .n_units = 1, .capacity = 1, .units = &ret_subject->split.unit};
        ret_subject->sources = (struct dwarf_sources){.sections = ret_subject->split.sections,
                                                      .skeleton = file->sources.sections};
    }
    return r == -ENOMEM ? r : 0; /* without it the skeleton still has lines */
}

/* Where all rows count from. */
static uint64_t find_base(const struct dwarf_line_rows *lines, const struct dwarf_inlines *inlines)
{
    uint64_t base_addr = UINT64_MAX;
    if (lines->n_rows > 0) {
        base_addr = lines->rows[0].start_addr;
    }
    if (inlines->n_rows > 0 && inlines->rows[0].start_addr < base_addr) {
        base_addr = inlines->rows[0].start_addr;
    }
    return base_addr;
}

static int keep_lines(struct code_index *index, const struct dwarf_line_rows *rows)
{
    index->lines = reallocarray(NULL, rows->n_rows + 1, sizeof(*index->lines));
    if (!index->lines) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < rows->n_rows; i++) {
        const struct dwarf_line_row *row = &rows->rows[i];
        if (row->start_addr - index->base_addr <= UINT32_MAX) {
            index->lines[index->n_lines++] = (struct code_line){
                .start_offset = (uint32_t)(row->start_addr - index->base_addr),
                .file = row->file < index->n_files ? row->file : CODE_INDEX_NONE,
                .line = row->line,
            };
        }
    }
    return 0;
}

static int keep_calls(struct code_index *index, const struct dwarf_inlines *inlines)
{
    index->inline_rows = reallocarray(NULL, inlines->n_rows + 1, sizeof(*index->inline_rows));
    index->calls = reallocarray(NULL, inlines->n_calls + 1, sizeof(*index->calls));
    if (!index->inline_rows || !index->calls) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < inlines->n_rows; i++) {
        const struct dwarf_inline_row *row = &inlines->rows[i];
        if (row->start_addr - index->base_addr <= UINT32_MAX) {
            index->inline_rows[index->n_inline_rows++] = (struct code_inline_row){
                .start_offset = (uint32_t)(row->start_addr - index->base_addr),
                .call = row->call,
            };
        }
    }
    for (size_t i = 0; i < inlines->n_calls; i++) {
        const struct dwarf_inline_call *call = &inlines->calls[i];
        index->calls[i] = (struct code_call){
            .parent = call->parent,
            .function = call->origin,
            .call_file = call->call_file < index->n_files ? call->call_file : CODE_INDEX_NONE,
            .call_line = call->call_line,
        };
    }
    index->n_calls = inlines->n_calls;
    return 0;
}

static int keep_names(struct code_index *index, const struct subject *subject,
                      struct dwarf_names *finder, const struct dwarf_inlines *inlines)
{
    size_t n = inlines->n_origins;
    index->functions = calloc(n + 1, sizeof(*index->functions));
    _cleanup_(freep) struct dwarf_name *names = calloc(n + 1, sizeof(*names));
    if (!index->functions || !names) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (i % CANCEL_STEP_NAMES == 0 && dwarf_sections_is_cancelled(subject->sources.sections)) {
            return -ECANCELED;
        }
        int r = dwarf_names_find(finder, inlines->origins[i], &names[i]);
        if (r < 0) {
            return r;
        }
    }
    int r = dwarf_names_qualify(finder, names, n);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        index->functions[i] = (struct code_function){
            .name = names[i].text,
            .is_mangled = names[i].is_mangled,
            .declared_at = names[i].declared_at,
            .declared_in = names[i].declared_in,
        };
    }
    index->n_functions = n;
    return 0;
}

/* What has no line program has calls only, and nothing to say of files. */
struct line_source {
    const struct dwarf_file *file;
    const struct dwarf_unit *unit; /* the skeleton, where there is one */
    struct dwarf_line_program program;
    const char *comp_dir;
};

static void keep_path(struct code_index *index, const struct line_source *lines, uint32_t file)
{
    if (file != CODE_INDEX_NONE && !index->files[file].path) {
        index->files[file].path =
            dwarf_line_program_path(&lines->program, &lines->file->sources, lines->unit, file,
                                    lines->comp_dir, &index->arena);
    }
}

static int keep_paths(struct code_index *index, struct line_source *lines)
{
    lines->comp_dir =
        dwarf_unit_string(&lines->file->sources, lines->unit, lines->unit->comp_dir, &index->arena);
    uint32_t last = CODE_INDEX_NONE;
    for (size_t i = 0; i < index->n_lines; i++) {
        if (index->lines[i].file != last) {
            last = index->lines[i].file;
            keep_path(index, lines, last);
        }
        if (i % CANCEL_STEP_NAMES == 0 &&
            dwarf_sections_is_cancelled(lines->file->sources.sections)) {
            return -ECANCELED;
        }
    }
    for (size_t i = 0; i < index->n_calls; i++) {
        keep_path(index, lines, index->calls[i].call_file);
    }
    return 0;
}

static int build_lines(struct code_index *index, struct line_source *lines,
                       struct dwarf_line_rows *rows)
{
    int r = dwarf_line_program_open(&lines->file->sources, lines->unit, &lines->program);
    if (r < 0) {
        return r == -ENOMEM || r == -ECANCELED ? r : 0;
    }
    index->n_files = dwarf_line_program_n_files(&lines->program);
    index->files = calloc(index->n_files + 1, sizeof(*index->files));
    return index->files ? dwarf_line_program_run(&lines->program, &lines->file->sources, rows)
                        : -ENOMEM;
}

static int build(struct code_index *index, const struct subject *subject, struct line_source *lines)
{
    _cleanup_(dwarf_line_rows_releasep) struct dwarf_line_rows rows = {0};
    _cleanup_(dwarf_inlines_releasep) struct dwarf_inlines inlines = {0};
    int r = build_lines(index, lines, &rows);
    if (r < 0) {
        return r;
    }
    _cleanup_(dwarf_names_releasep) struct dwarf_names finder;
    dwarf_names_init(&finder, &subject->sources, &subject->units, &subject->file->alternate_units,
                     &index->arena);
    const struct dwarf_reader *reader;
    r = dwarf_names_reader(&finder, subject->unit, &reader);
    if (r == 0 && reader) {
        r = dwarf_inlines_read(&subject->sources, subject->unit, reader, &inlines);
    }
    if (r < 0) {
        return r;
    }
    index->base_addr = find_base(&rows, &inlines);
    r = keep_lines(index, &rows);
    if (r == 0) {
        r = keep_calls(index, &inlines);
    }
    if (r == 0) {
        r = keep_names(index, subject, &finder, &inlines);
    }
    return r == 0 && index->n_files > 0 ? keep_paths(index, lines) : r;
}

int code_index_build(struct dwarf_file *file, uint32_t unit, struct code_index **ret_index)
{
    _cleanup_(code_index_freep) struct code_index *index = calloc(1, sizeof(*index));
    if (!index) {
        return -ENOMEM;
    }
    arena_init(&index->arena, CODE_INDEX_MAX_TEXT_BYTES);
    struct subject subject;
    int r = open_subject(file, unit, &subject);
    if (r < 0) {
        return r;
    }
    struct line_source lines = {.file = file, .unit = &file->units.units[unit]};
    /* The subject's list of units may be the split unit in it: it must not move. */
    r = build(index, &subject, &lines);
    dwarf_line_program_release(&lines.program);
    dwarf_split_release(&subject.split);
    if (r < 0) {
        return r;
    }
    index->n_bytes = sizeof(*index) + index->n_lines * sizeof(*index->lines) +
                     index->n_inline_rows * sizeof(*index->inline_rows) +
                     index->n_calls * sizeof(*index->calls) +
                     index->n_functions * sizeof(*index->functions) +
                     index->n_files * sizeof(*index->files) + index->arena.used_bytes;
    *ret_index = TAKE_PTR(index);
    return 0;
}

struct code_index *code_index_free(struct code_index *index)
{
    if (index) {
        free(index->lines);
        free(index->inline_rows);
        free(index->calls);
        free(index->functions);
        free(index->files);
        arena_release(&index->arena);
        free(index);
    }
    return NULL;
}

/* The offset of an address in the unit; UINT64_MAX: it is not in it. */
static uint64_t offset_of(const struct code_index *index, uint64_t image_addr)
{
    return image_addr >= index->base_addr && image_addr - index->base_addr <= UINT32_MAX
               ? image_addr - index->base_addr
               : UINT64_MAX;
}

const struct code_line *code_index_find_line(const struct code_index *index, uint64_t image_addr)
{
    uint64_t offset = offset_of(index, image_addr);
    size_t low = 0;
    size_t high = offset == UINT64_MAX ? 0 : index->n_lines;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->lines[middle].start_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct code_line *line = low > 0 ? &index->lines[low - 1] : NULL;
    return line && line->file != CODE_INDEX_NONE ? line : NULL;
}

uint32_t code_index_find_call(const struct code_index *index, uint64_t image_addr)
{
    uint64_t offset = offset_of(index, image_addr);
    size_t low = 0;
    size_t high = offset == UINT64_MAX ? 0 : index->n_inline_rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->inline_rows[middle].start_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? index->inline_rows[low - 1].call : CODE_INDEX_NONE;
}
