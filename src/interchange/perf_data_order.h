/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_data_order - the records of a perf.data file by time
 *
 * `perf record` empties one ring after the other and writes a mark behind each
 * round: what a later round brings is not older than the newest record of the
 * round before the last mark. Up to there records can be sorted and handed out.
 *
 * Shape:   records are copied; time 0 (what perf made up itself, before the
 *          first event) comes at once, and first.
 * Owner:   perf_data_order_init()/_release(). What is taken is valid until the
 *          next call of any function.
 * Threads: one.
 * Limits:  PERF_DATA_ORDER_MAX_BYTES of records that wait; past it, as where a
 *          file has no marks, the older half is handed out.
 * Source:  tools/perf/util/ordered-events.c of Linux, in words
 * Tests:   perf_data_order_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "interchange/perf_data_file.h"

#define PERF_DATA_ORDER_MAX_BYTES (UINT64_C(128) << 20)

struct perf_data_waiting; /* one record */

struct perf_data_order {
    struct perf_data_waiting *entries; /* of them n_ready are sorted, n_taken are gone */
    size_t n_entries, entries_capacity, n_ready, n_taken;
    size_t n_added; /* since they were sorted */
    uint8_t *bytes;
    size_t n_bytes, bytes_capacity;
    size_t max_bytes;    /* PERF_DATA_ORDER_MAX_BYTES */
    uint64_t newest_ns;  /* of all so far */
    uint64_t certain_ns; /* the newest when the round before began */
};

void perf_data_order_init(struct perf_data_order *order);
void perf_data_order_release(struct perf_data_order *order);
DEFINE_RELEASEP(perf_data_order);

/* 0 or -ENOMEM. Only after everything that is ready has been taken. */
int perf_data_order_add(struct perf_data_order *order, const struct perf_data_record *record,
                        uint64_t time_ns);

/* A mark: some records are ready. */
void perf_data_order_end_round(struct perf_data_order *order);

/* The file is over: all are. */
void perf_data_order_end(struct perf_data_order *order);

/* The next one, and its time. */
bool perf_data_order_take(struct perf_data_order *order, struct perf_data_record *ret_record,
                          uint64_t *ret_time_ns);
