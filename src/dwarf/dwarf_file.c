/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_file.h"

#include <errno.h>

#include "base/fd.h"
#include "dwarf/dwarf_abi.h"
#include "dwarf/dwarf_lines.h"
#include "dwarf/dwarf_ranges.h"
#include "dwarf/dwarf_split.h"

/* Units in which a code range is looked for span by span; more overlap than this is no program. */
#define MAX_OVERLAPS 64

static int add_unit(struct dwarf_unit_list *list, const struct dwarf_unit *unit)
{
    if (list->n_units == list->capacity) {
        if (list->n_units >= DWARF_UNITS_MAX) {
            return -E2BIG;
        }
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct dwarf_unit *grown = reallocarray(list->units, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        list->units = grown;
        list->capacity = capacity;
    }
    list->units[list->n_units++] = *unit;
    return 0;
}

const struct dwarf_unit *dwarf_unit_list_find(const struct dwarf_unit_list *list,
                                              uint64_t info_offset)
{
    size_t low = 0;
    size_t high = list->n_units;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->units[middle].offset <= info_offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && info_offset < list->units[low - 1].end_offset ? &list->units[low - 1] : NULL;
}

/* Spans ------------------------------------------------------------------------------------------
 */

struct spans {
    size_t n_spans, capacity;
    struct dwarf_unit_span *spans;
    /* Those of the line program that was run last: units can share one. */
    bool has_lines;
    uint64_t lines_offset;
    size_t first_of_lines, n_of_lines;
};

static int make_room(struct spans *spans, size_t n_more)
{
    if (spans->n_spans + n_more > DWARF_RANGES_MAX) {
        return -E2BIG;
    }
    if (spans->n_spans + n_more > spans->capacity) {
        size_t capacity = (spans->n_spans + n_more) * 2;
        struct dwarf_unit_span *grown = reallocarray(spans->spans, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        spans->spans = grown;
        spans->capacity = capacity;
    }
    return 0;
}

static int add_spans(struct spans *spans, const struct dwarf_ranges *ranges, uint32_t unit)
{
    int r = make_room(spans, ranges->n_ranges);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ranges->n_ranges; i++) {
        spans->spans[spans->n_spans++] = (struct dwarf_unit_span){
            .start_addr = ranges->ranges[i].start_addr,
            .end_addr = ranges->ranges[i].end_addr,
            .unit = unit,
        };
    }
    return 0;
}

static int repeat_spans(struct spans *spans, uint32_t unit)
{
    int r = make_room(spans, spans->n_of_lines);
    for (size_t i = 0; i < spans->n_of_lines && r == 0; i++) {
        struct dwarf_unit_span span = spans->spans[spans->first_of_lines + i];
        span.unit = unit;
        spans->spans[spans->n_spans++] = span;
    }
    return r;
}

/*
 * Strict DWARF 2 has no ranges for a unit whose code is not in one piece. Its
 * line program has a sequence for each piece.
 */
static int run_lines(const struct dwarf_file *file, const struct dwarf_unit *unit,
                     struct spans *spans)
{
    _cleanup_(dwarf_line_program_releasep) struct dwarf_line_program program = {0};
    _cleanup_(dwarf_line_rows_releasep) struct dwarf_line_rows rows = {0};
    int r = dwarf_line_program_open(&file->sources, unit, &program);
    if (r == 0) {
        r = dwarf_line_program_run(&program, &file->sources, &rows);
    }
    if (r < 0) {
        return r == -ENOMEM || r == -ECANCELED ? r : 0;
    }
    struct dwarf_range range;
    struct dwarf_ranges one = {.n_ranges = 1, .ranges = &range};
    bool is_inside = false;
    for (size_t i = 0; i < rows.n_rows && r == 0; i++) {
        const struct dwarf_line_row *row = &rows.rows[i];
        if (!is_inside && row->file != DWARF_LINE_NO_FILE) {
            range.start_addr = row->start_addr;
            is_inside = true;
        } else if (is_inside && row->file == DWARF_LINE_NO_FILE) {
            range.end_addr = row->start_addr;
            is_inside = false;
            r = add_spans(spans, &one, (uint32_t)file->units.n_units);
        }
    }
    return r;
}

static int add_ranges_of_lines(const struct dwarf_file *file, const struct dwarf_unit *unit,
                               struct spans *spans)
{
    if (!unit->has_lines) {
        return 0;
    }
    if (spans->has_lines && spans->lines_offset == unit->stmt_list) {
        return repeat_spans(spans, (uint32_t)file->units.n_units);
    }
    spans->first_of_lines = spans->n_spans;
    int r = run_lines(file, unit, spans);
    spans->n_of_lines = spans->n_spans - spans->first_of_lines;
    spans->lines_offset = unit->stmt_list;
    spans->has_lines = r == 0;
    return r;
}

static int add_unit_spans(const struct dwarf_file *file, struct dwarf_unit *unit,
                          const struct dwarf_die *root, struct dwarf_ranges *ranges,
                          struct spans *spans)
{
    if (unit->tag != DW_TAG_compile_unit && unit->tag != DW_TAG_skeleton_unit) {
        return 0;
    }
    uint64_t low_pc;
    if (dwarf_unit_address(&file->sources, unit, root->low_pc, &low_pc)) {
        unit->low_pc = low_pc;
    }
    ranges->n_ranges = 0;
    int r = dwarf_ranges_add(ranges, &file->sources, unit, root);
    /* DWARF 2 has one range for a unit, whatever else it may have elsewhere. */
    bool is_vague = root->ranges.kind == DWARF_VALUE_NONE && !unit->has_dwo_id &&
                    (root->high_pc.kind == DWARF_VALUE_NONE || unit->encoding.version == 2);
    if (r == 0 && is_vague) {
        r = add_ranges_of_lines(file, unit, spans);
    }
    return r < 0 ? r : add_spans(spans, ranges, (uint32_t)(file->units.n_units));
}

static int compare_spans(const void *left, const void *right)
{
    const struct dwarf_unit_span *one = left;
    const struct dwarf_unit_span *other = right;
    if (one->start_addr != other->start_addr) {
        return one->start_addr < other->start_addr ? -1 : 1;
    }
    /* Linkers let all units that had a copy of a function claim the one that stayed. Other readers
     * believe the first of them, and what comes last here is found first. */
    return (other->unit > one->unit) - (other->unit < one->unit);
}

static void sort_spans(struct dwarf_file *file)
{
    if (file->n_spans > 0) {
        qsort(file->spans, file->n_spans, sizeof(*file->spans), compare_spans);
    }
    uint64_t max_end_addr = 0;
    for (size_t i = 0; i < file->n_spans; i++) {
        if (file->spans[i].end_addr > max_end_addr) {
            max_end_addr = file->spans[i].end_addr;
        }
        file->spans[i].max_end_addr = max_end_addr;
    }
}

/* Units ------------------------------------------------------------------------------------------
 */

/* Not the deadline: what was read by then is kept. */
static bool is_told_to_end(const struct dwarf_file *file)
{
    return file->is_cancelled && atomic_load_explicit(file->is_cancelled, memory_order_relaxed);
}

/* What breaks off in the middle is worth what came before. */
static int scan_units(struct dwarf_file *file, struct dwarf_ranges *ranges, struct spans *spans)
{
    _cleanup_(dwarf_abbrev_cache_releasep) struct dwarf_abbrev_cache cache = {0};
    uint64_t offset = 0;
    for (;;) {
        struct dwarf_unit unit;
        struct dwarf_die root;
        if (dwarf_sections_is_cancelled(file->sources.sections)) {
            return is_told_to_end(file) ? -ECANCELED : 0;
        }
        int r = dwarf_unit_read(file->sources.sections, offset, 0, &cache, &unit, &root);
        bool is_end = r == -ENOENT || r == -EBADMSG || r == -EIO;
        if (r < 0) {
            return is_end || (r == -ECANCELED && !is_told_to_end(file)) ? 0 : r;
        }
        size_t n_spans = spans->n_spans;
        r = add_unit_spans(file, &unit, &root, ranges, spans);
        if (r == 0) {
            r = add_unit(&file->units, &unit);
        }
        if (r < 0) {
            spans->n_spans = n_spans; /* they would be of a unit that is not there */
            return r == -E2BIG || (r == -ECANCELED && !is_told_to_end(file)) ? 0 : r;
        }
        offset = unit.end_offset;
    }
}

static int scan_alternate(struct dwarf_file *file)
{
    _cleanup_(dwarf_abbrev_cache_releasep) struct dwarf_abbrev_cache cache = {0};
    uint64_t offset = 0;
    for (;;) {
        struct dwarf_unit unit;
        if (dwarf_sections_is_cancelled(file->sources.alternate)) {
            return is_told_to_end(file) ? -ECANCELED : 0;
        }
        int r = dwarf_unit_read(file->sources.alternate, offset, 0, &cache, &unit, NULL);
        if (r == 0) {
            r = add_unit(&file->alternate_units, &unit);
        }
        if (r < 0) {
            return r == -ENOMEM || is_told_to_end(file) ? r : 0;
        }
        offset = unit.end_offset;
    }
}

static int read_units(struct dwarf_file *file)
{
    _cleanup_(dwarf_ranges_releasep) struct dwarf_ranges ranges = {0};
    struct spans spans = {0};
    int r = scan_units(file, &ranges, &spans);
    file->spans = spans.spans;
    file->n_spans = spans.n_spans;
    if (r == 0 && file->sources.alternate) {
        r = scan_alternate(file);
    }
    sort_spans(file);
    return r;
}

int dwarf_file_open(int takes_fd, int takes_alternate_fd, const char *path,
                    const atomic_bool *is_cancelled, uint64_t deadline_ns,
                    struct dwarf_file **ret_file)
{
    _cleanup_(fd_closep) int fd = takes_fd;
    _cleanup_(fd_closep) int alternate_fd = takes_alternate_fd;
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = calloc(1, sizeof(*file));
    if (!file || !(file->path = strdup(path))) {
        return -ENOMEM;
    }
    file->is_cancelled = is_cancelled;
    int r = dwarf_sections_open(fd, is_cancelled, &file->sources.sections);
    if (r < 0) {
        return r;
    }
    (void)TAKE_FD(fd);
    if (alternate_fd >= 0 &&
        dwarf_sections_open(alternate_fd, is_cancelled, &file->sources.alternate) == 0) {
        (void)TAKE_FD(alternate_fd);
    }
    dwarf_file_set_deadline(file, deadline_ns);
    r = read_units(file);
    if (r < 0) {
        return r;
    }
    dwarf_file_set_deadline(file, 0);
    *ret_file = TAKE_PTR(file);
    return 0;
}

struct dwarf_file *dwarf_file_free(struct dwarf_file *file)
{
    if (file) {
        dwarf_sections_free(file->sources.sections);
        dwarf_sections_free(file->sources.alternate);
        dwarf_sections_free(file->package);
        free(file->units.units);
        free(file->alternate_units.units);
        free(file->spans);
        free(file->path);
        free(file);
    }
    return NULL;
}

uint32_t dwarf_file_find_unit(const struct dwarf_file *file, uint64_t image_addr)
{
    size_t low = 0;
    size_t high = file->n_spans;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file->spans[middle].start_addr <= image_addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (int i = 0; low > 0 && i < MAX_OVERLAPS; i++, low--) {
        const struct dwarf_unit_span *span = &file->spans[low - 1];
        if (image_addr >= span->max_end_addr) {
            break;
        }
        if (image_addr < span->end_addr) {
            return span->unit;
        }
    }
    return DWARF_UNIT_NONE;
}

struct dwarf_sections *dwarf_file_package(struct dwarf_file *file)
{
    if (!file->has_looked_for_package) {
        file->has_looked_for_package = true;
        file->package = dwarf_package_open(file->path, file->sources.sections);
    }
    return file->package;
}

void dwarf_file_drop(struct dwarf_file *file)
{
    struct dwarf_sections *all[] = {file->sources.sections, file->sources.alternate, file->package};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]) {
            dwarf_sections_drop(all[i]);
        }
    }
}

void dwarf_file_set_deadline(struct dwarf_file *file, uint64_t deadline_ns)
{
    struct dwarf_sections *all[] = {file->sources.sections, file->sources.alternate, file->package};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]) {
            dwarf_sections_set_deadline(all[i], deadline_ns);
        }
    }
}

size_t dwarf_file_memory_bytes(const struct dwarf_file *file)
{
    size_t n_bytes = 0;
    const struct dwarf_sections *all[] = {file->sources.sections, file->sources.alternate,
                                          file->package};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        n_bytes += all[i] ? dwarf_sections_memory_bytes(all[i]) : 0;
    }
    return n_bytes;
}
