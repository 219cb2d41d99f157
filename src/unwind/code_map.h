/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_map - what code a process has mapped now, and the tables to leave it by
 *
 * Shape:   ranges by start_ip, not overlapping, executable code only. `bias` is
 *          ip - image_addr.
 * Owner:   whoever fills it; tables belong to the cfi_store and stay as long as
 *          the unwinder that tells of them.
 * Threads: a value.
 */

#include <stddef.h>
#include <stdint.h>

#include "unwind/cfi_table.h"

enum code_state {
    CODE_PENDING, /* its table has not been asked for or is being made */
    CODE_READY,
    CODE_WITHOUT_TABLE, /* frame pointers are all there is */
};

struct code_range {
    uint64_t start_ip, end_ip;
    uint64_t bias;
    enum code_state state;
    const struct cfi_table *table; /* CODE_READY only */
};

struct code_map {
    int64_t pid;
    uint64_t generation; /* grows from 1 on; event.stack.code_generation names it */
    size_t n_ranges;
    const struct code_range *ranges;
};
