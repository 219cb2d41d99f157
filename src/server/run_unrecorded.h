/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_unrecorded - why the host of a recording does not tell of something
 *
 * Owner:   the text lies in the arena.
 * Threads: any.
 * Tests:   tests/e2e/test_archive.py, tests/e2e/test_wakes.py
 */

#include "base/arena.h"
#include "model/capability.h"
#include "server/run.h"

/* NULL where it does. Of an opened run: of the host that recorded it. */
const char *run_unrecorded(const struct run *run, enum capability_kind kind, struct arena *arena);
