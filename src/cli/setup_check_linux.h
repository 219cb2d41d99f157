/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * setup_check - does staxd really open an event?
 *
 * Owner:   the caller's memory. Threads: any.
 * Tests:   setup_run_linux_test.c; tests/e2e/test_setup.py
 */

#include "base/error.h"

/* Asks for an event of this very process as an ordinary user would (root becomes one for it, in a
 * process of its own). 0 or a negative errno. */
int setup_check(const char *socket_path, struct error *reterr_error);
