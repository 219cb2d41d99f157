/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_names - what a function is called, from the entry that stands for it
 *
 * An inlined function refers to its abstract entry, which may refer to a
 * declaration in a class, in another unit or in the file that dwz made. The
 * linker's name is taken where one of them has it; else the plain name behind
 * the names of the scopes around the declaration.
 *
 * Shape:   a place is a side (the unit's own file, or the supplementary one)
 *          and an offset in its .debug_info.
 * Owner:   dwarf_names_release(). Texts are in the caller's arena.
 * Threads: one at a time per file.
 * Limits:  DWARF_ORIGINS_MAX references are followed from one entry;
 *          DWARF_SCOPES_MAX names before a name.
 * Source:  DWARF 5, 2.13, 3.3.8, 7.3.6; the GNU forms of dwz.
 * Tests:   code_index_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "dwarf/dwarf_file.h"
#include "dwarf/dwarf_lines.h"
#include "dwarf/dwarf_unit.h"

#define DWARF_ORIGINS_MAX 16
#define DWARF_SCOPES_MAX 32
#define DWARF_NAMES_OPEN_UNITS 16

enum dwarf_side { DWARF_SIDE_OWN, DWARF_SIDE_ALTERNATE, DWARF_SIDE_N };

struct dwarf_place {
    enum dwarf_side side;
    uint64_t info_offset;
};

struct dwarf_name {
    const char *text; /* NULL: it has none */
    bool is_mangled;  /* text is what the linker calls it */
    bool is_scratch;  /* text ends with the finder, unless dwarf_names_qualify() keeps it */
    const char *declared_in;
    uint32_t declared_at; /* line; 0: unknown */
    /* Where text is plain and scopes may stand before it: */
    bool wants_scopes;
    struct dwarf_place declaration;
};

/* A unit whose bytes are at hand. */
struct dwarf_open_unit {
    const struct dwarf_unit *unit; /* NULL: the slot is free */
    enum dwarf_side side;
    struct dwarf_reader reader;
    struct dwarf_line_program lines;
    bool has_lines, has_looked_for_lines;
    const char **paths; /* by number of the file, as far as they were asked for */
    uint64_t used_at;
};

struct dwarf_names {
    struct dwarf_sources sources[DWARF_SIDE_N];
    const struct dwarf_unit_list *units[DWARF_SIDE_N];
    struct arena *arena;
    struct arena scratch; /* texts that other texts are made of */
    struct dwarf_open_unit open[DWARF_NAMES_OPEN_UNITS];
    uint64_t clock;
};

/* `own` holds the unit; `alternate` may be NULL. All are borrowed until dwarf_names_release(). */
void dwarf_names_init(struct dwarf_names *names, const struct dwarf_sources *own_sources,
                      const struct dwarf_unit_list *own, const struct dwarf_unit_list *alternate,
                      struct arena *arena);
void dwarf_names_release(struct dwarf_names *names);
DEFINE_RELEASEP(dwarf_names);

/* The bytes of the unit itself, kept until the names are released. NULL in *ret_reader: unreadable.
 */
int dwarf_names_reader(struct dwarf_names *names, const struct dwarf_unit *unit,
                       const struct dwarf_reader **ret_reader);

/* Where a reference in `unit` leads to; false: nowhere. */
bool dwarf_place_of(const struct dwarf_unit *unit, enum dwarf_side side, struct dwarf_value value,
                    struct dwarf_place *ret_place);

/* 0 (with text NULL where nothing has a name), -ENOMEM or -ECANCELED. */
int dwarf_names_find(struct dwarf_names *names, struct dwarf_place place,
                     struct dwarf_name *ret_name);

/* Puts scopes before all names that want them, and keeps all texts. As dwarf_names_find(). */
int dwarf_names_qualify(struct dwarf_names *names, struct dwarf_name *all, size_t n_names);
