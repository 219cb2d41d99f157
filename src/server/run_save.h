/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_save - a run as an archive, also while it records
 *
 * Owner:   the result lies in the arena.
 * Threads: any but the main loop (it takes a snapshot and writes files). The
 *          recording goes on meanwhile.
 * Tests:   tests/e2e/test_archive.py
 */

#include "base/arena.h"
#include "base/error.h"
#include "model/results/archive.h"
#include "server/run.h"

/* 0, or a negative errno with the reason: "archive_write". */
int run_save(struct run *run, const char *path, struct arena *arena, struct save_result *ret_result,
             struct error *reterr_error);
