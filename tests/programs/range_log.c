/* SPDX-License-Identifier: MIT */
#include "range_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct range_entry entries[RANGE_LOG_MAX];
static unsigned n_entries;

uint64_t range_log_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct range_entry *range_log_add(const char *lane, const char *outer, const char *name)
{
    unsigned i = __atomic_fetch_add(&n_entries, 1, __ATOMIC_RELAXED);
    if (i >= RANGE_LOG_MAX) {
        fprintf(stderr, "range_log: more than %d entries\n", RANGE_LOG_MAX);
        exit(1);
    }
    entries[i].lane = lane;
    entries[i].outer = outer;
    entries[i].name = name;
    entries[i].tid = (uint32_t)gettid();
    return &entries[i];
}

void range_log_work(unsigned us)
{
    uint64_t until_ns = range_log_now_ns() + us * 1000u;
    while (range_log_now_ns() < until_ns) {
    }
}

void range_log_print(FILE *truth)
{
    fprintf(truth, "{\"pid\": %d, \"ranges\": [", (int)getpid());
    for (unsigned i = 0; i < n_entries; i++) {
        const struct range_entry *entry = &entries[i];
        fprintf(truth, "%s{\"lane\": \"%s\", \"path\": [", i > 0 ? ", " : "", entry->lane);
        if (entry->outer) {
            fprintf(truth, "\"%s\"", entry->outer);
        }
        if (entry->middle) {
            fprintf(truth, ", \"%s\"", entry->middle);
        }
        fprintf(truth,
                "], \"name\": \"%s\", \"tid\": %" PRIu32 ", \"begin_ns\": [%" PRIu64 ", %" PRIu64
                "], \"end_ns\": [%" PRIu64 ", %" PRIu64 "]",
                entry->name, entry->tid, entry->begin_ns[0], entry->begin_ns[1], entry->end_ns[0],
                entry->end_ns[1]);
        if (entry->thread) {
            fprintf(truth, ", \"thread\": \"%s\"", entry->thread);
        }
        if (entry->payload > 0) {
            fprintf(truth, ", \"payload\": %g", entry->payload);
        }
        fputc('}', truth);
    }
    fprintf(truth, "]}");
}
