/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_test - what the tests of the room share: files that a program would write
 *
 * Owner, Threads: one test.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jit/jit_code.h"

/* A file without a name, for reading and writing. */
static inline int test_file(void)
{
    char path[] = "/tmp/stax-jit-XXXXXX";
    int fd = mkstemp(path);
    if (fd >= 0) {
        unlink(path);
    }
    return fd;
}

static inline struct jit_load test_load(int64_t pid, uint64_t start_ip, uint64_t n_bytes,
                                        uint64_t from_ns, const char *name)
{
    return (struct jit_load){
        .pid = pid,
        .start_ip = start_ip,
        .n_bytes = n_bytes,
        .from_ns = from_ns,
        .name = name,
        .n_name_bytes = strlen(name),
        .fd = -1,
    };
}

/* The name at an ip at one instant, or "". */
static inline const char *test_name_at(struct jit_code *code, int64_t pid, uint64_t ip,
                                       uint64_t at_ns)
{
    struct jit_place place;
    return jit_code_find(code, pid, ip, at_ns, at_ns, &place) ? place.symbol->name : "";
}
