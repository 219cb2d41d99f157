/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_budget - how much memory may be made of an archive's rows
 *
 * Rows that are alike take next to nothing in a file, so that few bytes could
 * become gigabytes. What rows become is bounded, or by so many times the
 * members' bytes where that is more. A run that does the same all the time has
 * records that are alike as well, and all of them are of use: these may take a
 * part of the machine's memory.
 *
 * Owner, Threads: values.
 * Source:  docs/design/0015-archive.md
 * Tests:   run_history_test.c
 */

#include <stdint.h>

#include "archive/history_tables.h"

struct history_budget {
    uint64_t n_member_bytes; /* of all that were read so far */
    uint64_t n_made_bytes, records_max_bytes;
};

struct history_budget history_budget_begin(void);

/* Memory is going to be taken for rows of the kind. 0, or -ENOSPC where that would be too much for
 * such an archive. */
int history_budget_spend(struct history_budget *budget, enum history_kind kind, uint64_t n_bytes);
