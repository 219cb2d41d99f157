/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_archive_tables - names and totals of a run as SQL tables of its archive
 *
 * For people who ask with sqlite3: stax itself never reads them. Tables
 * threads(tid, name, cpu_ns, runq_ns, off_cpu_ns, samples), functions(name,
 * image, self_ns, total_ns, self_samples, total_samples) and totals(name, value).
 *
 * Owner:   nothing is kept.
 * Threads: any but the main loop.
 * Tests:   tests/e2e/test_archive.py
 */

#include "archive/archive_file.h"
#include "server/run.h"

int run_archive_tables_write(struct run *run, struct snapshot *snapshot, struct arena *arena,
                             struct archive_writer *writer, struct error *reterr_error);
