/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive - what run.save and run.export have written
 *
 * Owner, Threads: see result.h.
 */

#include "model/results/result.h"

struct save_result {
    struct run_stamp run;
    const char *path;
    uint64_t archive_bytes;
    uint64_t samples;
    uint64_t took_ns;
    size_t n_notes;
    char **notes;
};

struct export_result {
    struct run_stamp run;
    const char *path;
    const char *format;
    uint64_t file_bytes;
    uint64_t threads, samples, waits;
    uint64_t cpu_ns, off_cpu_ns; /* what the file sums to */
    uint64_t spans, target_ns;   /* likewise; 0 where the format holds none */
};
