/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_data_test - makes perf.data files for tests, record by record
 *
 * Owner, Threads: a test's own.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decode/perf_abi.h"

#define MAKER_BYTES (256u * 1024)
#define MAKER_ATTR_BYTES 128u
#define MAKER_FORMAT                                                                               \
    (PERF_ABI_SAMPLE_IDENTIFIER | PERF_ABI_SAMPLE_IP | PERF_ABI_SAMPLE_TID |                       \
     PERF_ABI_SAMPLE_TIME | PERF_ABI_SAMPLE_CPU | PERF_ABI_SAMPLE_PERIOD |                         \
     PERF_ABI_SAMPLE_CALLCHAIN)
#define MAKER_FREQUENCY (UINT64_C(1) << 10)
#define MAKER_ID_ALL (UINT64_C(1) << 18)
#define MAKER_SWITCHES (UINT64_C(1) << 26)

struct maker {
    size_t n_bytes;
    uint8_t bytes[MAKER_BYTES];
};

struct made_event {
    uint32_t type;
    uint64_t config, period, sample_type, flags, registers;
    uint64_t id;
    const char *name; /* NULL: not told */
};

static inline void put_bytes(struct maker *maker, const void *bytes, size_t n_bytes)
{
    if (n_bytes > MAKER_BYTES - maker->n_bytes) {
        abort();
    }
    if (n_bytes > 0) {
        memcpy(maker->bytes + maker->n_bytes, bytes, n_bytes);
    }
    maker->n_bytes += n_bytes;
}

static inline void put_u16(struct maker *maker, uint16_t value)
{
    put_bytes(maker, &value, sizeof(value));
}

static inline void put_u32(struct maker *maker, uint32_t value)
{
    put_bytes(maker, &value, sizeof(value));
}

static inline void put_u64(struct maker *maker, uint64_t value)
{
    put_bytes(maker, &value, sizeof(value));
}

/* With its NUL, and NULs up to a multiple of 8. */
static inline void put_text(struct maker *maker, const char *text)
{
    put_bytes(maker, text, strlen(text) + 1);
    while (maker->n_bytes % 8 != 0) {
        put_bytes(maker, "", 1);
    }
}

static inline size_t begin_record(struct maker *maker, uint32_t type, uint16_t misc)
{
    size_t at = maker->n_bytes;
    put_u32(maker, type);
    put_u16(maker, misc);
    put_u16(maker, 0);
    return at;
}

static inline void end_record(struct maker *maker, size_t at)
{
    uint16_t n_bytes = (uint16_t)(maker->n_bytes - at);
    memcpy(maker->bytes + at + 6, &n_bytes, sizeof(n_bytes));
}

/* Whose record it is, and when. */
struct made_moment {
    int32_t pid, tid;
    uint64_t time_ns, id;
    uint32_t cpu;
};

/* As MAKER_FORMAT has it. */
static inline void put_trailer(struct maker *maker, const struct made_moment *moment)
{
    put_u32(maker, (uint32_t)moment->pid);
    put_u32(maker, (uint32_t)moment->tid);
    put_u64(maker, moment->time_ns);
    put_u32(maker, moment->cpu);
    put_u32(maker, 0);
    put_u64(maker, moment->id);
}

static inline void put_name(struct maker *maker, const struct made_moment *moment, const char *name)
{
    size_t at = begin_record(maker, PERF_ABI_RECORD_COMM, 0);
    put_u32(maker, (uint32_t)moment->pid);
    put_u32(maker, (uint32_t)moment->tid);
    put_text(maker, name);
    put_trailer(maker, moment);
    end_record(maker, at);
}

static inline void put_mapping(struct maker *maker, const struct made_moment *moment,
                               uint64_t start_ip, const char *path)
{
    size_t at = begin_record(maker, PERF_ABI_RECORD_MMAP2, PERF_ABI_MISC_USER);
    put_u32(maker, (uint32_t)moment->pid);
    put_u32(maker, (uint32_t)moment->tid);
    put_u64(maker, start_ip);
    put_u64(maker, 0x10000);
    put_u64(maker, 0); /* offset */
    put_u32(maker, 8);
    put_u32(maker, 1);
    put_u64(maker, 4711); /* inode */
    put_u64(maker, 0);
    put_u32(maker, PERF_ABI_PROT_EXEC);
    put_u32(maker, 0);
    put_text(maker, path);
    put_trailer(maker, moment);
    end_record(maker, at);
}

static inline void put_switch(struct maker *maker, const struct made_moment *moment, bool is_out)
{
    size_t at = begin_record(maker, PERF_ABI_RECORD_SWITCH, is_out ? PERF_ABI_MISC_SWITCH_OUT : 0);
    put_trailer(maker, moment);
    end_record(maker, at);
}

/* MAKER_FORMAT up to the chain; what follows is the caller's, and end_record(). */
static inline size_t begin_sample(struct maker *maker, const struct made_moment *moment,
                                  uint64_t period, const uint64_t *chain, size_t n_chain)
{
    size_t at = begin_record(maker, PERF_ABI_RECORD_SAMPLE, PERF_ABI_MISC_USER);
    put_u64(maker, moment->id);
    put_u64(maker, n_chain > 1 ? chain[1] : 0x400000);
    put_u32(maker, (uint32_t)moment->pid);
    put_u32(maker, (uint32_t)moment->tid);
    put_u64(maker, moment->time_ns);
    put_u32(maker, moment->cpu);
    put_u32(maker, 0);
    put_u64(maker, period);
    put_u64(maker, n_chain);
    put_bytes(maker, chain, n_chain * sizeof(*chain));
    return at;
}

static inline void put_sample(struct maker *maker, const struct made_moment *moment,
                              uint64_t period, const uint64_t *chain, size_t n_chain)
{
    end_record(maker, begin_sample(maker, moment, period, chain, n_chain));
}

static inline void put_round(struct maker *maker)
{
    end_record(maker, begin_record(maker, 68, 0));
}

static inline void put_attr(struct maker *maker, const struct made_event *event)
{
    size_t at = maker->n_bytes;
    put_u32(maker, event->type);
    put_u32(maker, MAKER_ATTR_BYTES);
    put_u64(maker, event->config);
    put_u64(maker, event->period);
    put_u64(maker, event->sample_type);
    put_u64(maker, 0); /* read_format */
    put_u64(maker, event->flags);
    put_u64(maker, 0); /* wakeup, breakpoint */
    put_u64(maker, 0);
    put_u64(maker, 0);
    put_u64(maker, 0); /* branches */
    put_u64(maker, event->registers);
    while (maker->n_bytes < at + MAKER_ATTR_BYTES) {
        put_u64(maker, 0);
    }
}

static inline void put_counted_text(struct maker *maker, const char *text)
{
    put_u32(maker, 64);
    char padded[64] = "";
    snprintf(padded, sizeof(padded), "%s", text);
    put_bytes(maker, padded, sizeof(padded));
}

static inline void set_u64(struct maker *maker, size_t at, uint64_t value)
{
    memcpy(maker->bytes + at, &value, sizeof(value));
}

/* Features 3 (host), 6 (machine), 11 (command) and 12 (names of events). */
static inline void put_features(struct maker *maker, const struct made_event *events,
                                size_t n_events)
{
    size_t table = maker->n_bytes;
    for (int i = 0; i < 8; i++) {
        put_u64(maker, 0);
    }
    for (int i = 0; i < 4; i++) {
        size_t start = maker->n_bytes;
        if (i == 0) {
            put_counted_text(maker, "buildhost");
        } else if (i == 1) {
            put_counted_text(maker, "x86_64");
        } else if (i == 2) {
            put_u32(maker, 3);
            put_counted_text(maker, "perf");
            put_counted_text(maker, "record");
            put_counted_text(maker, "./prog");
        } else {
            put_u32(maker, (uint32_t)n_events);
            put_u32(maker, MAKER_ATTR_BYTES);
            for (size_t k = 0; k < n_events; k++) {
                put_attr(maker, &events[k]);
                put_u32(maker, 1);
                put_counted_text(maker, events[k].name ? events[k].name : "");
                put_u64(maker, events[k].id);
            }
        }
        set_u64(maker, table + (size_t)i * 16, start);
        set_u64(maker, table + (size_t)i * 16 + 8, maker->n_bytes - start);
    }
}

/* The whole file around records. */
static inline void make_file(struct maker *file, const struct made_event *events, size_t n_events,
                             const struct maker *records)
{
    file->n_bytes = 0;
    put_bytes(file, "PERFILE2", 8);
    put_u64(file, 104);
    put_u64(file, MAKER_ATTR_BYTES + 16);
    size_t sections = file->n_bytes;
    for (int i = 0; i < 6; i++) {
        put_u64(file, 0);
    }
    put_u64(file, 1u << 3 | 1u << 6 | 1u << 11 | 1u << 12);
    put_u64(file, 0);
    put_u64(file, 0);
    put_u64(file, 0);
    size_t ids = file->n_bytes;
    for (size_t i = 0; i < n_events; i++) {
        put_u64(file, events[i].id);
    }
    set_u64(file, sections, file->n_bytes);
    set_u64(file, sections + 8, n_events * (MAKER_ATTR_BYTES + 16));
    for (size_t i = 0; i < n_events; i++) {
        put_attr(file, &events[i]);
        put_u64(file, ids + i * 8);
        put_u64(file, 8);
    }
    set_u64(file, sections + 16, file->n_bytes);
    set_u64(file, sections + 24, records->n_bytes);
    put_bytes(file, records->bytes, records->n_bytes);
    put_features(file, events, n_events);
}

/* What `perf record -o -` writes. */
static inline void make_stream(struct maker *stream, const struct made_event *events,
                               size_t n_events, const struct maker *records)
{
    stream->n_bytes = 0;
    put_bytes(stream, "PERFILE2", 8);
    put_u64(stream, 16);
    for (size_t i = 0; i < n_events; i++) {
        size_t at = begin_record(stream, 64, 0);
        put_attr(stream, &events[i]);
        put_u64(stream, events[i].id);
        end_record(stream, at);
        at = begin_record(stream, 78, 0);
        put_u64(stream, 2); /* its name */
        put_u64(stream, events[i].id);
        put_text(stream, events[i].name ? events[i].name : "");
        end_record(stream, at);
    }
    size_t at = begin_record(stream, 80, 0);
    put_u64(stream, 3); /* the host */
    put_counted_text(stream, "buildhost");
    put_u32(stream, 0);
    end_record(stream, at);
    put_bytes(stream, records->bytes, records->n_bytes);
}

/* Writes it where `path` (ending in XXXXXX) says. */
static inline void write_made(const struct maker *maker, size_t n_bytes, char *path)
{
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, maker->bytes, n_bytes) != (ssize_t)n_bytes) {
        abort();
    }
    close(fd);
}
