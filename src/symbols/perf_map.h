/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_map - the lines of /tmp/perf-PID.map
 *
 * A program that makes code says one line per function: start, size (both
 * hexadecimal) and a name that reaches to the end of the line. Lines are only
 * appended; a later one tells what stands at an address now.
 *
 * Shape:   bytes → one line, whose name leads into the bytes.
 * Owner:   borrowed from the caller's bytes.
 * Threads: any; no state.
 * Limits:  PERF_MAP_MAX_LINE_BYTES of a line; longer ones are skipped.
 * Source:  tools/perf/Documentation/jit-interface.txt of Linux.
 * Tests:   perf_map_test.c, tests/fuzz/fuzz_perf_map.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_MAP_MAX_LINE_BYTES (64u << 10)

struct perf_map_line {
    uint64_t start_ip, n_bytes;
    const char *name; /* not NUL-terminated */
    size_t n_name_bytes;
};

/*
 * The next whole line that makes sense; *inout_used grows by what was read of
 * the bytes, skipped lines included. False when only the beginning of a line is
 * left: call again with those bytes and what was appended. At the end of the
 * file, has_end counts a last line without its newline as whole.
 */
bool perf_map_next(const char *text, size_t n_bytes, bool has_end, size_t *inout_used,
                   struct perf_map_line *ret_line);
