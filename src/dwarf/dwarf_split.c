/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_split.h"

#include <errno.h>
#include <stdio.h>

#include "base/fd.h"
#include "dwarf/dwarf_abi.h"

#define MAX_COLUMNS 32u

/* Columns of a package's index. */
enum { COLUMN_INFO = 1, COLUMN_ABBREV = 3, COLUMN_STR_OFFSETS = 6, COLUMN_RNGLISTS = 8 };

struct contributions {
    uint64_t info, abbrev, str_offsets, rnglists;
};

/* A path from a debug file could lead to anything, also to a device that minds being opened. */
static struct dwarf_sections *open_sections(const char *path, const struct dwarf_sections *beside)
{
    _cleanup_(fd_closep) int fd = fd_open_regular(path);
    struct dwarf_sections *sections = NULL;
    if (fd < 0 || dwarf_sections_open(fd, NULL, &sections) < 0) {
        return NULL;
    }
    (void)TAKE_FD(fd);
    dwarf_sections_inherit(sections, beside);
    if (!dwarf_sections_are_split(sections)) {
        return dwarf_sections_free(sections);
    }
    return sections;
}

struct dwarf_sections *dwarf_package_open(const char *path, const struct dwarf_sections *beside)
{
    _cleanup_(freep) char *package_path = NULL;
    if (asprintf(&package_path, "%s.dwp", path) < 0) {
        package_path = NULL;
        return NULL;
    }
    return open_sections(package_path, beside);
}

void dwarf_split_release(struct dwarf_split *split)
{
    dwarf_sections_free(split->owned);
    *split = (struct dwarf_split){0};
}

/* What the skeleton knows of the unit, and where its own tables begin. */
static void fill_bases(struct dwarf_unit *unit, const struct dwarf_unit *skeleton,
                       const struct contributions *at)
{
    bool is_64 = unit->encoding.offset_bytes == 8;
    bool has_headers = unit->encoding.version >= 5;
    unit->addr_base = skeleton->addr_base;
    unit->ranges_base = skeleton->ranges_base;
    unit->low_pc = skeleton->low_pc;
    unit->has_lines = skeleton->has_lines;
    unit->stmt_list = skeleton->stmt_list;
    if (unit->str_offsets_base == 0) {
        unit->str_offsets_base = at->str_offsets + (has_headers ? (is_64 ? 16 : 8) : 0);
    }
    if (unit->rnglists_base == 0) {
        unit->rnglists_base = at->rnglists + (has_headers ? (is_64 ? 20 : 12) : 0);
    }
}

static bool is_unit_of(const struct dwarf_unit *unit, const struct dwarf_unit *skeleton)
{
    return unit->tag == DW_TAG_compile_unit && unit->has_dwo_id && unit->dwo_id == skeleton->dwo_id;
}

/* Packages --------------------------------------------------------------------------------------
 */

struct package_index {
    uint32_t version, n_columns, n_units, n_slots;
    struct bytes hashes, rows, columns, offsets;
};

static bool read_index(struct dwarf_sections *package, struct package_index *ret_index)
{
    struct bytes bytes;
    if (dwarf_sections_whole(package, DWARF_CU_INDEX, &bytes) < 0) {
        return false;
    }
    ret_index->version = bytes_take_u32(&bytes) & 0xffff;
    ret_index->n_columns = bytes_take_u32(&bytes);
    ret_index->n_units = bytes_take_u32(&bytes);
    ret_index->n_slots = bytes_take_u32(&bytes);
    uint32_t n_slots = ret_index->n_slots;
    if (n_slots == 0 || (n_slots & (n_slots - 1)) != 0 || ret_index->n_columns > MAX_COLUMNS) {
        return false;
    }
    ret_index->hashes = bytes;
    bytes_skip(&bytes, (size_t)n_slots * 8);
    ret_index->rows = bytes;
    bytes_skip(&bytes, (size_t)n_slots * 4);
    ret_index->columns = bytes;
    bytes_skip(&bytes, (size_t)ret_index->n_columns * 4);
    ret_index->offsets = bytes;
    return !bytes_has_failed(&bytes);
}

static uint32_t u32_at(struct bytes bytes, uint64_t index)
{
    bytes_skip(&bytes, index * 4);
    return bytes_take_u32(&bytes);
}

/* The row of the unit, from 1 on; 0: it is not in the package. */
static uint32_t find_row(const struct package_index *index, uint64_t dwo_id)
{
    uint64_t mask = index->n_slots - 1;
    uint64_t slot = dwo_id & mask;
    uint64_t step = ((dwo_id >> 32) & mask) | 1;
    for (uint32_t i = 0; i < index->n_slots; i++) {
        uint32_t row = u32_at(index->rows, slot);
        struct bytes hash = index->hashes;
        bytes_skip(&hash, slot * 8);
        if (row == 0 || bytes_take_u64(&hash) == dwo_id) {
            return row;
        }
        slot = (slot + step) & mask;
    }
    return 0;
}

static bool find_contributions(struct dwarf_sections *package, uint64_t dwo_id,
                               struct contributions *ret_at)
{
    struct package_index index;
    uint32_t row = read_index(package, &index) ? find_row(&index, dwo_id) : 0;
    if (row == 0 || row > index.n_units) {
        return false;
    }
    bool has_info = false;
    *ret_at = (struct contributions){0};
    for (uint32_t column = 0; column < index.n_columns; column++) {
        uint64_t offset = u32_at(index.offsets, (uint64_t)(row - 1) * index.n_columns + column);
        switch (u32_at(index.columns, column)) {
        case COLUMN_INFO:
            ret_at->info = offset;
            has_info = true;
            break;
        case COLUMN_ABBREV:
            ret_at->abbrev = offset;
            break;
        case COLUMN_STR_OFFSETS:
            ret_at->str_offsets = offset;
            break;
        case COLUMN_RNGLISTS: /* another thing before version 5, where nobody looks */
            ret_at->rnglists = offset;
            break;
        default:
            break;
        }
    }
    return has_info;
}

static bool find_in_package(struct dwarf_sections *package, const struct dwarf_unit *skeleton,
                            struct dwarf_split *ret_split)
{
    struct contributions at;
    if (!package || !find_contributions(package, skeleton->dwo_id, &at) ||
        dwarf_unit_read(package, at.info, at.abbrev, NULL, &ret_split->unit, NULL) < 0 ||
        !is_unit_of(&ret_split->unit, skeleton)) {
        return false;
    }
    ret_split->sections = package;
    fill_bases(&ret_split->unit, skeleton, &at);
    return true;
}

/* .dwo files
 * --------------------------------------------------------------------------------------- */

static bool find_in_dwo(const char *path, const struct dwarf_unit *skeleton,
                        const struct dwarf_sections *beside, struct dwarf_split *ret_split)
{
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *dwo = open_sections(path, beside);
    uint64_t offset = 0;
    for (unsigned i = 0; dwo && i < DWARF_SPLIT_UNITS_MAX; i++) {
        if (dwarf_unit_read(dwo, offset, 0, NULL, &ret_split->unit, NULL) < 0) {
            return false;
        }
        if (is_unit_of(&ret_split->unit, skeleton)) {
            fill_bases(&ret_split->unit, skeleton, &(struct contributions){0});
            ret_split->sections = dwo;
            ret_split->owned = TAKE_PTR(dwo);
            return true;
        }
        offset = ret_split->unit.end_offset;
    }
    return false;
}

static const char *directory_of(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(arena, path, (size_t)(slash - path)) : ".";
}

static bool find_in_files(struct dwarf_sections *sections, const struct dwarf_unit *skeleton,
                          const char *path, struct dwarf_split *ret_split, struct arena *arena)
{
    struct dwarf_sources sources = {.sections = sections};
    const char *name = dwarf_unit_string(&sources, skeleton, skeleton->dwo_name, arena);
    if (!name || name[0] == '\0') {
        return false;
    }
    if (name[0] == '/') {
        return find_in_dwo(name, skeleton, sections, ret_split);
    }
    const char *comp_dir = dwarf_unit_string(&sources, skeleton, skeleton->comp_dir, arena);
    const char *written = comp_dir ? arena_printf(arena, "%s/%s", comp_dir, name) : NULL;
    const char *beside = arena_printf(arena, "%s/%s", directory_of(path, arena), name);
    return (written && find_in_dwo(written, skeleton, sections, ret_split)) ||
           (beside && find_in_dwo(beside, skeleton, sections, ret_split));
}

int dwarf_split_open(struct dwarf_sections *sections, const struct dwarf_unit *skeleton,
                     const char *path, struct dwarf_sections *package,
                     struct dwarf_split *ret_split)
{
    *ret_split = (struct dwarf_split){0};
    if (!skeleton->has_dwo_id) {
        return -ENOENT;
    }
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 4u * DWARF_STRING_MAX_BYTES);
    bool is_found = find_in_package(package, skeleton, ret_split) ||
                    find_in_files(sections, skeleton, path, ret_split, &arena);
    return is_found ? 0 : -ENOENT;
}
