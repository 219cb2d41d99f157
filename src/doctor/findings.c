/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>

#include "base/text.h"
#include "doctor/doctor.h"

#define TEXT_MAX_BYTES 2000

int doctor_list_init(struct doctor_list *list, struct arena *arena)
{
    *list = (struct doctor_list){.arena = arena};
    list->result.findings =
        arena_alloc_array(arena, DOCTOR_FINDINGS_MAX, sizeof(*list->result.findings));
    return list->result.findings ? 0 : -ENOMEM;
}

void doctor_add(struct doctor_list *list, const char *area, const char *subject,
                enum doctor_state state, const char *fix, const char *format, ...)
{
    struct doctor_result *result = &list->result;
    if (result->n_findings == DOCTOR_FINDINGS_MAX) {
        return;
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, TEXT_MAX_BYTES);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    struct doctor_finding finding = {
        .area = arena_strdup(list->arena, area),
        .subject = arena_strdup(list->arena, subject),
        .state = state,
        .text = text.data ? arena_strdup(list->arena, text.data) : NULL,
        .fix = arena_strdup(list->arena, fix),
    };
    if (!finding.area || !finding.subject || !finding.text || (fix && !finding.fix)) {
        list->has_failed = true;
        return;
    }
    result->findings[result->n_findings++] = finding;
    result->broken += state == DOCTOR_STATE_BROKEN;
    result->warnings += state == DOCTOR_STATE_WARN;
}
