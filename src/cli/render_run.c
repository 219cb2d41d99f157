/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"

#define SIGNAL_BASE 128 /* exit statuses above it: ended by a signal */

void render_run_line(const struct run_info *run, struct text *text)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(run->duration_ns, duration);
    text_printf(text, "run %" PRIu32 " (%s, %s), pid %" PRId64 ", ", run->id,
                render_run_state(run->state), duration, run->pid);
    label_append(text, run->command);
}

void render_run_summary(const struct run_info *run, const struct totals *totals, struct text *text)
{
    render_run_line(run, text);
    if (run->stop_reason) {
        text_append(text, ": ");
        label_append(text, run->stop_reason);
    }
    if (run->has_exit_status && run->exit_status > SIGNAL_BASE) {
        text_printf(text, ", by signal %" PRId32, run->exit_status - SIGNAL_BASE);
    } else if (run->has_exit_status) {
        text_printf(text, ", exit status %" PRId32, run->exit_status);
    }
    text_printf(text, "\n  %" PRIu64 " sample%s, %" PRIu64 " thread%s, ", run->samples,
                quantity_plural(run->samples), run->threads, quantity_plural(run->threads));
    if (totals) {
        char cpu[QUANTITY_TEXT_BYTES];
        quantity_format_duration(totals->cpu_ns, cpu);
        text_printf(text, "%s on CPU, ", cpu);
    }
    text_printf(text, "%" PRIu64 " off-CPU interval%s, ", run->intervals,
                quantity_plural(run->intervals));
    if (run->spans > 0) {
        text_printf(text, "%" PRIu64 " span%s", run->spans, quantity_plural(run->spans));
        if (totals) {
            char target[QUANTITY_TEXT_BYTES];
            quantity_format_duration(totals->target_ns, target);
            text_printf(text, " of %s", target);
        }
        text_append(text, ", ");
    }
    text_printf(text, "%" PRIu64 " lost", run->lost);
    if (run->lost > 0) {
        text_append(text, " (why: stax diagnose)");
    }
    text_append_char(text, '\n');
    if (run->folded_until_ns > 0) {
        char until[QUANTITY_TEXT_BYTES];
        quantity_format_duration(run->folded_until_ns, until);
        text_printf(text,
                    "  %s: the first %s can no longer be asked about with "
                    "--from and --to\n",
                    run->ring_ns > 0 ? "--ring" : "--max-memory was reached", until);
    }
}
