/* SPDX-License-Identifier: MIT */
#include "cli/view_options.h"

#define RUN_ID_MAX UINT32_MAX

const struct option_spec view_option_specs[VIEW_OPTION_N] = {
    {
        .name = "run",
        .kind = OPTION_INTEGER,
        .value_name = "ID",
        .summary = "this run; else the active, else the selected one",
        .min = 1,
        .max = RUN_ID_MAX,
        .offset = offsetof(struct view_options, run),
    },
    {
        .name = "tid",
        .kind = OPTION_ID_LIST,
        .value_name = "TID",
        .summary = "only this thread, or lane",
        .min = 1,
        .max = INT64_MAX,
        .offset = offsetof(struct view_options, tids),
    },
    {
        .name = "from",
        .kind = OPTION_TIME,
        .value_name = "T",
        .summary = "from T after the run's start on: 2.5, 1500ms, 2m; -5: the last 5 s",
        .offset = offsetof(struct view_options, from),
    },
    {
        .name = "to",
        .kind = OPTION_TIME,
        .value_name = "T",
        .summary = "up to T, as --from",
        .offset = offsetof(struct view_options, to),
    },
    {
        .name = "exclude",
        .kind = OPTION_TEXT_LIST,
        .value_name = "PATTERN",
        .summary = "without stacks through it; text or /regex/, name or image",
        .offset = offsetof(struct view_options, exclude),
    },
    {
        .name = "focus",
        .kind = OPTION_TEXT_LIST,
        .value_name = "PATTERN",
        .summary = "only stacks through it; text or /regex/, name or image",
        .offset = offsetof(struct view_options, focus),
    },
    {
        .name = "json",
        .kind = OPTION_FLAG,
        .summary = "print the answer as one line of JSON",
        .offset = offsetof(struct view_options, json),
    },
};

struct view view_options_view(const struct view_options *options)
{
    return (struct view){
        .run = options->run.is_given ? (run_id)options->run.value : 0,
        .n_tids = options->tids.n_items,
        .tids = options->tids.items,
        .has_from = options->from.is_given,
        .from_ns = options->from.value,
        .has_to = options->to.is_given,
        .to_ns = options->to.value,
        .n_exclude = options->exclude.n_items,
        .exclude = options->exclude.items,
        .n_focus = options->focus.n_items,
        .focus = options->focus.items,
        .mode = VIEW_MODE_ACTIVE,
    };
}
