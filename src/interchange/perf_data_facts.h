/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_data_facts - what a perf.data file tells beside its samples
 *
 * The same facts come in two ways: as sections behind the records of a file,
 * or as records of their own in a stream; the bytes inside are alike.
 *
 * Owner:   perf_data_tables_init()/_release().
 * Threads: one.
 * Limits:  see perf_data_file.h.
 * Source:  tools/perf/Documentation/perf.data-file-format.txt of Linux
 * Tests:   import_perf_data_test.c
 */

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash_table.h"
#include "interchange/perf_data_file.h"

/* Numbers of header features. */
#define PERF_DATA_FEATURE_BUILD_ID 2u
#define PERF_DATA_FEATURE_HOSTNAME 3u
#define PERF_DATA_FEATURE_OSRELEASE 4u
#define PERF_DATA_FEATURE_ARCH 6u
#define PERF_DATA_FEATURE_NRCPUS 7u
#define PERF_DATA_FEATURE_CMDLINE 11u
#define PERF_DATA_FEATURE_EVENT_DESC 12u
#define PERF_DATA_FEATURE_DIR_FORMAT 24u
#define PERF_DATA_FEATURE_CLOCK_DATA 29u

struct perf_data_tables {
    struct perf_data_facts facts;
    enum perf_machine machine;
    struct perf_data_event *events;
    size_t n_events, events_capacity;
    struct hash_table by_id; /* → index in events */
    struct perf_data_build_id *build_ids;
    size_t n_build_ids, build_ids_capacity;
    struct hash_table by_path; /* hash of the path → index in build_ids */
    struct arena texts;
};

void perf_data_tables_init(struct perf_data_tables *tables);
void perf_data_tables_release(struct perf_data_tables *tables);

/* An event with its identifiers (n_ids × 8 bytes). 0, -EBADMSG, -ENOSPC or -ENOMEM. */
int perf_data_tables_add_event(struct perf_data_tables *tables, const void *attr, size_t attr_bytes,
                               struct bytes ids);

/* What a feature says; one that makes no sense, or that nobody needs, is skipped. 0 or -ENOMEM. */
int perf_data_tables_add_feature(struct perf_data_tables *tables, uint32_t number,
                                 struct bytes data);

/* One record of the table of build-ids, header included. 0 or -ENOMEM. */
int perf_data_tables_add_build_id(struct perf_data_tables *tables, const void *record,
                                  size_t n_bytes);

const struct perf_data_build_id *
perf_data_tables_find_build_id(const struct perf_data_tables *tables, const char *path);

/* The name of an event by one of its identifiers. */
void perf_data_tables_name_event(struct perf_data_tables *tables, uint64_t id, const char *name,
                                 size_t n_bytes);
