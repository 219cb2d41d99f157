/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * firefox_stacks - the stacks of a profile, as addresses that have names
 *
 * Threads have tables of their own or share them: each table is made once.
 *
 * Owner:   firefox_stacks_init()/_release(); the profile is not needed once all
 *          threads have been asked for.
 * Threads: one; constant then.
 * Limits:  FIREFOX_STACKS_MAX_ROWS of frames and stacks in all tables.
 * Tests:   import_firefox_test.c, tests/fuzz/fuzz_import_firefox.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interchange/firefox_libraries.h"
#include "interchange/firefox_profile.h"
#include "interchange/import_names.h"

#define FIREFOX_STACKS_MAX_ROWS (1u << 24)

struct firefox_frame_table {
    const json_t *funcs, *names; /* of the latest thread that had them */
    size_t n_frames;
    uint64_t *ips; /* 0: the frame makes no sense */
};

struct firefox_stack_table {
    const json_t *identity;
    uint32_t frame_table;
    size_t n_stacks;
    uint32_t *frames, *prefixes; /* of each stack; UINT32_MAX: none */
};

struct firefox_stacks {
    struct import_names *names;
    struct firefox_libraries *libraries;
    struct firefox_frame_table *frames; /* one per thread at most */
    struct firefox_stack_table *tables; /* likewise */
    size_t n_frame_tables, n_tables;
    uint64_t n_rows; /* of all of them */
    bool has_files;
};

/* For the first max_tables threads. 0 or -ENOMEM; _release() in any case. */
int firefox_stacks_init(const struct firefox_profile *profile, size_t max_tables,
                        struct firefox_stacks *ret_stacks);
void firefox_stacks_release(struct firefox_stacks *stacks);

/* The number of the thread's table. 0, -ENOMEM, -ENOSPC, or -EFBIG: there are too many rows. */
int firefox_stacks_of(struct firefox_stacks *stacks, const struct firefox_profile *profile,
                      const struct firefox_thread *view, uint32_t *ret_table);

/* Up to LIMIT_STACK_IPS addresses from the innermost on; `stack` UINT32_MAX: none. False: there are
 * more. */
bool firefox_stacks_ips(const struct firefox_stacks *stacks, uint32_t table, uint32_t stack,
                        uint64_t *ips, size_t *ret_n_ips);
