/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_data_file - the file that `perf record` writes, as a sequence of records
 *
 * Knows the container: the header and its sections, or the stream that `perf
 * record -o -` writes; which event has which attributes; what was compressed.
 * What a record means is the importer's business.
 *
 * Shape:   records come in the order of the file, which is not that of their
 *          times. Facts of the header (host, build-ids, names of events) are
 *          there from the beginning; in a stream, once the records that bring
 *          them have been read.
 * Owner:   perf_data_file_open()/_free(); a record is valid until the next call.
 * Threads: one.
 * Limits:  PERF_DATA_MAX_EVENTS events, PERF_DATA_MAX_IDS identifiers,
 *          PERF_DATA_MAX_BUILD_IDS files; nothing is read as a whole. The file
 *          may be anybody's.
 * Source:  tools/perf/Documentation/perf.data-file-format.txt of Linux
 * Tests:   import_perf_data_test.c, tests/fuzz/fuzz_import_perf_data.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "decode/perf_layout.h"
#include "model/limits.h"

#define PERF_DATA_MAX_EVENTS 4096u
#define PERF_DATA_MAX_IDS (1u << 20)
#define PERF_DATA_MAX_BUILD_IDS 65536u
#define PERF_DATA_NAME_BYTES 64u

/* Beside the kernel's types. */
#define PERF_DATA_FINISHED_ROUND 68u

struct perf_data_event {
    struct perf_layout layout;
    char name[PERF_DATA_NAME_BYTES]; /* "": not told */
};

struct perf_data_build_id {
    const char *path;
    uint8_t n_bytes;
    uint8_t bytes[LIMIT_BUILD_ID_BYTES];
};

struct perf_data_facts {
    char host[100], release[100], command[400];
    uint32_t n_cpus;
    bool is_pipe;
    bool is_unfinished; /* perf was killed: what stands behind the records is missing */
    /* The same moment on the wall clock and on that of the records; 0: not told. */
    uint64_t wall_ns, clock_ns;
};

struct perf_data_record {
    const uint8_t *bytes; /* header included */
    size_t n_bytes;
    uint32_t type;
    uint32_t event; /* index; UINT32_MAX: of no known event */
};

/* How much could not be read. */
struct perf_data_damage {
    uint64_t lost_bytes;     /* from some point of the file on */
    uint64_t lost_records;   /* of unknown events */
    bool is_bad_compression; /* what was compressed ends early */
};

struct perf_data_file;

/* The first bytes of such a file? */
bool perf_data_file_is(const uint8_t *first_bytes, size_t n_bytes);

int perf_data_file_open(const char *path, struct perf_data_file **ret_file,
                        struct error *reterr_error);
struct perf_data_file *perf_data_file_free(struct perf_data_file *file);
DEFINE_FREEP(perf_data_file);

/* 1 and the next record; 0 at the end; -ENOMEM, -EIO. */
int perf_data_file_next(struct perf_data_file *file, struct perf_data_record *ret_record);

/* Back to the first record; what is known of events stays. */
int perf_data_file_rewind(struct perf_data_file *file);

size_t perf_data_file_n_events(const struct perf_data_file *file);
const struct perf_data_event *perf_data_file_event(const struct perf_data_file *file,
                                                   uint32_t index);
const struct perf_data_facts *perf_data_file_facts(const struct perf_data_file *file);
struct perf_data_damage perf_data_file_damage(const struct perf_data_file *file);

/* What the file tells of the one with this path, or NULL. */
const struct perf_data_build_id *perf_data_file_build_id(const struct perf_data_file *file,
                                                         const char *path);
