/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_lines - the line number program of a unit, run
 *
 * Shape:   rows by address; a row reaches to the next one. Where nothing is
 *          known there is a row with file DWARF_LINE_NO_FILE. Of several rows
 *          at one address the last one stands, as in other readers.
 * Owner:   dwarf_line_program_release(), dwarf_line_rows_release().
 * Threads: one at a time per file.
 * Limits:  DWARF_LINE_FILES_MAX files and directories, DWARF_LINE_ROWS_MAX
 *          rows.
 * Source:  DWARF 5, 6.2; DWARF 2 to 4, 6.2.4 for the older header.
 * Tests:   dwarf_lines_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "dwarf/dwarf_unit.h"

#define DWARF_LINE_FILES_MAX (1u << 20)
#define DWARF_LINE_ROWS_MAX (1u << 26)
#define DWARF_LINE_NO_FILE UINT32_MAX

struct dwarf_line_entry {
    struct dwarf_value name; /* DWARF_VALUE_STRING_HERE: in .debug_line */
    uint64_t directory;
};

struct dwarf_line_names {
    size_t n_entries, capacity;
    struct dwarf_line_entry *entries;
};

struct dwarf_line_program {
    struct dwarf_window window;
    struct dwarf_encoding encoding;
    struct bytes instructions;
    uint8_t minimum_step, line_range, first_special;
    int8_t line_base;
    uint8_t n_operands[256];
    struct dwarf_line_names directories, files;
};

struct dwarf_line_row {
    uint64_t start_addr;
    uint32_t file; /* as dwarf_line_program_path() takes it */
    uint32_t line;
};

struct dwarf_line_rows {
    size_t n_rows, capacity;
    struct dwarf_line_row *rows;
};

/*
 * Reads the header of the unit's program, from the skeleton's file where there
 * is one. 0, -ENOENT where the unit has none, -EBADMSG, -ENOMEM, or as
 * dwarf_sections_read().
 */
int dwarf_line_program_open(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                            struct dwarf_line_program *ret_program);
void dwarf_line_program_release(struct dwarf_line_program *program);
DEFINE_RELEASEP(dwarf_line_program);

/* Appends all rows, sorted. What a broken program has said before it breaks off counts. */
int dwarf_line_program_run(const struct dwarf_line_program *program,
                           const struct dwarf_sources *sources, struct dwarf_line_rows *ret_rows);
void dwarf_line_rows_release(struct dwarf_line_rows *rows);
DEFINE_RELEASEP(dwarf_line_rows);

/* How many numbers may stand for files, from 0 on. */
size_t dwarf_line_program_n_files(const struct dwarf_line_program *program);

/*
 * The path of a file by its number in DWARF, joined with its directory and
 * `comp_dir` (may be NULL) as far as needed; in the arena. NULL: no such file.
 */
const char *dwarf_line_program_path(const struct dwarf_line_program *program,
                                    const struct dwarf_sources *sources,
                                    const struct dwarf_unit *unit, uint64_t file,
                                    const char *comp_dir, struct arena *arena);
