/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

static const struct table_column columns[] = {
    {"id", TABLE_RIGHT},       {"state", TABLE_LEFT},      {"pid", TABLE_RIGHT},
    {"samples", TABLE_RIGHT},  {"intervals", TABLE_RIGHT}, {"spans", TABLE_RIGHT},
    {"duration", TABLE_RIGHT}, {"command", TABLE_LEFT},
};

void render_list(const struct run_list_result *result, const struct terminal *terminal,
                 struct text *text)
{
    if (result->n_runs == 0) {
        return;
    }
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_runs; i++) {
        const struct run_info *run = &result->runs[i];
        char duration[QUANTITY_TEXT_BYTES];
        quantity_format_duration(run->duration_ns, duration);
        table_add(&table, "%" PRIu32, run->id);
        table_add(&table, "%s", render_run_state(run->state));
        table_add(&table, "%" PRId64, run->pid);
        table_add(&table, "%" PRIu64, run->samples);
        table_add(&table, "%" PRIu64, run->intervals);
        table_add(&table, "%" PRIu64, run->spans);
        table_add(&table, "%s", duration);
        if (run->frozen_from > 0 && run->stop_reason) {
            _cleanup_(text_releasep) struct text command;
            text_init(&command, RENDER_MAX_BYTES);
            text_printf(&command, "%s (of run %" PRIu32 ", %s)", run->command, run->frozen_from,
                        run->stop_reason);
            table_add_label(&table, command.data);
        } else {
            table_add_label(&table, run->command);
        }
    }
    table_append(&table, terminal, text);
}
