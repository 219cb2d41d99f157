/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_options - which run, and how to print it: for commands about whole runs
 *
 * Owner:   values are borrowed from argv.
 * Threads: any.
 */

#include "cli/options.h"

struct run_options {
    bool json;
    struct option_number run;
};

/* --json comes first, so that a command without --run takes RUN_OPTION_JSON_N of the specs. */
#define RUN_OPTION_N 2
#define RUN_OPTION_JSON_N 1
extern const struct option_spec run_option_specs[RUN_OPTION_N];
