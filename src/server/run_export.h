/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_export - a file for another tool, which appears whole or not at all
 *
 * Owner:   nothing is kept.
 * Threads: any but the main loop (it writes files).
 * Tests:   tests/e2e/test_export.py
 */

#include "interchange/export.h"

/* 0, or a negative errno with the reason: "archive_write", "invalid_params". */
int run_export(const struct export_source *source, enum export_format format, const char *path,
               struct export_tally *ret_tally, struct error *reterr_error);
