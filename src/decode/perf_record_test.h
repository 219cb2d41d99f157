/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_record_test - records as the kernel writes them, made by hand for tests
 *
 * Shape:   one function per kind of record; what a test does not choose has
 *          fixed values that it can compare with.
 * Owner:   values. Threads: any.
 * Source:  perf_event_open(2), section "MMAP layout".
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "decode/perf_abi.h"
#include "decode/perf_record.h"
#include "decode/walk_payload.h"

#define STACK_IDENTIFIER 100u
#define SCHED_IDENTIFIER 200u
#define COPY_X86_64_IDENTIFIER 300u
#define COPY_AARCH64_IDENTIFIER 400u

/*
 * As Linux 6.18 wrote it on x86-64, asked for 32 bytes of stack: a static
 * program's loop in a function without a frame, called by main(), which keeps
 * frame pointers. The identifier is 0x50584.
 */
static const uint8_t recorded_copy[] = {
    0x09, 0x00, 0x00, 0x00, 0x02, 0x00, 0xb8, 0x00, 0x84, 0x05, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x97, 0x57, 0x00, 0x00, 0x97, 0x57, 0x00, 0x00, 0xbd, 0x55, 0x37, 0x20, 0xc3, 0x10, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x4b, 0x4c, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5c, 0x16, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb4, 0x1b, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xe0, 0x15, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x48, 0x85, 0xc0, 0x74, 0x22, 0x55, 0xbe,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x70, 0x0d, 0x7c, 0x2d, 0xfc, 0x7f, 0x00, 0x00, 0xb8, 0x0c, 0x7c, 0x2d, 0xfc, 0x7f, 0x00, 0x00,
    0x5c, 0x16, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xa9, 0x17, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x10, 0x0d, 0x7c, 0x2d, 0xfc, 0x7f, 0x00, 0x00, 0x78, 0x83, 0xa3, 0x08, 0x00, 0x00, 0x00, 0x00,
    0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
#define RECORDED_IDENTIFIER UINT64_C(0x50584)

/* A record as the kernel writes it, in the making. */
struct raw {
    uint8_t data[2048];
    size_t n_bytes;
};

static inline void put(struct raw *raw, const void *data, size_t n_bytes)
{
    assert_true(raw->n_bytes + n_bytes <= sizeof(raw->data));
    memcpy(raw->data + raw->n_bytes, data, n_bytes);
    raw->n_bytes += n_bytes;
}

static inline void put_u32(struct raw *raw, uint32_t value)
{
    put(raw, &value, sizeof(value));
}

static inline void put_u64(struct raw *raw, uint64_t value)
{
    put(raw, &value, sizeof(value));
}

/* Padded to 8 bytes with NULs, as the kernel does. */
static inline void put_text(struct raw *raw, const char *text)
{
    static const char zeros[8];
    size_t n_bytes = strlen(text) + 1;
    put(raw, text, n_bytes);
    put(raw, zeros, (8 - n_bytes % 8) % 8);
}

static inline struct raw raw_begin(uint32_t type, uint16_t misc)
{
    struct raw raw = {.n_bytes = 0};
    put_u32(&raw, type);
    put(&raw, &misc, sizeof(misc));
    put(&raw, "\0\0", 2);
    return raw;
}

static inline void raw_end(struct raw *raw)
{
    uint16_t size_bytes = (uint16_t)raw->n_bytes;
    memcpy(raw->data + 6, &size_bytes, sizeof(size_bytes));
}

/* sample_id_all: what every record but a sample ends with. */
static inline void raw_end_with_trailer(struct raw *raw)
{
    put_u32(raw, 4711);   /* pid */
    put_u32(raw, 4712);   /* tid */
    put_u64(raw, 123456); /* time */
    put_u32(raw, 3);      /* cpu */
    put_u32(raw, 0);
    put_u64(raw, STACK_IDENTIFIER);
    raw_end(raw);
}

static inline enum perf_format format_of(const void *userdata, uint64_t identifier)
{
    (void)userdata;
    return identifier == STACK_IDENTIFIER          ? PERF_FORMAT_STACK
           : identifier == SCHED_IDENTIFIER        ? PERF_FORMAT_SCHED
           : identifier == COPY_X86_64_IDENTIFIER  ? PERF_FORMAT_COPY_X86_64
           : identifier == RECORDED_IDENTIFIER     ? PERF_FORMAT_COPY_X86_64
           : identifier == COPY_AARCH64_IDENTIFIER ? PERF_FORMAT_COPY_AARCH64
                                                   : PERF_FORMAT_NONE;
}

static const struct perf_formats formats = {.of = format_of};

static inline int parse(const struct raw *raw, struct perf_record *ret_record)
{
    return perf_record_parse(raw->data, raw->n_bytes, &formats, ret_record);
}

static inline void assert_trailer(const struct perf_record *record)
{
    assert_int_equal(record->pid, 4711);
    assert_int_equal(record->tid, 4712);
    assert_int_equal(record->time_ns, 123456);
    assert_int_equal(record->cpu, 3);
    assert_int_equal(record->identifier, STACK_IDENTIFIER);
}

static inline struct raw sample_head(uint64_t identifier)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_SAMPLE, 2);
    put_u64(&raw, identifier);
    put_u32(&raw, 10); /* pid */
    put_u32(&raw, 11); /* tid */
    put_u64(&raw, 999);
    put_u32(&raw, 5); /* cpu */
    put_u32(&raw, 0);
    return raw;
}

static inline struct raw stack_sample(uint64_t n_claimed, const uint64_t *ips, size_t n_ips)
{
    struct raw raw = sample_head(STACK_IDENTIFIER);
    put_u64(&raw, 1111111); /* period */
    put_u64(&raw, n_claimed);
    put(&raw, ips, n_ips * sizeof(*ips));
    raw_end(&raw);
    return raw;
}

#define COPY_IP UINT64_C(0x401234)
#define COPY_SP UINT64_C(0x7ffffffde000)
#define COPY_FP UINT64_C(0x7ffffffde040)
#define COPY_LR UINT64_C(0x401500)
#define COPY_AREA_BYTES 64u

/* A sample in mode `cpumode` with one caller, registers and an area of 64 bytes, of which
 * n_filled count. */
static inline struct raw copy_sample(uint64_t identifier, uint16_t cpumode, uint64_t abi,
                                     uint64_t cx, uint64_t n_filled)
{
    struct raw raw = sample_head(identifier);
    memcpy(raw.data + 4, &cpumode, sizeof(cpumode));
    put_u64(&raw, 1111111); /* period */
    put_u64(&raw, 2);
    put_u64(&raw, PERF_ABI_CONTEXT_USER);
    put_u64(&raw, COPY_IP);
    put_u64(&raw, abi);
    if (abi != 0 && identifier == COPY_X86_64_IDENTIFIER) {
        put_u64(&raw, cx);
        put_u64(&raw, COPY_FP);
        put_u64(&raw, COPY_SP);
        put_u64(&raw, COPY_IP);
    } else if (abi != 0) {
        put_u64(&raw, COPY_FP);
        put_u64(&raw, COPY_LR);
        put_u64(&raw, COPY_SP);
        put_u64(&raw, COPY_IP);
    }
    if (abi == 0) {
        put_u64(&raw, 0); /* no area, and then no word on how much of it counts */
    } else {
        put_u64(&raw, COPY_AREA_BYTES);
        for (size_t i = 0; i < COPY_AREA_BYTES; i++) {
            uint8_t byte = (uint8_t)(i + 1);
            put(&raw, &byte, 1);
        }
        put_u64(&raw, n_filled);
    }
    raw_end(&raw);
    return raw;
}

/* What stands before a stack that a record of the scheduler's programs may have. */
static inline void put_sched(struct raw *raw, uint32_t flags)
{
    put_u32(raw, flags);
    put_u32(raw, 21); /* prev */
    put_u32(raw, 22); /* next */
    put_u32(raw, 1);  /* state */
    put_u64(raw, 777000);
    put_u64(raw, 5000);
    put_u64(raw, 776000);
    put_u64(raw, 0xabcdef); /* argument */
    put_u32(raw, 202);      /* system call */
    put_u32(raw, 3);        /* serial */
    put_u32(raw, 33);       /* waker */
    put_u32(raw, 4);        /* its serial */
    put_u32(raw, 20);       /* process of prev */
    put_u32(raw, 23);       /* of next */
}

static inline struct raw sched_sample(uint32_t raw_bytes)
{
    struct raw raw = sample_head(SCHED_IDENTIFIER);
    put_u32(&raw, raw_bytes);
    put_sched(&raw, SCHED_FLAG_PREV | SCHED_FLAG_NEXT);
    put_u32(&raw, 0); /* padding to 8 bytes */
    raw_end(&raw);
    return raw;
}

/* A switch with the stack of who was switched out: one kernel and two user ips. */
static inline struct raw sched_stack_sample(uint32_t magic)
{
    struct raw raw = sample_head(SCHED_IDENTIFIER);
    uint8_t end = WALK_END_COMPLETE, flags = 0;
    uint16_t n_kernel_ips = 1, n_user_ips = 2, n_stack_bytes = 0;
    put_u32(&raw, sizeof(struct sched_payload) + sizeof(struct walk_payload) + 3 * 8 + 4);
    put_sched(&raw, SCHED_FLAG_PREV | SCHED_FLAG_PREV_STACK);
    put_u32(&raw, magic);
    put(&raw, &end, 1);
    put(&raw, &flags, 1);
    put(&raw, &n_kernel_ips, 2);
    put(&raw, &n_user_ips, 2);
    put(&raw, &n_stack_bytes, 2);
    put_u32(&raw, 9); /* generation */
    put_u64(&raw, 0); /* period */
    put_u64(&raw, UINT64_C(0xffffffff81000000));
    put_u64(&raw, 0x401000);
    put_u64(&raw, 0x402000);
    put_u32(&raw, 0); /* padding to 8 bytes */
    raw_end(&raw);
    return raw;
}

/* Two kernel and three user ips, and 16 bytes of stack from which the walk goes on. */
static inline struct raw walk_sample(uint8_t end, uint16_t n_user_ips, uint16_t n_stack_bytes)
{
    struct raw raw = sample_head(SCHED_IDENTIFIER);
    uint8_t flags = WALK_FLAG_IS_CALLER;
    uint16_t n_kernel_ips = 2;
    uint32_t n_words = 5 + (end != WALK_END_COMPLETE ? WALK_PAYLOAD_REGISTERS : 0);
    put_u32(&raw, sizeof(struct walk_payload) + n_words * 8 + 16 + 4);
    put_u32(&raw, WALK_PAYLOAD_MAGIC);
    put(&raw, &end, sizeof(end));
    put(&raw, &flags, sizeof(flags));
    put(&raw, &n_kernel_ips, sizeof(n_kernel_ips));
    put(&raw, &n_user_ips, sizeof(n_user_ips));
    put(&raw, &n_stack_bytes, sizeof(n_stack_bytes));
    put_u32(&raw, 7);       /* generation */
    put_u64(&raw, 1111111); /* period */
    put_u64(&raw, 0xffffffff81000010);
    put_u64(&raw, 0xffffffff81000020);
    for (uint64_t i = 0; i < 3; i++) {
        put_u64(&raw, 0x401000 + i);
    }
    if (end != WALK_END_COMPLETE) {
        put_u64(&raw, 0x401234);
        put_u64(&raw, 0x7ffe1000);
        put_u64(&raw, 0x7ffe1040);
    }
    put_u64(&raw, 0x1122334455667788);
    put_u64(&raw, 0x99);
    put_u32(&raw, 0); /* padding to 8 bytes */
    raw_end(&raw);
    return raw;
}

static inline struct raw mmap2_with_build_id(uint8_t build_id_bytes)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_MMAP2, PERF_ABI_MISC_MMAP_BUILD_ID);
    uint8_t id[24] = {build_id_bytes, 0, 0, 0};
    for (uint8_t i = 0; i < 20; i++) {
        id[4 + i] = (uint8_t)(0xa0 + i);
    }
    put_u32(&raw, 30);
    put_u32(&raw, 31);
    put_u64(&raw, 0x7f0000001000);
    put_u64(&raw, 0x2000);
    put_u64(&raw, 0x1000);
    put(&raw, id, sizeof(id));
    put_u32(&raw, 5); /* PROT_READ | PROT_EXEC */
    put_u32(&raw, 2);
    put_text(&raw, "/usr/lib/libc.so.6");
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw mmap2_with_inode(uint32_t protection)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_MMAP2, 0);
    put_u32(&raw, 30);
    put_u32(&raw, 31);
    put_u64(&raw, 0x400000);
    put_u64(&raw, 0x1000);
    put_u64(&raw, 0);
    put_u32(&raw, 8);
    put_u32(&raw, 1);
    put_u64(&raw, 987654);
    put_u64(&raw, 1);
    put_u32(&raw, protection);
    put_u32(&raw, 2);
    put_text(&raw, "//anon");
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw mmap_at(uint64_t start_ip, uint64_t length_bytes)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_MMAP, 0);
    put_u32(&raw, 30);
    put_u32(&raw, 31);
    put_u64(&raw, start_ip);
    put_u64(&raw, length_bytes);
    put_u64(&raw, 0x3000);
    put_text(&raw, "/bin/true");
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw comm(uint16_t misc)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_COMM, misc);
    put_u32(&raw, 40);
    put_u32(&raw, 41);
    put_text(&raw, "postgres");
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw task(uint32_t type)
{
    struct raw raw = raw_begin(type, 0);
    put_u32(&raw, 50); /* pid, ppid, tid, ptid, time */
    put_u32(&raw, 51);
    put_u32(&raw, 52);
    put_u32(&raw, 53);
    put_u64(&raw, 1);
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw lost(uint64_t count)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_LOST, 0);
    put_u64(&raw, 77);
    put_u64(&raw, count);
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw lost_samples(uint64_t count)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_LOST_SAMPLES, 0);
    put_u64(&raw, count);
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw throttle(uint32_t type)
{
    struct raw raw = raw_begin(type, 0);
    put_u64(&raw, 1);
    put_u64(&raw, 2);
    put_u64(&raw, 3);
    raw_end_with_trailer(&raw);
    return raw;
}

static inline struct raw context_switch(uint16_t misc)
{
    struct raw raw = raw_begin(PERF_ABI_RECORD_SWITCH, misc);
    raw_end_with_trailer(&raw);
    return raw;
}
