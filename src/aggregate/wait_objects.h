/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_objects - the system calls, and what they were about, that threads waited in
 *
 * Shape:   wait_object_id → (process, system call, first argument); 0 is none.
 * Owner:   the caller's memory.
 * Threads: one writer; readers of ids that were published to them.
 * Limits:  WAIT_OBJECTS_MAX; what comes later is 0 and counted.
 * Tests:   wait_objects_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "aggregate/snapshot.h"
#include "base/hash_table.h"

#define WAIT_OBJECTS_MAX (1u << 16)

struct wait_objects {
    struct chunked objects; /* struct wait_object */
    struct hash_table ids;
    uint64_t n_turned_away; /* waits whose object found no room */
};

int wait_objects_init(struct wait_objects *objects);
void wait_objects_release(struct wait_objects *objects);
wait_object_id wait_objects_intern(struct wait_objects *objects, int64_t pid,
                                   struct event_wait_object object);
struct wait_object wait_objects_get(const struct wait_objects *objects, wait_object_id id);
size_t wait_objects_memory_bytes(const struct wait_objects *objects);
