/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_budget - how much of a file is read before others have their turn
 *
 * The programs that are followed decide how large their files are: a file of
 * exabytes costs them one system call. Nobody waits for its end.
 *
 * Owner:   the caller holds the struct. Threads: one; is_stopping is set by any.
 * Limits:  JIT_BUDGET_BYTES or JIT_BUDGET_NS of one pass over all files, but of
 *          each file one window; JIT_FILE_MAX_BYTES of one file in all.
 * Tests:   jit_map_test.c, jit_dump_test.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define JIT_BUDGET_BYTES (UINT64_C(64) << 20)
#define JIT_BUDGET_NS (100 * NS_PER_MS)
#define JIT_FILE_MAX_BYTES (UINT64_C(4) << 30)
#define JIT_WINDOW_BYTES ((size_t)1 << 20)

struct jit_budget {
    const atomic_bool *is_stopping; /* NULL: nobody stops it */
    uint64_t until_ns;
    uint64_t n_bytes_left;
    bool was_exceeded; /* a file has more than was read */
};

static inline struct jit_budget jit_budget_begin(const atomic_bool *is_stopping, uint64_t now_ns)
{
    return (struct jit_budget){
        .is_stopping = is_stopping,
        .until_ns = now_ns + JIT_BUDGET_NS,
        .n_bytes_left = JIT_BUDGET_BYTES,
    };
}

/* After a window of n_bytes: may the next one be read? */
static inline bool jit_budget_take(struct jit_budget *budget, size_t n_bytes)
{
    budget->n_bytes_left -= n_bytes < budget->n_bytes_left ? n_bytes : budget->n_bytes_left;
    bool is_stopping = budget->is_stopping && atomic_load(budget->is_stopping);
    if (is_stopping || budget->n_bytes_left == 0 || clock_now_ns() >= budget->until_ns) {
        budget->was_exceeded = true;
    }
    return !budget->was_exceeded;
}
