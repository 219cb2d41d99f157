/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_object_namer - what a run's threads waited for, for queries
 *
 * Owner:   the run; it has to outlive the namer.
 * Threads: any but the main loop.
 */

#include "query/object_text.h"
#include "server/run.h"

/* Looks at the target while it is recorded, else at what is known. */
struct object_namer run_object_namer(struct run *run);
