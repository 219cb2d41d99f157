/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_budget.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_BYTES (UINT64_C(2) << 20)

static struct dwarf_budget process_budget;

static void measure_memory(void)
{
    long n_pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t max_bytes = DWARF_BUDGET_MAX_BYTES;
    if (n_pages > 0 && page_bytes > 0) {
        uint64_t share_bytes = (uint64_t)n_pages / DWARF_BUDGET_MEMORY_SHARE * (uint64_t)page_bytes;
        max_bytes = share_bytes < max_bytes ? share_bytes : max_bytes;
    }
    process_budget.max_bytes = max_bytes;
}

struct dwarf_budget *dwarf_budget_of_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, measure_memory);
    return &process_budget;
}

static bool fits(const struct dwarf_budget *budget, uint64_t taken_bytes, uint64_t n_bytes)
{
    return taken_bytes <= budget->max_bytes && n_bytes <= budget->max_bytes - taken_bytes;
}

static bool refuse(struct dwarf_budget *budget)
{
    atomic_fetch_add_explicit(&budget->n_refusals, 1, memory_order_relaxed);
    return false;
}

bool dwarf_budget_take(struct dwarf_budget *budget, uint64_t n_bytes)
{
    uint_least64_t taken_bytes = atomic_load_explicit(&budget->n_bytes, memory_order_relaxed);
    do {
        if (!fits(budget, taken_bytes, n_bytes)) {
            return refuse(budget);
        }
    } while (!atomic_compare_exchange_weak_explicit(&budget->n_bytes, &taken_bytes,
                                                    taken_bytes + n_bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void dwarf_budget_give(struct dwarf_budget *budget, uint64_t n_bytes)
{
    atomic_fetch_sub_explicit(&budget->n_bytes, n_bytes, memory_order_relaxed);
}

bool dwarf_budget_has_room(struct dwarf_budget *budget, uint64_t n_bytes)
{
    uint64_t taken_bytes = atomic_load_explicit(&budget->n_bytes, memory_order_relaxed);
    return fits(budget, taken_bytes, n_bytes) || refuse(budget);
}

uint64_t dwarf_budget_n_refusals(const struct dwarf_budget *budget)
{
    return atomic_load_explicit(&budget->n_refusals, memory_order_relaxed);
}

/* Where pages are faulted in one by one, filling 100 MB takes longer than reading them. */
static void want_huge_pages(const uint8_t *data, uint64_t n_bytes)
{
    if (n_bytes < 4 * HUGE_PAGE_BYTES) {
        return;
    }
    uintptr_t start = ((uintptr_t)data + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)data + n_bytes) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
    if (end > start) {
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
    }
}

static uint8_t *alloc(uint64_t n_bytes)
{
    if (n_bytes < 4 * HUGE_PAGE_BYTES) {
        return malloc(n_bytes);
    }
    uint64_t rounded_bytes = (n_bytes + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    return aligned_alloc(HUGE_PAGE_BYTES, rounded_bytes);
}

int dwarf_budget_resize(struct dwarf_budget *budget, uint64_t from_bytes, uint64_t to_bytes,
                        uint8_t **data)
{
    if (to_bytes == 0) {
        return -EINVAL;
    }
    if (to_bytes > from_bytes && !dwarf_budget_take(budget, to_bytes - from_bytes)) {
        return -EFBIG;
    }
    uint8_t *resized = from_bytes == 0 ? alloc(to_bytes) : realloc(*data, to_bytes);
    if (!resized) {
        dwarf_budget_give(budget, to_bytes > from_bytes ? to_bytes - from_bytes : 0);
        return -ENOMEM;
    }
    dwarf_budget_give(budget, from_bytes > to_bytes ? from_bytes - to_bytes : 0);
    want_huge_pages(resized, to_bytes);
    *data = resized;
    return 0;
}

void dwarf_budget_free(struct dwarf_budget *budget, uint8_t *data, uint64_t n_bytes)
{
    if (data) {
        free(data);
        dwarf_budget_give(budget, n_bytes);
    }
}
