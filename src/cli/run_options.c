/* SPDX-License-Identifier: MIT */
#include "cli/run_options.h"

const struct option_spec run_option_specs[RUN_OPTION_N] = {
    {
        .name = "json",
        .kind = OPTION_FLAG,
        .summary = "print the answer as one line of JSON",
        .offset = offsetof(struct run_options, json),
    },
    {
        .name = "run",
        .kind = OPTION_INTEGER,
        .value_name = "ID",
        .summary = "this run; else the active, else the selected one",
        .min = 1,
        .max = UINT32_MAX,
        .offset = offsetof(struct run_options, run),
    },
};
