/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"

static void append_started_at(uint64_t unix_ns, struct text *text)
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm local;
    char when[64];
    if (localtime_r(&seconds, &local) &&
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", &local) > 0) {
        text_printf(text, "started at  %s\n", when);
    }
}

static void append_capabilities(const struct status_result *result, struct text *text)
{
    text_append(text, "this host   ");
    for (size_t i = 0; i < result->n_capabilities; i++) {
        const struct capability_row *row = &result->capabilities[i];
        text_append(text, i > 0 ? " · " : "");
        label_append(text, row->name);
        text_append(text, row->available ? " yes" : " no");
        if (!row->available && row->reason && row->reason[0] != '\0') {
            text_append(text, ": ");
            label_append(text, row->reason);
        }
    }
    text_append_char(text, '\n');
    for (size_t i = 0; i < result->n_capabilities; i++) {
        const struct capability_row *row = &result->capabilities[i];
        if (!row->available && row->fix && row->fix[0] != '\0') {
            text_append(text, "  for ");
            label_append(text, row->name);
            text_append(text, ": ");
            label_append(text, row->fix);
            text_append_char(text, '\n');
        }
    }
}

static void append_active(const struct run_info *run, struct text *text)
{
    text_append(text, "active      ");
    render_run_line(run, text);
    text_printf(text,
                "\n            %" PRIu32 " Hz, %" PRIu64 " samples, %" PRIu64 " threads, %" PRIu64
                " off-CPU intervals, ",
                run->frequency_hz, run->samples, run->threads, run->intervals);
    if (run->spans > 0) {
        text_printf(text, "%" PRIu64 " spans, ", run->spans);
    }
    text_printf(text, "%" PRIu64 " lost\n", run->lost);
    if (run->folded_until_ns > 0) {
        char until[QUANTITY_TEXT_BYTES];
        quantity_format_duration(run->folded_until_ns, until);
        text_printf(text,
                    "            --max-memory was reached: events of the first %s are folded\n",
                    until);
    }
    for (size_t i = 0; i < run->n_notes; i++) {
        text_append(text, "            ");
        label_append(text, run->notes[i]);
        text_append_char(text, '\n');
    }
}

void render_status(const struct status_result *result, const struct terminal *terminal,
                   struct text *text)
{
    char uptime[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->uptime_ns, uptime);
    text_printf(text, "%sstax-server%s ", terminal_bold(terminal), terminal_plain(terminal));
    label_append(text, result->version);
    text_printf(text, ", pid %" PRId64 ", up %s\n", result->server_pid, uptime);
    append_started_at(result->server_started_at_unix_ns, text);
    if (result->socket) {
        text_append(text, "socket      ");
        label_append(text, result->socket);
        text_append_char(text, '\n');
    }
    if (result->backend) {
        text_append(text, "capture     ");
        label_append(text, result->backend);
        text_append_char(text, '\n');
    }
    if (result->n_capabilities > 0) {
        append_capabilities(result, text);
    }
    if (result->n_active > 0) {
        append_active(&result->active[0], text);
    } else {
        text_append(text, "active      none\n");
    }
    if (result->selected != 0) {
        text_printf(text, "selected    run %" PRIu32 "\n", result->selected);
    } else {
        text_append(text, "selected    none\n");
    }
}
