/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * object_text - what was waited for, as a person reads it
 *
 * "/var/log/x", "pipe:[123]", "tcp 127.0.0.1:5432", "futex 0x7f…", "process 4711". What stands
 * behind a descriptor, and which variable at an address of data, only the operating system knows,
 * so whoever asks the query brings the one who tells (object_namer).
 *
 * Owner:   texts lie in the arena.
 * Threads: any.
 * Tests:   object_text_test.c
 */

#include <stdint.h>

#include "aggregate/snapshot.h"
#include "base/arena.h"

/* Who knows what stands behind the descriptors and the addresses of processes. */
struct object_namer {
    void *userdata;
    /* In the arena; NULL: not known. Any thread. */
    const char *(*name_descriptor)(void *userdata, struct arena *arena, int64_t pid, int fd);
    const char *(*name_address)(void *userdata, struct arena *arena, int64_t pid, uint64_t address);
};

/* `namer` may be NULL. NULL where the wait was for nothing that has a name. */
const char *object_text(const struct wait_object *object, const struct object_namer *namer,
                        struct arena *arena);
