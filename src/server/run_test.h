/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_test - what a run needs around it, for tests
 *
 * Owner:   constants. Threads: on_change() is called by those of the run.
 */

#include <uv.h>

#include "symbols/symbolizer.h"

static struct symbolizer *symbolizer;
static uv_sem_t changed; /* posted whenever the run tells of a change */

static void on_change(void *userdata)
{
    (void)userdata;
    uv_sem_post(&changed);
}

/* 0 or a negative errno. */
static inline int begin_surroundings(void)
{
    uv_sem_init(&changed, 0);
    return symbolizer_new(&symbolizer);
}

static inline void end_surroundings(void)
{
    symbolizer = symbolizer_free(symbolizer);
    uv_sem_destroy(&changed);
}
