/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"

#define WORD_WIDTH 6 /* "broken" */

/* In the order of enum doctor_state. */
static const char *const words[] = {"ok", "warn", "broken"};

static const char *colour_of(enum doctor_state state, const struct terminal *terminal)
{
    switch (state) {
    case DOCTOR_STATE_BROKEN:
        return terminal_red(terminal);
    case DOCTOR_STATE_WARN:
        return terminal_bold(terminal);
    case DOCTOR_STATE_OK:
        break;
    }
    return terminal_dim(terminal);
}

static void append_finding(const struct doctor_finding *finding, const struct terminal *terminal,
                           struct text *text)
{
    text_printf(text, "%s%-*s%s  ", colour_of(finding->state, terminal), WORD_WIDTH,
                words[finding->state], terminal_plain(terminal));
    label_append(text, finding->subject);
    text_append(text, ": ");
    label_append(text, finding->text);
    text_append_char(text, '\n');
    if (finding->fix) {
        text_printf(text, "%*s  fix: ", WORD_WIDTH, "");
        label_append(text, finding->fix);
        text_append_char(text, '\n');
    }
}

void render_doctor(const struct doctor_result *result, const struct terminal *terminal,
                   struct text *text)
{
    const char *area = "";
    for (size_t i = 0; i < result->n_findings; i++) {
        const struct doctor_finding *finding = &result->findings[i];
        if (finding->area && strcmp(finding->area, area) != 0) {
            area = finding->area;
            text_printf(text, "%s%s", i > 0 ? "\n" : "", terminal_bold(terminal));
            label_append(text, area);
            if (strcmp(area, "run") == 0 && result->run > 0) {
                text_printf(text, " %" PRIu32, result->run);
            }
            text_printf(text, "%s\n", terminal_plain(terminal));
        }
        append_finding(finding, terminal, text);
    }
    text_printf(text, "\n%" PRIu64 " broken, %" PRIu64 " warning%s\n", result->broken,
                result->warnings, quantity_plural(result->warnings));
}
