/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * pprof_tables - the tables of a pprof profile: texts, functions, mappings, places
 *
 * Owner:   pprof_tables_read()/_release(); borrows the file's bytes.
 * Threads: one.
 * Limits:  PPROF_MAX_ROWS of each.
 * Source:  github.com/google/pprof, proto/profile.proto
 * Tests:   import_pprof_test.c, tests/fuzz/fuzz_import_pprof.c
 */

#include "base/hash_table.h"
#include "interchange/import_names.h"
#include "interchange/protobuf_read.h"

#define PPROF_MAX_ROWS (1u << 22)

/* Numbers of fields of the profile. */
enum pprof_field {
    PPROF_SAMPLE_TYPE = 1,
    PPROF_SAMPLE = 2,
    PPROF_MAPPING = 3,
    PPROF_LOCATION = 4,
    PPROF_FUNCTION = 5,
    PPROF_STRING = 6,
    PPROF_TIME_NS = 9,
    PPROF_DURATION_NS = 10,
    PPROF_PERIOD_TYPE = 11,
    PPROF_PERIOD = 12,
    PPROF_DEFAULT_TYPE = 14,
};

struct pprof_text {
    const char *bytes;
    size_t n_bytes;
};

struct pprof_type {
    uint64_t name, unit; /* texts */
};

struct pprof_function {
    uint64_t name, file; /* texts */
};

struct pprof_mapping {
    uint64_t path; /* text */
};

struct pprof_location {
    struct bytes message;
    uint64_t mapping, address;
    uint64_t ip; /* 0: not made yet */
};

struct pprof_table { /* of rows with an id each */
    void *rows;
    size_t n_rows, capacity, row_bytes;
    struct hash_table by_id;
};

#define PPROF_MAX_TYPES 64u

struct pprof_tables {
    struct pprof_table texts; /* by their place */
    struct pprof_table functions, mappings, locations;
    struct pprof_type types[PPROF_MAX_TYPES];
    size_t n_types;
    struct pprof_type period_type;
    uint64_t default_type; /* text; 0: not told */
    int64_t time_ns, duration_ns, period;
    bool is_cut; /* the profile ends within a field */
};

/* All but the samples. 0, -ENOMEM or -ENOSPC. */
int pprof_tables_read(const void *bytes, size_t n_bytes, struct pprof_tables *ret_tables);
void pprof_tables_release(struct pprof_tables *tables);

struct pprof_text pprof_text_at(const struct pprof_tables *tables, uint64_t index);
bool pprof_text_is(const struct pprof_tables *tables, uint64_t index, const char *wanted);

/* The address of a place; made when it is asked for first. 0, -ENOENT (no such place), -ENOMEM or
 * -ENOSPC. */
int pprof_location_ip(struct pprof_tables *tables, uint64_t id, struct import_names *names,
                      uint64_t *ret_ip);
