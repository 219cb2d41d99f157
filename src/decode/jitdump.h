/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jitdump - what a program writes about the code that it makes while it runs
 *
 * A dump is a header and a sequence of records that grows while the program
 * runs, so a parser must be able to say "not all there yet".
 *
 * Shape:   bytes → one typed record, whose pointers lead into the bytes.
 * Owner:   everything is borrowed from the caller's bytes.
 * Threads: any; no state.
 * Limits:  JITDUMP_MAX_RECORD_BYTES; little-endian dumps only.
 * Source:  tools/perf/Documentation/jitdump-specification.txt of Linux,
 *          versions 1 and 2.
 * Tests:   jitdump_test.c, tests/fuzz/fuzz_jitdump.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define JITDUMP_HEADER_BYTES 40u
#define JITDUMP_PREFIX_BYTES 16u
#define JITDUMP_MAX_RECORD_BYTES (64u << 20)

/* Times of records are ticks of the processor's counter: they belong to no clock of ours. */
#define JITDUMP_FLAG_ARCH_TIMESTAMP UINT64_C(1)

struct jitdump_header {
    uint32_t version;
    uint32_t header_bytes; /* where the records begin */
    uint32_t elf_machine;  /* EM_X86_64, EM_AARCH64, … */
    uint32_t pid;          /* as the program itself sees it */
    uint64_t time_ns;
    uint64_t flags;
};

enum jitdump_kind {
    JITDUMP_CODE_LOAD = 0,
    JITDUMP_CODE_MOVE = 1,
    JITDUMP_DEBUG_INFO = 2, /* of the code that is loaded next at its address */
    JITDUMP_CLOSE = 3,
    JITDUMP_UNWINDING_INFO = 4, /* of the code that is loaded next */
    JITDUMP_OTHER,              /* unknown: to be skipped */
};

struct jitdump_record {
    enum jitdump_kind kind;
    uint32_t n_bytes; /* of the whole record; the next one begins behind them */
    uint64_t time_ns; /* CLOCK_MONOTONIC, or ticks where the header says so */
    union {
        struct {
            uint32_t pid, tid;
            uint64_t code_addr; /* where it runs */
            uint64_t index;     /* names this code in CODE_MOVE */
            const char *name;
            struct bytes code; /* empty where the producer left the bytes out */
            uint64_t n_code_bytes;
        } load;
        struct {
            uint32_t pid, tid;
            uint64_t old_code_addr, new_code_addr;
            uint64_t n_code_bytes;
            uint64_t index;
        } move;
        struct {
            uint64_t code_addr;
            uint64_t n_entries; /* as told; jitdump_next_line() ends where the bytes do */
            struct bytes entries;
        } debug_info;
        struct {
            struct bytes eh_frame; /* without the search table behind it */
            uint64_t mapped_bytes;
        } unwinding;
    };
};

/* One line of the debug information of a function, in the order of the record. */
struct jitdump_line {
    uint64_t code_addr;
    uint32_t line, discriminator;
    const char *file; /* NULL: as in the line before */
};

/*
 * 1 and the header, 0 where more bytes are needed, -EBADMSG for something else
 * than a dump, -ENOTSUP for a byte order or version that we do not read.
 */
int jitdump_parse_header(const void *data, size_t n_bytes, struct jitdump_header *ret_header);

/*
 * 1 and the record at the beginning of the bytes, 0 where it is not all there,
 * -EBADMSG where there can be none (a program that was killed while it wrote
 * leaves such an end). ret_record->n_bytes and kind are also set with 0 once n_bytes
 * (never 0) is known.
 */
int jitdump_parse_record(const void *data, size_t n_bytes, struct jitdump_record *ret_record);

/* The next line of a JITDUMP_DEBUG_INFO record, whose `entries` are advanced: 1, or 0 at the end.
 */
int jitdump_next_line(struct bytes *inout_entries, struct jitdump_line *ret_line);
