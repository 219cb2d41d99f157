/* SPDX-License-Identifier: MIT */
#include "compare/compare_hint.h"

#include <errno.h>

int compare_hint_add(struct compare_result *result, struct arena *arena, const char *text)
{
    const char *hint =
        result->hint && text ? arena_printf(arena, "%s; %s", result->hint, text) : text;
    result->hint = hint ? hint : result->hint;
    return hint ? 0 : -ENOMEM;
}
