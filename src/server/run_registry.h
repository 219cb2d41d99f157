/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_registry - the runs of this server, and which of them is meant
 *
 * Shape:   ids count 1, 2, 3 …; one run at most is active (starting or
 *          recording); a run is listed once it records. Questions without an id
 *          mean the active run, else the selected one: the newest, unless
 *          somebody chose.
 * Owner:   the registry holds one reference to each run.
 * Threads: one (the main loop).
 * Limits:  RUN_REGISTRY_MAX_RUNS; past it the oldest run that is neither
 *          active nor selected is forgotten.
 * Tests:   run_registry_test.c
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "model/ids.h"
#include "server/run.h"

#define RUN_REGISTRY_MAX_RUNS 256u

struct run_registry {
    struct run *runs[RUN_REGISTRY_MAX_RUNS]; /* oldest first */
    size_t n_runs;
    struct run *active; /* borrowed from runs, or the starting one's own reference */
    bool is_starting;
    bool keeps_selection; /* of the starting one: it is not selected once it records */
    run_id selected;      /* 0: none */
    run_id newest;
};

void run_registry_init(struct run_registry *registry);
void run_registry_release(struct run_registry *registry);
DEFINE_RELEASEP(run_registry);

/* The number that the next run gets; a start that fails does not use it up. */
run_id run_registry_next_id(const struct run_registry *registry);

/* Nothing may be active. Takes over the reference. */
void run_registry_begin(struct run_registry *registry, struct run *take_run);

/* The starting run will not be selected, unless none is. */
void run_registry_keep_selection(struct run_registry *registry);

/* The starting run records now: it is listed, and selected. */
void run_registry_commit(struct run_registry *registry);

/* The starting run failed: it leaves no trace. Gives the reference back. */
struct run *run_registry_abandon(struct run_registry *registry);

/* The active run is over; it stays listed. */
void run_registry_retire(struct run_registry *registry);

/* A run that was recorded elsewhere: it gets the next number, is listed, and selected, unless
 * another one is that shall be kept. Nothing may be active. */
void run_registry_add(struct run_registry *registry, struct run *take_run, bool keeps_selection);

/* A part of a run that may go on: it gets the next number and is listed, but not selected. */
void run_registry_add_part(struct run_registry *registry, struct run *take_run);

/* Borrowed. NULL where there is none; a run that is still starting is not found. */
struct run *run_registry_find(const struct run_registry *registry, run_id id);
struct run *run_registry_active(const struct run_registry *registry);
struct run *run_registry_meant(const struct run_registry *registry, run_id id);

/* False when there is no such run. */
bool run_registry_select(struct run_registry *registry, run_id id);
