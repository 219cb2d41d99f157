/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_open - an archive as a run that is over
 *
 * The run has no threads and no capture: its aggregate is rebuilt from the
 * archive, its names come from there and from nowhere else, and what only the
 * recording host knew is told as it was told there.
 *
 * Owner:   the caller gets a reference.
 * Threads: any but the main loop (it reads files).
 * Tests:   tests/e2e/test_archive.py
 */

#include "base/error.h"
#include "server/run.h"
#include "symbols/symbolizer.h"

/*
 * The run has no number yet: run_registry_add() gives it one. 0, or a negative
 * errno with the reason: "archive_invalid" or "archive_read".
 */
int run_open(const char *path, struct symbolizer *symbolizer, struct run **ret_run,
             struct error *reterr_error);
