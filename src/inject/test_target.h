/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * test_target - a libstax-target that keeps what the libraries report
 *
 * Names are told apart by their paths, "outer/inner", lanes by their names.
 *
 * Owner:   the process.
 * Threads: any.
 * Limits:  TEST_SPANS_MAX spans; what comes then is counted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEST_SPANS_MAX 20000u
#define TEST_PATH_BYTES 1024

struct test_span {
    char lane[256];
    char path[TEST_PATH_BYTES];
    uint64_t start_ns, end_ns, origin_ns;
    uint32_t origin_tid;
    uint32_t n_counters;
    char counter[64]; /* the first one's name */
    double values[8];
};

/* Says whether somebody records from now on, and forgets what was reported. */
void test_target_record(bool is_recorded);

size_t test_target_n_spans(void);
const struct test_span *test_target_span(size_t i);

/* The only one with this path, and how often there is one; NULL: none. */
const struct test_span *test_target_find(const char *path, size_t *ret_n);
