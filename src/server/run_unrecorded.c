/* SPDX-License-Identifier: MIT */
#include "server/run_unrecorded.h"

#include "interchange/import.h"
#include "server/capture_choice.h"
#include "server/run_internal.h"

const char *run_unrecorded(const struct run *run, enum capability_kind kind, struct arena *arena)
{
    const struct archived_run *archived = run->archived;
    if (archived) {
        return kind == CAPABILITY_WAKEUPS    ? archived->wakeups_unrecorded
               : kind == CAPABILITY_COUNTERS ? archived->counters_unrecorded
                                             : NULL;
    }
    if (run->import) {
        return arena_printf(arena, "%s tells nothing of it",
                            import_format_name(import_get_facts(run->import)->format));
    }
    struct capability_set abilities = {.backend = ""};
    capture_choice_host()->probe(&abilities);
    const struct capability *wanted = &abilities.items[kind];
    return wanted->is_available ? NULL : arena_strdup(arena, wanted->reason);
}
