/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_record - one record of a perf ring, checked and typed
 *
 * Pure: bytes in, struct out. The layout of a sample depends on the event that
 * produced it; the caller says which of our formats an identifier stands for.
 *
 * Shape:   strings and ips are borrowed from the record's bytes (ips may be
 *          unaligned there: read them with perf_record_ip()).
 * Owner:   nothing to free. Threads: any.
 * Source:  perf_event_open(2), section "MMAP layout".
 * Tests:   perf_record_test.c, tests/fuzz/fuzz_perf_record.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "decode/sched_payload.h"
#include "model/event.h"

enum perf_format {
    PERF_FORMAT_NONE,  /* an identifier that nobody knows */
    PERF_FORMAT_STACK, /* PERF_ABI_FORMAT_STACK */
    PERF_FORMAT_SCHED, /* PERF_ABI_FORMAT_SCHED: raw data is a struct sched_payload, */
    PERF_FORMAT_WALK,  /* or, as it turned out, a struct walk_payload alone */
    /* PERF_ABI_FORMAT_COPY with the registers of one of the machines. */
    PERF_FORMAT_COPY_X86_64,
    PERF_FORMAT_COPY_AARCH64,
    PERF_FORMAT_COUNTERS, /* PERF_ABI_FORMAT_COUNTERS */
};

/* The user's registers at a sample, and what of the stack was copied with it. */
struct perf_user_state {
    bool is_known; /* false for kernel threads, ending threads and 32-bit programs */
    /*
     * A sample in kernel mode: the user's ip stands behind the syscall
     * instruction. x86-64 tells exactly, because the instruction leaves ip in
     * cx as well (CPUs with FRED need not: there it is never set). On aarch64
     * it is set for every sample in kernel mode, and the instruction at ip may
     * as well be one that faulted.
     */
    bool is_after_syscall;
    uint64_t ip, sp, fp;
    uint64_t lr;          /* aarch64; else 0 */
    const uint8_t *stack; /* from sp on; NULL where stack_bytes is 0 */
    size_t stack_bytes;   /* what could be read, not what was asked for */
};

/* Answers which format the events with this identifier use. */
struct perf_formats {
    const void *userdata;
    enum perf_format (*of)(const void *userdata, uint64_t identifier);
};

struct perf_record {
    uint32_t type;
    uint16_t misc;
    uint64_t identifier;
    uint64_t time_ns;
    uint32_t cpu;
    int32_t pid, tid; /* of the thread that was running */
    enum perf_format format;
    struct sched_payload sched; /* PERF_FORMAT_SCHED; `sample` is the stack that its flags name */
    union {
        struct {
            const uint8_t *ips; /* n_ips × 8 bytes, with context markers */
            size_t n_ips;
            uint64_t period_ns;
            struct perf_user_state user;
            /* PERF_FORMAT_COUNTERS: of the group, without its leader's. */
            struct {
                uint64_t enabled_ns, running_ns;
                const uint8_t *values; /* n_values × 8 bytes */
                size_t n_values;
            } counters;
            /* PERF_FORMAT_WALK and _SCHED: ips are whole, without markers; user is where the walk
             * stopped. */
            struct {
                size_t n_kernel_ips;
                enum event_stack_end end;
                bool is_caller; /* user.ip is a return address */
                bool is_by_frame_pointers;
                uint64_t generation; /* of the code_map that was used; 0: none */
                uint32_t tid;        /* of a sample; else 0 */
            } walk;
        } sample;
        struct {
            int32_t pid, tid;
            bool is_executable;
            struct event_image image;
        } mmap;
        struct {
            int32_t pid, tid;
            const char *name;
            bool is_exec;
        } comm;
        struct {
            int32_t pid, parent_pid, tid, parent_tid;
        } task;
        struct {
            uint64_t count;
        } lost;
        struct {
            bool is_out, is_preempted;
        } context_switch;
    };
};

/* 0; 1 for a type that we do not read; -EBADMSG for bytes that make no sense. */
int perf_record_parse(const void *data, size_t n_bytes, const struct perf_formats *formats,
                      struct perf_record *ret_record);

struct bytes;

/* Was the thread in the kernel, as the record's misc says? */
bool perf_record_is_kernel_mode(const struct perf_record *record);

/* The copy of a user stack: the whole area that was asked for is there, and how much of it was
 * filled stands behind it. */
void perf_record_take_stack(struct bytes *body, struct perf_user_state *user);

/* What stands between header and trailer of a record that is no sample, its type and misc in
 * *record; for layouts that others chose (perf_layout.h). 0, or 1 for a type that we do not read;
 * the bytes fail where they make no sense. */
int perf_record_parse_body(struct bytes *body, struct perf_record *record);

/* As perf_record_parse(), for what a program has written into a ring of its own on `cpu`: a struct
 * sched_payload and what follows it. */
int perf_record_parse_sched(const void *data, size_t n_bytes, uint32_t cpu,
                            struct perf_record *ret_record);

static inline uint64_t perf_record_ip(const struct perf_record *record, size_t index)
{
    uint64_t ip;
    memcpy(&ip, record->sample.ips + index * sizeof(ip), sizeof(ip));
    return ip;
}

/* The value at a place in its group. */
static inline uint64_t perf_record_counter(const struct perf_record *record, size_t index)
{
    uint64_t value;
    memcpy(&value, record->sample.counters.values + index * sizeof(value), sizeof(value));
    return value;
}

/* Does the record tell the birth of a thread or process? */
bool perf_record_is_fork(const struct perf_record *record);
