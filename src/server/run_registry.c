/* SPDX-License-Identifier: MIT */
#include "server/run_registry.h"

#include <assert.h>
#include <string.h>

void run_registry_init(struct run_registry *registry)
{
    *registry = (struct run_registry){.n_runs = 0};
}

void run_registry_release(struct run_registry *registry)
{
    if (registry->is_starting) {
        run_unref(registry->active);
    }
    for (size_t i = 0; i < registry->n_runs; i++) {
        run_unref(registry->runs[i]);
    }
    run_registry_init(registry);
}

run_id run_registry_next_id(const struct run_registry *registry)
{
    /* The starting run has its number already, but is not listed; parts of others may be, with
     * later ones. */
    run_id starting = registry->is_starting ? run_get_id(registry->active) : 0;
    return (starting > registry->newest ? starting : registry->newest) + 1;
}

void run_registry_begin(struct run_registry *registry, struct run *take_run)
{
    assert(!registry->active);
    registry->active = take_run;
    registry->is_starting = true;
}

static void forget_oldest(struct run_registry *registry)
{
    size_t oldest = 0;
    while (run_get_id(registry->runs[oldest]) == registry->selected ||
           registry->runs[oldest] == registry->active) {
        oldest++; /* two at most */
    }
    run_unref(registry->runs[oldest]);
    registry->n_runs--;
    memmove(&registry->runs[oldest], &registry->runs[oldest + 1],
            (registry->n_runs - oldest) * sizeof(registry->runs[0]));
}

static void list(struct run_registry *registry, struct run *take_run)
{
    if (registry->n_runs == RUN_REGISTRY_MAX_RUNS) {
        forget_oldest(registry);
    }
    registry->runs[registry->n_runs++] = take_run;
    run_id id = run_get_id(take_run);
    registry->newest = id > registry->newest ? id : registry->newest;
}

static void choose(struct run_registry *registry, const struct run *run, bool keeps_selection)
{
    if (!keeps_selection || registry->selected == 0) {
        registry->selected = run_get_id(run);
    }
}

void run_registry_commit(struct run_registry *registry)
{
    assert(registry->active && registry->is_starting);
    registry->is_starting = false;
    list(registry, registry->active);
    choose(registry, registry->active, registry->keeps_selection);
    registry->keeps_selection = false;
}

void run_registry_keep_selection(struct run_registry *registry)
{
    assert(registry->active && registry->is_starting);
    registry->keeps_selection = true;
}

void run_registry_add(struct run_registry *registry, struct run *take_run, bool keeps_selection)
{
    assert(!registry->active);
    run_set_id(take_run, run_registry_next_id(registry));
    list(registry, take_run);
    choose(registry, take_run, keeps_selection);
}

void run_registry_add_part(struct run_registry *registry, struct run *take_run)
{
    run_set_id(take_run, run_registry_next_id(registry));
    list(registry, take_run);
}

struct run *run_registry_abandon(struct run_registry *registry)
{
    assert(registry->active && registry->is_starting);
    registry->is_starting = false;
    registry->keeps_selection = false;
    return TAKE_PTR(registry->active);
}

void run_registry_retire(struct run_registry *registry)
{
    assert(registry->active && !registry->is_starting);
    registry->active = NULL;
}

struct run *run_registry_find(const struct run_registry *registry, run_id id)
{
    for (size_t i = 0; i < registry->n_runs; i++) {
        if (run_get_id(registry->runs[i]) == id) {
            return registry->runs[i];
        }
    }
    return NULL;
}

struct run *run_registry_active(const struct run_registry *registry)
{
    return registry->is_starting ? NULL : registry->active;
}

struct run *run_registry_meant(const struct run_registry *registry, run_id id)
{
    if (id != 0) {
        return run_registry_find(registry, id);
    }
    struct run *active = run_registry_active(registry);
    return active ? active : run_registry_find(registry, registry->selected);
}

bool run_registry_select(struct run_registry *registry, run_id id)
{
    if (!run_registry_find(registry, id)) {
        return false;
    }
    registry->selected = id;
    return true;
}
