/* SPDX-License-Identifier: MIT */

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#include "target/link.h"
#include "target/process.h"

static bool has_tables(void)
{
    return __atomic_load_n(&target_process.memory, __ATOMIC_ACQUIRE) != NULL;
}

/* The table has no room for such a name, and never will: asked before the lock, since a program
 * whose names have numbers in them would take it for every span. */
static bool is_full(size_t n_bytes)
{
    struct target_process *process = &target_process;

    if (!has_tables() || __atomic_load_n(process->mark, __ATOMIC_ACQUIRE) != TARGET_MARK_SET) {
        return false;
    }
    const struct target_ring_state *state = target_ring_state(process->memory);
    return __atomic_load_n(&process->tables.extent.n_names, __ATOMIC_ACQUIRE) + 1 >=
               TARGET_RING_NAMES ||
           __atomic_load_n(&state->n_text_bytes, __ATOMIC_RELAXED) + n_bytes >
               TARGET_RING_TEXT_BYTES;
}

static stax_name_id intern(uint32_t parent, const char *text)
{
    struct target_process *process = &target_process;
    stax_name_id name = {0};

    if (!text || !text[0]) {
        return name;
    }
    size_t n_bytes = target_ring_name_length(text);
    if (has_tables()) {
        name.id = target_ring_name_find(&process->tables, parent, text, n_bytes);
    }
    if (!name.id && is_full(n_bytes)) {
        TARGET_COUNT(n_names_refused);
        name.id = TARGET_RING_NAME_OTHER;
    }
    if (!name.id) {
        struct target_quiet quiet;
        if (target_process_lock(&quiet) == 0) {
            name.id = target_ring_name_add(&process->tables, parent, text, n_bytes);
        }
        target_process_unlock(&quiet);
    }
    return name;
}

stax_name_id stax_name(const char *text)
{
    return intern(0, text);
}

stax_name_id stax_name_inside(stax_name_id outer, const char *text)
{
    struct target_process *process = &target_process;

    /* Within "(other)" nobody could say of what it is a part. */
    if (outer.id == TARGET_RING_NAME_OTHER) {
        return outer;
    }
    bool is_known = has_tables() &&
                    outer.id <= __atomic_load_n(&process->tables.extent.n_names, __ATOMIC_ACQUIRE);
    return intern(is_known ? outer.id : 0, text);
}

stax_lane stax_lane_new_kind(const char *name, enum stax_lane_kind kind)
{
    struct target_process *process = &target_process;
    struct target_quiet quiet;
    stax_name_id name_id = stax_name(name);
    stax_lane lane = {0};
    bool is_worth_waiting = false;

    if (!name_id.id) {
        return lane;
    }
    if ((unsigned)kind > STAX_LANE_DB) {
        kind = STAX_LANE_GENERIC;
    }
    target_link_pin_code();
    if (target_process_lock(&quiet) == 0) {
        lane.id = target_ring_lane_add(&process->tables, name_id.id, (uint32_t)kind);
        is_worth_waiting = target_link_start();
    }
    target_process_unlock(&quiet);
    if (is_worth_waiting) {
        int cancel_state, caller_errno = errno;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
        target_link_wait_first();
        pthread_setcancelstate(cancel_state, NULL);
        errno = caller_errno;
    }
    return lane;
}

stax_lane stax_lane_new(const char *name)
{
    return stax_lane_new_kind(name, STAX_LANE_GENERIC);
}
