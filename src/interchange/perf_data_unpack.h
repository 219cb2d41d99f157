/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_data_unpack - the plain bytes of what `perf record -z` has compressed
 *
 * All compressed records of a file are one stream; what one of them holds is
 * put in, plain bytes come out piece by piece.
 *
 * Shape:   put(), then more() while has_more(); the caller moves plain_at over
 *          what it has read, and what it leaves stands before the next piece.
 * Owner:   zeroed at first; _release().
 * Threads: one.
 * Limits:  PERF_DATA_PLAIN_BYTES at a time. Nothing that perf records is packed
 *          to less than a thousandth: what is ends there, as damage does.
 * Tests:   import_perf_data_test.c, tests/fuzz/fuzz_import_perf_data.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_DATA_PLAIN_BYTES (512u * 1024)
#define PERF_DATA_RECORD_BYTES 65536u /* what a record has at most */

struct perf_data_unpack {
    void *stream;
    /* What is compressed of the latest such record, a copy, and how much of it has been read. */
    uint8_t packed[PERF_DATA_RECORD_BYTES];
    size_t packed_at, packed_bytes;
    uint8_t *plain; /* NULL: nothing is compressed */
    size_t plain_at, plain_bytes;
    bool is_full; /* more may come out, also where nothing is left to go in */
    bool is_bad;  /* what is compressed ends early */
    uint64_t all_packed_bytes, all_plain_bytes; /* so far */
};

void perf_data_unpack_release(struct perf_data_unpack *unpack);

/* What one record holds; has_more() was false. */
void perf_data_unpack_put(struct perf_data_unpack *unpack, const void *packed, size_t n_bytes);

static inline bool perf_data_unpack_has_more(const struct perf_data_unpack *unpack)
{
    return unpack->packed_at < unpack->packed_bytes || unpack->is_full;
}

/* More of the plain bytes, behind those that are left. 0 or -ENOMEM. */
int perf_data_unpack_more(struct perf_data_unpack *unpack);

/* The plain bytes make no sense: what is left of this record is not read. */
void perf_data_unpack_give_up(struct perf_data_unpack *unpack);

/* From the first record on again. 0 or -ENOMEM. */
int perf_data_unpack_rewind(struct perf_data_unpack *unpack);
