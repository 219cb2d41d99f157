/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jitdump_test - dumps for tests, written as a program would write them
 *
 * Owner:   the caller's struct. Threads: one.
 * Limits:  JITDUMP_TEST_BYTES in all.
 */

#include <stdint.h>
#include <string.h>

#include "decode/jitdump.h"

#define JITDUMP_TEST_BYTES 16384u
#define JITDUMP_TEST_MAGIC 0x4a695444u

struct jitdump_text {
    uint8_t bytes[JITDUMP_TEST_BYTES];
    size_t n_bytes;
    size_t record_at; /* where the open record begins */
    uint32_t pid;     /* in its records; 0: 7 */
};

static inline void dump_put(struct jitdump_text *dump, const void *data, size_t n_bytes)
{
    memcpy(dump->bytes + dump->n_bytes, data, n_bytes);
    dump->n_bytes += n_bytes;
}

static inline void dump_u32(struct jitdump_text *dump, uint32_t value)
{
    dump_put(dump, &value, sizeof(value));
}

static inline void dump_u64(struct jitdump_text *dump, uint64_t value)
{
    dump_put(dump, &value, sizeof(value));
}

static inline void dump_header(struct jitdump_text *dump, uint32_t pid, uint64_t flags)
{
    dump_u32(dump, JITDUMP_TEST_MAGIC);
    dump_u32(dump, 1);
    dump_u32(dump, JITDUMP_HEADER_BYTES);
    dump_u32(dump, 62);
    dump_u32(dump, 0);
    dump_u32(dump, pid);
    dump_u64(dump, 1000);
    dump_u64(dump, flags);
}

static inline void dump_begin(struct jitdump_text *dump, uint32_t kind, uint64_t at_ns)
{
    dump->record_at = dump->n_bytes;
    dump_u32(dump, kind);
    dump_u32(dump, 0);
    dump_u64(dump, at_ns);
}

static inline void dump_end(struct jitdump_text *dump)
{
    uint32_t n_bytes = (uint32_t)(dump->n_bytes - dump->record_at);
    memcpy(dump->bytes + dump->record_at + 4, &n_bytes, sizeof(n_bytes));
}

static inline void dump_load(struct jitdump_text *dump, uint64_t at_ns, uint64_t code_addr,
                             uint64_t index, const char *name, const char *code)
{
    dump_begin(dump, JITDUMP_CODE_LOAD, at_ns);
    dump_u32(dump, dump->pid ? dump->pid : 7);
    dump_u32(dump, 8);
    dump_u64(dump, code_addr);
    dump_u64(dump, code_addr);
    dump_u64(dump, strlen(code));
    dump_u64(dump, index);
    dump_put(dump, name, strlen(name) + 1);
    dump_put(dump, code, strlen(code));
    dump_end(dump);
}

static inline void dump_move(struct jitdump_text *dump, uint64_t at_ns, uint64_t old_addr,
                             uint64_t new_addr, uint64_t n_code_bytes, uint64_t index)
{
    dump_begin(dump, JITDUMP_CODE_MOVE, at_ns);
    dump_u32(dump, dump->pid ? dump->pid : 7);
    dump_u32(dump, 8);
    dump_u64(dump, new_addr);
    dump_u64(dump, old_addr);
    dump_u64(dump, new_addr);
    dump_u64(dump, n_code_bytes);
    dump_u64(dump, index);
    dump_end(dump);
}

static inline void dump_line(struct jitdump_text *dump, uint64_t code_addr, uint32_t line,
                             const char *file)
{
    dump_u64(dump, code_addr);
    dump_u32(dump, line);
    dump_u32(dump, 0);
    dump_put(dump, file, strlen(file) + 1);
}

/* Two lines in one file, the second with the mark for "the same file". */
static inline void dump_debug_info(struct jitdump_text *dump, uint64_t code_addr,
                                   uint64_t first_addr, uint64_t second_addr)
{
    dump_begin(dump, JITDUMP_DEBUG_INFO, 1);
    dump_u64(dump, code_addr);
    dump_u64(dump, 2);
    dump_line(dump, first_addr, 10, "made.js");
    dump_line(dump, second_addr, 20, "\xff");
    dump_end(dump);
}

static inline void dump_unwinding(struct jitdump_text *dump, const void *eh_frame, size_t n_bytes,
                                  size_t n_search_bytes)
{
    static const uint8_t search[64];
    dump_begin(dump, JITDUMP_UNWINDING_INFO, 1);
    dump_u64(dump, n_bytes + n_search_bytes);
    dump_u64(dump, n_search_bytes);
    dump_u64(dump, n_bytes + n_search_bytes);
    dump_put(dump, eh_frame, n_bytes);
    dump_put(dump, search, n_search_bytes);
    dump_end(dump);
}
