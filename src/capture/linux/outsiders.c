/* SPDX-License-Identifier: MIT */
#include "capture/linux/outsiders.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"

void outsiders_init(struct outsiders *outsiders)
{
    hash_table_init(&outsiders->known);
}

void outsiders_release(struct outsiders *outsiders)
{
    hash_table_release(&outsiders->known);
}

void outsiders_note(struct outsiders *outsiders, int64_t tid, const struct event *wakeup,
                    struct event_batch *batch)
{
    char path[64];
    size_t n_bytes;
    if (hash_table_find(&outsiders->known, (uint64_t)tid) != HASH_TABLE_NONE ||
        outsiders->known.n_used >= OUTSIDERS_MAX ||
        hash_table_set(&outsiders->known, (uint64_t)tid, 1) != 0) {
        return;
    }
    _cleanup_(freep) char *name = NULL;
    (void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/comm", tid);
    if (fd_read_file(path, LIMIT_NAME_BYTES, &name, &n_bytes) != 0) {
        return;
    }
    name[strcspn(name, "\n")] = '\0';
    const struct event named = {
        .kind = EVENT_WAKEUP,
        .time_ns = wakeup->time_ns,
        .pid = wakeup->pid,
        .tid = wakeup->tid,
        .wakeup = {.waker_tid = tid, .waker_name = event_batch_add_text(batch, name)},
    };
    (void)event_batch_add(batch, &named);
}
