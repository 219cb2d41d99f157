/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kept_run - where a run that is not of this machine has its names and code from
 *
 * Owner:   the struct is copied; what it leads to belongs to whoever made it,
 *          and outlives the run's query_names.
 * Threads: find_symbols is called by the run's aggregator thread, when an image
 *          is met; find_code by any, later.
 * Tests:   query_names_test.c, archive/run_symbols_test.c
 */

#include <stdbool.h>

#include "disasm/kept_code.h"
#include "disasm/kept_sources.h"
#include "images/image_table.h"
#include "symbols/kept_symbols.h"

struct kept_run {
    void *userdata;
    /* Borrowed; NULL: nobody brought any. May not be finished yet. */
    struct kept_symbols *(*find_symbols)(void *userdata, const struct image *image);
    const struct kept_code *(*find_code)(void *userdata, const struct image *image); /* or NULL */
    const struct kept_sources *sources;                                              /* or NULL */
    /*
     * An archive brings all that there is. Of a recording of this machine by
     * another tool, what it does not bring may be looked for in files.
     */
    bool may_look_at_files;
};
