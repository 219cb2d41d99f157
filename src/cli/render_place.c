/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "cli/brief_name.h"
#include "cli/label.h"
#include "cli/render.h"

#define CALLERS_SHOWN 4
#define NAME_MAX_BYTES (4u * 1024)

static void append_name(struct text *text, const char *name)
{
    _cleanup_(text_releasep) struct text brief;
    text_init(&brief, NAME_MAX_BYTES);
    brief_name_append(&brief, name);
    label_append(text, brief.data);
}

/* How the C library brings a thread to sleep is told by the site already. */
static bool is_internal(const struct frame_result *frame)
{
    return frame->image && strncmp(frame->image, "libc.so", strlen("libc.so")) == 0 &&
           strncmp(frame->name, "__", 2) == 0;
}

void render_place(const char *site, const struct frame_result *stack, size_t n_stack,
                  struct text *text)
{
    size_t n_shown = 0;
    const char *last = site;
    if (site) {
        append_name(text, site);
    }
    for (size_t i = 0; i < n_stack && n_shown < CALLERS_SHOWN; i++) {
        /* What the kernel did on the way says less than who called it; a function that is on
         * the stack twice in a row says it once. */
        bool is_noise =
            (site || n_shown > 0) && (stack[i].kind == FRAME_KIND_KERNEL || is_internal(&stack[i]));
        if (is_noise || (last && strcmp(last, stack[i].name) == 0)) {
            continue;
        }
        text_append(text, last ? " ← " : "");
        append_name(text, stack[i].name);
        last = stack[i].name;
        n_shown++;
    }
    if (!last) {
        text_append(text, "(not known)");
    }
}

void render_thread_name(const char *name, int64_t tid, struct text *text)
{
    if (tid == 0) {
        label_append(text, name);
        return;
    }
    if (name && name[0] != '\0') {
        label_append(text, name);
        text_append_char(text, ' ');
    }
    text_printf(text, "(%lld)", (long long)tid);
}
