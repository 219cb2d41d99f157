/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_layout - records of events that somebody else has opened
 *
 * What a record of the kernel holds depends on the attributes of its event.
 * perf_record.h reads those that we open; here any attributes will do, as a
 * file of `perf record` brings them along.
 *
 * Shape:   a struct perf_layout is made of a perf_event_attr as it was written,
 *          of whatever length.
 * Owner:   nothing to free; records borrow the bytes.
 * Threads: any.
 * Source:  perf_event_open(2), section "MMAP layout"; include/uapi/linux/perf_event.h
 * Tests:   perf_layout_test.c, tests/fuzz/fuzz_import_perf_data.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/perf_record.h"

/* The processor of the machine where it was recorded: what its register numbers mean. */
enum perf_machine { PERF_MACHINE_X86_64, PERF_MACHINE_AARCH64, PERF_MACHINE_OTHER };

struct perf_layout {
    uint32_t type; /* PERF_TYPE_* */
    uint64_t config;
    uint64_t period; /* or frequency in Hz */
    bool is_frequency;
    bool has_switches; /* PERF_RECORD_SWITCH… come with it */
    bool excludes_kernel;
    uint64_t sample_type, read_format, branch_type, user_registers;
    bool has_trailer; /* sample_id_all */
    enum perf_machine machine;
};

#define PERF_LAYOUT_MIN_ATTR_BYTES 64u /* PERF_ATTR_SIZE_VER0 */

/* 0, or -EBADMSG for what is no perf_event_attr. */
int perf_layout_of(const void *attr, size_t n_bytes, enum perf_machine machine,
                   struct perf_layout *ret_layout);

/* Where the identifier of the event stands in a sample: from its header on, and in other records:
 * from their end. 0: nowhere. */
size_t perf_layout_sample_id_at(const struct perf_layout *layout);
size_t perf_layout_trailer_id_at(const struct perf_layout *layout);

/* Beside what our own events bring. */
struct perf_extras {
    uint64_t chain[2];  /* where a sample has no call chain: its marker and its address */
    const uint8_t *raw; /* of a tracepoint; NULL: none */
    size_t raw_bytes;
    bool has_time, has_period;
};

/*
 * A whole record, header included. 0; 1 for a type that is not read; -EBADMSG.
 *   record->sample.period_ns is the period in units of the event, 0 where the
 *   sample does not tell it. *ret_extras has to live as long as the record.
 */
int perf_layout_parse(const struct perf_layout *layout, const void *data, size_t n_bytes,
                      struct perf_record *ret_record, struct perf_extras *ret_extras);

/* The time alone; 0 where it is not told. */
uint64_t perf_layout_time(const struct perf_layout *layout, const void *data, size_t n_bytes);
