/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_outcomes.h"

#include <stdlib.h>
#include <string.h>

static size_t table_bytes(const struct cfi_outcome *outcome)
{
    return outcome->table ? cfi_table_memory_bytes(outcome->table) : 0;
}

struct cfi_outcome *cfi_outcomes_take(struct cfi_outcomes *outcomes,
                                      const struct cfi_identity *identity)
{
    struct cfi_outcome *outcome = outcomes->newest;
    while (outcome &&
           (!outcome->is_shared || memcmp(&outcome->identity, identity, sizeof(*identity)) != 0)) {
        outcome = outcome->older;
    }
    if (outcome && outcome->n_sources++ == 0) {
        outcomes->idle_bytes -= sizeof(*outcome) + table_bytes(outcome);
    }
    return outcome;
}

void cfi_outcomes_add(struct cfi_outcomes *outcomes, struct cfi_outcome *takes_outcome)
{
    takes_outcome->n_sources = 1;
    takes_outcome->older = outcomes->newest;
    if (outcomes->newest) {
        outcomes->newest->newer = takes_outcome;
    }
    outcomes->newest = takes_outcome;
    atomic_fetch_add_explicit(&outcomes->memory_bytes, table_bytes(takes_outcome),
                              memory_order_relaxed);
}

static void free_outcome(struct cfi_outcomes *outcomes, struct cfi_outcome *outcome)
{
    if (outcome->newer) {
        outcome->newer->older = outcome->older;
    } else {
        outcomes->newest = outcome->older;
    }
    if (outcome->older) {
        outcome->older->newer = outcome->newer;
    }
    atomic_fetch_sub_explicit(&outcomes->memory_bytes, table_bytes(outcome), memory_order_relaxed);
    cfi_table_free(outcome->table);
    free(outcome);
}

static void free_idle(struct cfi_outcomes *outcomes)
{
    while (outcomes->idle_bytes > outcomes->max_idle_bytes) {
        struct cfi_outcome *oldest = NULL;
        for (struct cfi_outcome *outcome = outcomes->newest; outcome; outcome = outcome->older) {
            if (outcome->n_sources == 0 &&
                (!oldest || outcome->released_at < oldest->released_at)) {
                oldest = outcome;
            }
        }
        if (!oldest) {
            break;
        }
        outcomes->idle_bytes -= sizeof(*oldest) + table_bytes(oldest);
        free_outcome(outcomes, oldest);
    }
}

void cfi_outcomes_release(struct cfi_outcomes *outcomes, struct cfi_outcome *outcome)
{
    if (!outcome || outcome->is_constant || --outcome->n_sources > 0) {
        return;
    }
    if (!outcome->is_shared) {
        free_outcome(outcomes, outcome);
        return;
    }
    outcome->released_at = ++outcomes->n_released;
    outcomes->idle_bytes += sizeof(*outcome) + table_bytes(outcome);
    free_idle(outcomes);
}

void cfi_outcomes_limit_idle(struct cfi_outcomes *outcomes, size_t max_bytes)
{
    outcomes->max_idle_bytes = max_bytes;
    free_idle(outcomes);
}

void cfi_outcomes_clear(struct cfi_outcomes *outcomes)
{
    while (outcomes->newest) {
        free_outcome(outcomes, outcomes->newest);
    }
}
