/* SPDX-License-Identifier: MIT */
#include "query/waker_name.h"

const char waker_name_none[] = "(timer or interrupt)";

struct waker_name waker_name_of(const struct snapshot *snapshot, waker_id waker)
{
    if (waker == WAKER_ID_NONE) {
        return (struct waker_name){.tid = 0, .name = waker_name_none};
    }
    if (waker == WAKER_ID_UNKNOWN) {
        return (struct waker_name){.tid = -1, .name = ""};
    }
    if (waker_is_thread(snapshot, waker)) {
        return (struct waker_name){
            .tid = snapshot->threads[waker].tid,
            .name = snapshot->threads[waker].name,
        };
    }
    struct outsider outsider = snapshot_outsider(snapshot, waker);
    return (struct waker_name){
        .tid = outsider.tid,
        .name = outsider.name,
        .is_outsider = true,
    };
}
