/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * dwarf_budget - how much memory the sections of debug files may take
 *
 * A file says how large its sections are, and a few compressed or sparse bytes
 * can say anything. What is kept whole and every large window is taken from a
 * budget first; what does not fit is not read.
 *
 * Owner:   values; that of the process is static.
 * Threads: any.
 * Limits:  DWARF_BUDGET_MAX_BYTES, or DWARF_BUDGET_MEMORY_SHARE of the machine's
 *          memory where that is less.
 * Tests:   dwarf_budget_test.c, dwarf_sections_test.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DWARF_BUDGET_MAX_BYTES (UINT64_C(3) << 30)
#define DWARF_BUDGET_MEMORY_SHARE 4u /* one part of so many */

struct dwarf_budget {
    uint64_t max_bytes;
    atomic_uint_least64_t n_bytes; /* taken and not given back */
    atomic_uint_least64_t n_refusals;
};

/* The one for all files that have no other. */
struct dwarf_budget *dwarf_budget_of_process(void);

/* false: it does not fit, and is counted as a refusal. */
bool dwarf_budget_take(struct dwarf_budget *budget, uint64_t n_bytes);
void dwarf_budget_give(struct dwarf_budget *budget, uint64_t n_bytes);

/*
 * Memory that is taken from the budget: *data, of `from_bytes` before (0: there
 * is none yet), has `to_bytes` then. 0, -EFBIG where it does not fit, -ENOMEM,
 * -EINVAL for no bytes; on failure all is as before.
 */
int dwarf_budget_resize(struct dwarf_budget *budget, uint64_t from_bytes, uint64_t to_bytes,
                        uint8_t **data);
void dwarf_budget_free(struct dwarf_budget *budget, uint8_t *data, uint64_t n_bytes);

/* Would it fit? Where it would not, that is a refusal, too. */
bool dwarf_budget_has_room(struct dwarf_budget *budget, uint64_t n_bytes);

uint64_t dwarf_budget_n_refusals(const struct dwarf_budget *budget);
