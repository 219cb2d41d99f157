/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_data_survey - a first reading of a perf.data file
 *
 * What has to be known before the first event can be delivered: which of its
 * events are samples and what one unit of their period is worth, whether
 * switches are told, which processes take part, when it begins.
 *
 * Owner:   perf_data_survey_make()/_release().
 * Threads: one; constant once it is made.
 * Tests:   import_perf_data_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"
#include "interchange/perf_data_file.h"

/* What the records of an event are good for. */
enum perf_data_use {
    PERF_DATA_UNUSED,
    PERF_DATA_SAMPLES,
    PERF_DATA_SWITCHES, /* sched:sched_switch */
    PERF_DATA_WAKEUPS,  /* sched:sched_waking, or sched:sched_wakeup */
};

struct perf_data_tally {
    enum perf_data_use use;
    uint64_t n_samples; /* of threads; those of idle processors are counted apart */
    uint64_t n_idle;
    uint64_t periods; /* their sum */
};

struct perf_data_process {
    int64_t pid, parent_pid; /* parent 0: not told */
    uint64_t n_samples;
    bool is_wanted; /* it was sampled, or ran, or one that it made */
};

/* Records by their time, roughly: damage gives a few of them times that are centuries away. */
#define PERF_DATA_AGE_BITS 49u /* six days */
#define PERF_DATA_MAX_AGES 16u

struct perf_data_age {
    uint64_t number; /* time >> PERF_DATA_AGE_BITS */
    uint64_t n_records, first_ns, last_ns;
};

struct perf_data_survey {
    struct perf_data_tally *events; /* by index */
    size_t n_events;
    struct perf_data_process *processes;
    size_t n_processes, processes_capacity;
    struct hash_table by_pid;      /* → index in processes */
    struct hash_table pids_by_tid; /* tid → pid */
    struct perf_data_age ages[PERF_DATA_MAX_AGES];
    size_t n_ages;
    uint64_t age;               /* with the most records: what is far from it makes no sense */
    uint64_t first_ns, last_ns; /* of samples and switches; 0: no times */
    uint64_t n_records, n_samples, n_switches;
    int64_t main_pid;      /* with the most samples; 0: none */
    double ns_per_unit;    /* of the period of samples */
    bool is_time;          /* … which are a time by themselves */
    bool has_switches;     /* when threads begin and cease to run is told */
    uint32_t sample_event; /* the (first) one that is used; UINT32_MAX: none */
    /* Where the kernel was; 0: not told. */
    uint64_t kernel_start_ip, kernel_end_ip;
    uint64_t kernel_symbol_ip;
    char kernel_symbol[32]; /* whose address that is: "_text" */
    uint8_t kernel_build_id_bytes;
    uint8_t kernel_build_id[LIMIT_BUILD_ID_BYTES];
};

/* Reads the file to its end and rewinds it. 0, or -ENOMEM, -EIO. */
int perf_data_survey_make(struct perf_data_file *file, struct perf_data_survey *ret_survey);
void perf_data_survey_release(struct perf_data_survey *survey);
DEFINE_RELEASEP(perf_data_survey);

/* Is it near to those of most records, or none at all? */
bool perf_data_survey_is_time(const struct perf_data_survey *survey, uint64_t time_ns);

bool perf_data_survey_wants(const struct perf_data_survey *survey, int64_t pid);
/* 0: not known. */
int64_t perf_data_survey_pid_of(const struct perf_data_survey *survey, int64_t tid);

/* What the scheduler's tracepoints say. */
struct perf_data_switch {
    int32_t prev_tid, next_tid;
    bool is_preempted;
};
bool perf_data_read_switch(const struct perf_extras *extras, struct perf_data_switch *ret_switch);
/* Who was woken; 0 where it makes no sense. */
int32_t perf_data_read_wakeup(const struct perf_extras *extras);
