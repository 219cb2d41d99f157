/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_split - what a skeleton unit stands for: the unit in a .dwo or .dwp file
 *
 * A package (.dwp) beside the debug file is asked first, then the .dwo file
 * where the compiler wrote it, then the same name beside the debug file. What
 * is found must bear the skeleton's id.
 *
 * Shape:   bases that only the skeleton knows are filled into the unit.
 * Owner:   dwarf_split_release(). Sections of a package are borrowed from the
 *          caller, who opens it once with dwarf_package_open().
 * Threads: one at a time.
 * Limits:  DWARF_SPLIT_UNITS_MAX units are looked at in one .dwo file; deadline
 *          and budget of the skeleton's sections are those of what is found.
 * Source:  DWARF 5, 7.3.2 and 7.3.5; DebugFission (DWARF 4, package version 2).
 * Tests:   dwarf_split_test.c, code_index_test.c; tests/fuzz/fuzz_dwarf_lines.c
 */

#include "base/cleanup.h"
#include "dwarf/dwarf_unit.h"

#define DWARF_SPLIT_UNITS_MAX 64u

struct dwarf_split {
    struct dwarf_sections *sections;
    struct dwarf_sections *owned; /* NULL: sections are the package's */
    struct dwarf_unit unit;
};

/* NULL where there is no package beside `path`; read as patiently as `beside`. */
struct dwarf_sections *dwarf_package_open(const char *path, const struct dwarf_sections *beside);

/*
 * `sections` are the skeleton's, `path` is that of their file, `package` may
 * be NULL. 0, -ENOENT where no file has the unit, -ENOMEM.
 */
int dwarf_split_open(struct dwarf_sections *sections, const struct dwarf_unit *skeleton,
                     const char *path, struct dwarf_sections *package,
                     struct dwarf_split *ret_split);
void dwarf_split_release(struct dwarf_split *split);
DEFINE_RELEASEP(dwarf_split);
