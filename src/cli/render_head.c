/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"

const char *render_run_state(enum run_state state)
{
    switch (state) {
    case RUN_STATE_RECORDING:
        return "recording";
    case RUN_STATE_STOPPED:
        return "stopped";
    case RUN_STATE_OPENED:
        return "opened";
    }
    return "?";
}

static void append_patterns(struct text *text, const char *word, size_t n_patterns,
                            char *const *patterns)
{
    for (size_t i = 0; i < n_patterns; i++) {
        text_printf(text, ", %s ", word);
        label_append(text, patterns[i]);
    }
}

void render_head(const struct run_stamp *run, const struct view_echo *view, struct text *text)
{
    char duration[QUANTITY_TEXT_BYTES];
    quantity_format_duration(run->duration_ns, duration);
    text_printf(text, "run %" PRIu32 " (%s, %s", run->id, render_run_state(run->state), duration);
    /* The end of a living run has moved on since the range was resolved. */
    bool has_range = view->from_ns > 0 || view->to_ns + 100 * NS_PER_MS < run->duration_ns;
    if (has_range) {
        char from[QUANTITY_TEXT_BYTES];
        char to[QUANTITY_TEXT_BYTES];
        quantity_format_duration(view->from_ns, from);
        quantity_format_duration(view->to_ns, to);
        text_printf(text, ", from %s to %s", from, to);
    }
    for (size_t i = 0; i < view->n_tids; i++) {
        text_printf(text, "%s%" PRId64, i == 0 ? ", tid " : "+", view->tids[i]);
    }
    append_patterns(text, "without", view->n_exclude, view->exclude);
    append_patterns(text, "focus", view->n_focus, view->focus);
    text_append(text, "): ");
}
