/* SPDX-License-Identifier: MIT */
#include "archive/history_budget.h"

#include <errno.h>
#include <unistd.h>

#define MADE_MAX_BYTES (UINT64_C(256) << 20)
#define MAX_INFLATION 64u
#define RECORDS_MEMORY_SHARE 4u
#define RECORDS_MAX_BYTES (UINT64_C(8) << 30)

static uint64_t choose_records_max(void)
{
    long n_pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (n_pages <= 0 || page_bytes <= 0) {
        return MADE_MAX_BYTES;
    }
    uint64_t share_bytes = (uint64_t)n_pages / RECORDS_MEMORY_SHARE * (uint64_t)page_bytes;
    share_bytes = share_bytes < RECORDS_MAX_BYTES ? share_bytes : RECORDS_MAX_BYTES;
    return share_bytes > MADE_MAX_BYTES ? share_bytes : MADE_MAX_BYTES;
}

struct history_budget history_budget_begin(void)
{
    return (struct history_budget){.records_max_bytes = choose_records_max()};
}

int history_budget_spend(struct history_budget *budget, enum history_kind kind, uint64_t n_bytes)
{
    uint64_t max_bytes = MAX_INFLATION * budget->n_member_bytes;
    uint64_t least_bytes = kind >= HISTORY_SAMPLES ? budget->records_max_bytes : MADE_MAX_BYTES;
    max_bytes = max_bytes > least_bytes ? max_bytes : least_bytes;
    if (n_bytes > max_bytes - budget->n_made_bytes) {
        return -ENOSPC;
    }
    budget->n_made_bytes += n_bytes;
    return 0;
}
