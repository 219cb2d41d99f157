/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dwarf_lines - debug information of anybody's, as the server reads it
 *
 * The file goes through a descriptor, as it does there. Opens it as its own
 * supplementary file too, builds the index of each unit and asks it around
 * every address that a row begins at. A unit may not take longer than its
 * deadline.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dwarf/code_index.h"
#include "dwarf/dwarf_inlines.h"
#include "dwarf/dwarf_split.h"

#define MAX_UNITS 16
#define UNIT_MAX_NS (2 * NS_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static int descriptor_of(const uint8_t *data, size_t n_bytes)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd >= 0 && fd_write_all(fd, data, n_bytes) < 0) {
        fd = fd_close(fd);
    }
    return fd;
}

static void ask_at(const struct code_index *index, uint64_t address)
{
    const struct code_line *line = code_index_find_line(index, address);
    if (line && line->file >= index->n_files) {
        abort();
    }
    uint32_t call = code_index_find_call(index, address);
    for (size_t n = 0; call != CODE_INDEX_NONE; n++) {
        if (call >= index->n_calls || n > index->n_calls ||
            index->calls[call].function >= index->n_functions) {
            abort();
        }
        call = index->calls[call].parent;
    }
}

static void ask(const struct code_index *index)
{
    for (size_t i = 0; i < index->n_lines; i++) {
        ask_at(index, index->base_addr + index->lines[i].start_offset);
        ask_at(index, index->base_addr + index->lines[i].start_offset + 1);
    }
    for (size_t i = 0; i < index->n_inline_rows; i++) {
        ask_at(index, index->base_addr + index->inline_rows[i].start_offset);
    }
    ask_at(index, 0);
    ask_at(index, UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    int fd = descriptor_of(data, n_bytes);
    int alternate_fd = descriptor_of(data, n_bytes);
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = NULL;
    if (fd < 0 || dwarf_file_open(fd, alternate_fd, "/nonexistent/fuzz", NULL,
                                  clock_now_ns() + UNIT_MAX_NS, &file) < 0) {
        return 0;
    }
    for (uint32_t unit = 0; unit < file->units.n_units && unit < MAX_UNITS; unit++) {
        dwarf_file_set_deadline(file, clock_now_ns() + UNIT_MAX_NS);
        _cleanup_(code_index_freep) struct code_index *index = NULL;
        if (code_index_build(file, unit, &index) == 0) {
            ask(index);
        }
        /* As if the file were a package that holds the unit. */
        struct dwarf_unit skeleton = file->units.units[unit];
        skeleton.has_dwo_id = true;
        _cleanup_(dwarf_split_releasep) struct dwarf_split split = {0};
        (void)dwarf_split_open(file->sources.sections, &skeleton, "/nonexistent/fuzz",
                               file->sources.sections, &split);
    }
    for (size_t i = 0; i < file->n_spans && i < 1024; i++) {
        (void)dwarf_file_find_unit(file, file->spans[i].start_addr);
    }
    return 0;
}
