/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export - a run in the file format of another tool
 *
 * Every format tells the same numbers: CPU time as `stax top` has it, to the
 * nanosecond, time off the CPU as `stax off-cpu` has it, and target time as
 * `stax target top` has it. What one format
 * can hold and another cannot (single waits, lines, inlined functions, times
 * of samples) is in docs/reference/export.md.
 *
 * Shape:   one file per format, export_<name>.c, behind one table.
 * Owner:   names and stacks of the export live in the arena of the query.
 * Threads: any; it reads a snapshot.
 * Limits:  memory grows with distinct stacks and threads, not with samples;
 *          bytes leave through a buffer of fixed size.
 * Tests:   export_test.c, export_<name>_test.c; tests/e2e/test_export.py asks
 *          the readers of the formats.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/results/run.h"
#include "query/query.h"

enum export_format {
    EXPORT_FORMAT_FIREFOX,    /* Firefox Profiler, "processed profile" JSON */
    EXPORT_FORMAT_PPROF,      /* protocol buffer, gzip */
    EXPORT_FORMAT_SPEEDSCOPE, /* JSON */
    EXPORT_FORMAT_FOLDED,     /* lines of text: "thread;main;work 1234" */
    EXPORT_FORMAT_PERFETTO,   /* trace of protocol buffers */
    EXPORT_FORMAT_CALLGRIND,  /* text */
    EXPORT_FORMAT_SVG,        /* a flamegraph that needs no script */
    EXPORT_FORMAT_HTML,       /* one self-contained file */
    EXPORT_FORMAT_N
};

/*
 * What is exported. The view of the query counts: tids, range, exclude, focus;
 * its mode decides what the formats that hold one number per stack (folded,
 * svg) hold: CPU time, target time, time off the CPU or several of them.
 */
struct export_source {
    const struct query_context *query;
    const struct run_info *run; /* command, pid, when it began, …; NULL: not known */
};

/* What went into the file. */
struct export_tally {
    uint64_t n_bytes;
    uint64_t n_threads, n_samples, n_waits;
    uint64_t cpu_ns, off_cpu_ns; /* the view's totals, which the file sums to */
    uint64_t n_spans, target_ns; /* likewise; 0 where the format holds none */
};

/*
 * Writes to `fd`, which stays open; nothing is read from it or sought in it.
 * Who wants whole files or none writes to a temporary name and renames.
 *
 * 0; -EINVAL, where reterr_error says what makes no sense (a range, a pattern);
 * -ENOMEM; or what write() failed with: only the caller knows what the file is
 * called. `ret_tally` may be NULL.
 */
int export_write(const struct export_source *source, enum export_format format, int fd,
                 struct export_tally *ret_tally, struct error *reterr_error);

/* "firefox", "pprof", … as --format takes them; "unknown" out of range. */
const char *export_format_name(enum export_format format);

/* False, and nothing written, where `name` is none of them; it may be NULL. */
bool export_format_parse(const char *name, enum export_format *ret_format);

/*
 * From the name of the file: .json (firefox); .pb.gz, .pprof and .pprof.gz; .speedscope.json;
 * .folded, .collapsed and .txt; .perfetto-trace, .pftrace and .perfetto; callgrind.out* and
 * .callgrind; .svg; .html and .htm. False, and nothing written, where it tells none.
 */
bool export_format_of(const char *path, enum export_format *ret_format);

/* All names with commas between them, for messages and help. */
const char *export_format_list(void);
