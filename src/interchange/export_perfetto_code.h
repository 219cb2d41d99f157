/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_perfetto_code - functions, frames and stacks of a trace, interned
 *
 * A packet names a stack by a number. The packet that is the first to do so
 * brings the stack along.
 *
 * Owner:   _init()/_release().
 * Threads: one.
 * Tests:   export_perfetto_test.c
 */

#include "base/hash_table.h"
#include "base/text.h"
#include "interchange/export_format.h"
#include "interchange/export_strings.h"

struct perfetto_code {
    struct export_job *job;
    struct export_strings functions, sources;
    struct hash_table callstacks; /* iid by stack, reason and kind */
    uint32_t n_callstacks;
    struct text inner, packed;
};

/* 0 or -ENOMEM. */
int perfetto_code_init(struct export_job *job, struct perfetto_code *ret_code);
void perfetto_code_release(struct perfetto_code *code);

/* Functions, files and frames, as fields of interned data. */
void perfetto_code_names(struct perfetto_code *code, struct text *interned);

/* The number of a row's stack; appends it to `interned` where it is new. 0 or -ENOMEM. */
int perfetto_code_callstack(struct perfetto_code *code, const struct export_row *row,
                            enum wait_reason reason, struct text *interned, uint64_t *ret_iid);
