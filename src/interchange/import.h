/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * import - what other profilers have recorded, as a capture that plays it
 *
 * A file is recognised by its content. Its events go through the same drain
 * thread, unwinder and aggregator as those of a live recording:
 * capture_import_ops is a backend whose config.script is the path of the file.
 * drain() delivers as fast as the sink takes events, and says
 * CAPTURE_TARGET_GONE behind the last one.
 *
 * Times are those of the file, in order, on a clock that need not be this
 * host's: between two calls of drain() nothing may be concluded from the time
 * of now (run_ingest_progress()). The run must wait for room instead of
 * dropping (run_ingest_config.waits_for_room), and where import_facts has no
 * switches, it is one without off-CPU times (start_request.no_off_cpu).
 *
 * Shape:   one import_<format>.c per format behind import_reader.h.
 * Owner:   import_open()/_free(). A capture reads the file on its own.
 * Threads: one; facts and kept_run any. A capture as capture.h says.
 * Limits:  IMPORT_MAX_BYTES of a file that has to be read as a whole (all but
 *          perf.data, which is streamed); of JSON fewer (firefox_json.h).
 * Source:  each import_<format>.c names the description of its format.
 * Tests:   import_test.c and those of the readers, tests/e2e/test_import.py,
 *          tests/fuzz/fuzz_import_*.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "capture/capture.h"
#include "query/kept_run.h"

/* As it is read, and as it is after decompression. */
#define IMPORT_MAX_BYTES (UINT64_C(256) << 20)

enum import_format {
    IMPORT_NONE, /* none that is known */
    IMPORT_PERF_DATA,
    IMPORT_FOLDED,
    IMPORT_PPROF,
    IMPORT_FIREFOX,
    IMPORT_FORMAT_N
};

/* What a run has to know of a file before its first event. */
struct import_facts {
    enum import_format format;
    bool has_switches;           /* when threads ran is told; else CPU time is samples × period */
    bool has_addresses;          /* stacks are addresses in files that this machine may have */
    int64_t pid;                 /* of the process that it is about; 0: of many, or not told */
    uint32_t frequency_hz;       /* of samples; 0: not told */
    uint64_t started_at_unix_ns; /* 0: not told */
    /* What its processes have left on this host stood there then; 0: it is of another host. */
    uint64_t here_until_unix_ns;
    uint64_t n_samples;
    char command[400]; /* "": not told */
    char host[100];    /* where it was recorded; "": not told */
};

/* "perf.data", "folded stacks", "pprof", "Firefox profile". */
const char *import_format_name(enum import_format format);

/* By the first bytes; IMPORT_NONE also where the file cannot be read. */
enum import_format import_detect(const char *path);

/*
 * A file, looked at before its run is made. 0, or a negative errno:
 * "archive_invalid" where it is damaged beyond use or of a kind that is not
 * read, "archive_read" where the system refused, "limit".
 */
struct import;
int import_open(const char *path, struct import **ret_import, struct error *reterr_error);
struct import *import_free(struct import *import);
DEFINE_FREEP(import);

const struct import_facts *import_get_facts(const struct import *import);

/*
 * The names that it brings, for query_names_set_kept(); the import outlives the
 * run's query_names. They fit the addresses that capture_import_ops delivers
 * from the same file.
 */
struct kept_run import_kept_run(struct import *import);
