/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * debug_lines_internal - what the two halves of debug_lines share
 *
 * debug_lines.c has the desk, its thread and what is in memory;
 * debug_lines_answers.c makes chains and rows of it.
 *
 * Owner:   as debug_lines.h.
 * Threads: all that is here under the desk's lock.
 * Tests:   debug_lines_test.c
 */

#include <pthread.h>
#include <stdatomic.h>

#include "dwarf/code_index.h"
#include "dwarf/dwarf_file.h"
#include "symbols/debug_lines.h"
#include "symbols/inline_names.h"

enum file_state { FILE_UNASKED, FILE_QUEUED, FILE_OPEN, FILE_FAILED };
enum unit_state { UNIT_ABSENT, UNIT_QUEUED, UNIT_LOADED, UNIT_FAILED };

struct unit_slot {
    enum unit_state state;
    struct code_index *index;                /* when LOADED */
    struct unit_slot *more_used, *less_used; /* among those that are LOADED */
};

struct debug_lines {
    struct debug_lines_desk *desk;
    const struct debug_file *debug_file;
    /* Under the desk's lock: */
    struct debug_lines *older; /* in the desk's list of those that are open */
    enum file_state state;
    struct dwarf_file *file; /* when OPEN; its bytes are the thread's alone */
    struct unit_slot *slots; /* by unit */
    size_t n_pending;
    uint64_t *pending; /* addresses asked for before the file was open */
    struct inline_names names;
    uint64_t failed_ns;       /* when FAILED for a reason that may pass; else 0 */
    const char *_Atomic note; /* see debug_lines_note() */
};

struct job;

struct debug_lines_desk {
    pthread_t reader;
    pthread_mutex_t lock;
    pthread_cond_t has_work, has_changed;
    atomic_bool is_stopping;
    size_t max_bytes;
    uint64_t retry_ns;
    /* Under the lock: */
    struct job *first_job, *last_job;
    bool is_reading;
    struct debug_lines *newest;
    struct unit_slot *most_used, *least_used;
    struct debug_lines_stats stats;
    bool holds_sections; /* since the last drop */
};

/* Queues what is not there. NULL: nothing is known (yet). */
struct code_index *debug_lines_index_at(struct debug_lines *lines, uint64_t debug_addr);
bool debug_lines_is_settled_at(const struct debug_lines *lines, uint64_t debug_addr);

static inline struct timespec debug_lines_time_of(uint64_t time_ns)
{
    return (struct timespec){
        .tv_sec = (time_t)(time_ns / NS_PER_S),
        .tv_nsec = (long)(time_ns % NS_PER_S),
    };
}
