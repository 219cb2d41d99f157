/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * unwinder - whole stacks for the samples of one run
 *
 * Stands between the event stream and the aggregate: follows what is mapped
 * where, asks for the tables of code that stacks pass through, walks each
 * sample that brought registers and stack bytes, and tells the capture how
 * many bytes are worth copying.
 *
 * Shape:   events are changed in place: ips become those of the walk, `copy`
 *          becomes NULL, stack_source and stack_end say how it went. An ip
 *          that a signal interrupted is given as if it were a return address,
 *          one byte further, so that every caller's ip is treated alike.
 * Owner:   unwinder_new()/_free(). New ips are valid until the next
 *          unwinder_begin().
 * Threads: one (the aggregator's); unwinder_get_*() any, and they wait for no walk.
 * Limits:  UNWINDER_MAX_WAIT_NS of waiting for tables per sample; then the
 *          walk goes on by frame pointers.
 * Source:  docs/design/0006-unwinding.md
 * Tests:   unwinder_test.c, tests/e2e/test_unwinding.py
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "model/event.h"
#include "unwind/cfi_store.h"
#include "unwind/code_map.h"

#define UNWINDER_MAX_WAIT_NS UINT64_C(400000000)

/* Code that was made at run time and tells how it is left. */
struct generated_code {
    uint64_t bias; /* ip - image_addr of the table */
    const struct cfi_table *table;
};

struct unwinder_config {
    struct cfi_store *store; /* borrowed */
    void *userdata;
    /* See capture_ops; each may be NULL. */
    void (*want_stack_bytes)(void *userdata, uint32_t n_bytes);
    void (*set_code)(void *userdata, const struct code_map *map);
    ssize_t (*read_memory)(void *userdata, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes);
    /* The table of generated code at ip; false where none is known. May be NULL. */
    bool (*find_generated)(void *userdata, int64_t pid, uint64_t ip, uint64_t time_ns,
                           struct generated_code *ret_code);
    /* Does find_generated() know any table? May be NULL. */
    bool (*has_generated_tables)(void *userdata);
};

/* Counters only grow. */
struct unwinder_stats {
    uint64_t n_walked, n_frames;
    uint64_t n_ends[EVENT_STACK_END_N];
    uint64_t n_recalled;       /* outer frames came from an earlier stack of the thread */
    uint64_t n_read_outside;   /* … or from the target's memory */
    uint64_t n_waits, wait_ns; /* for tables */
    uint64_t n_given_up;       /* tables that did not come in time */
    uint64_t walk_ns;          /* CPU time of walking, sampled */
    uint32_t wanted_bytes;     /* latest wish */
};

/* An image that stacks passed through, and how those end that came to their end in it. */
struct unwinder_image_stats {
    image_id image;
    const char *path;
    uint64_t n_ends[EVENT_STACK_END_N];
    struct cfi_source *source; /* NULL: no file */
};

struct unwinder;

int unwinder_new(const struct unwinder_config *config, struct unwinder **ret_unwinder);
struct unwinder *unwinder_free(struct unwinder *unwinder);
DEFINE_FREEP(unwinder);

/* A new batch begins: what earlier ones were given is no longer needed. */
void unwinder_begin(struct unwinder *unwinder);

/*
 * Works on events[0 … n_events). Returns how many are finished; fewer than
 * n_events: a table is being made, call again a little later with the rest.
 */
size_t unwinder_apply(struct unwinder *unwinder, struct event *events, size_t n_events,
                      uint64_t now_ns);

/* The run is over: files that nobody needed are closed. */
void unwinder_retire(struct unwinder *unwinder);

void unwinder_get_stats(struct unwinder *unwinder, struct unwinder_stats *ret_stats);

/* Fills at most max_images, worst first (images that no stack came to grief in last); returns how
 * many. Paths live as long as the unwinder. */
size_t unwinder_get_images(struct unwinder *unwinder, struct unwinder_image_stats *ret_images,
                           size_t max_images);
