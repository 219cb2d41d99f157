/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * jit_code - the functions that the programs of a run made while they ran
 *
 * Each is known by its address and the time from which it stood there: code
 * memory is used again, and code is moved. What a program tells late (its
 * output is buffered) still finds its place, so an answer can change until the
 * last word has been read; jit_code_is_settled() tells when.
 *
 * Shape:   per process an index of ranges. Equal names are one symbol, however
 *          often and wherever the function was compiled.
 * Owner:   jit_code_new()/_free(), one per run; symbols, tables and files stay
 *          until then, so that pointers may be kept and compared.
 * Threads: one writer (jit_tail) for load, move, exec, fork and publish; the
 *          rest any.
 * Limits:  JIT_CODE_MAX_FUNCTIONS per run, JIT_CODE_MAX_BYTES of names, lines
 *          and unwind tables; what is more is dropped and counted. Of an address
 *          where more code stood than is looked at (jit_space.h) the oldest is
 *          not found; n_dropped has one more then.
 * Source:  docs/design/0008-jit.md
 * Tests:   jit_code_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "decode/jitdump.h"
#include "symbols/symbolizer.h"

#define JIT_CODE_MAX_FUNCTIONS (1u << 22)
#define JIT_CODE_MAX_BYTES (UINT64_C(512) << 20)
#define JIT_CODE_MAX_NAME_BYTES 4096u
#define JIT_CODE_MAX_FUNCTION_BYTES (UINT64_C(1) << 30)

#define JIT_CODE_IMAGE "[jit]"

struct jit_code;
struct jit_body;
struct cfi_table; /* unwind/cfi_table.h */

/* What stands, or stood, at an address. */
struct jit_place {
    int64_t pid; /* of the process that was asked for; its parent may have made the code */
    const struct symbol *symbol;
    uint64_t start_ip, end_ip;
    uint64_t from_ns, to_ns; /* to_ns UINT64_MAX: as far as is known still there */
    const struct cfi_table
        *table;                  /* NULL: without unwind records; frame pointers are all there is */
    uint64_t table_bias;         /* ip - what `table` calls image_addr */
    const struct jit_body *body; /* for jit_code_read() and jit_code_line(); NULL: a name only */
};

struct jit_code_stats {
    uint64_t n_functions, n_moves, n_reused; /* reused: code loaded where other code had stood */
    uint64_t n_tables, n_lines;
    uint64_t n_table_bytes;     /* of code that has unwind records */
    uint64_t n_frameless_bytes; /* … which cannot be left by its frame pointer */
    uint64_t n_dropped;         /* past a limit, or of a process that is not known */
};

int jit_code_new(struct jit_code **ret_code);
struct jit_code *jit_code_free(struct jit_code *code);
DEFINE_FREEP(jit_code);

/*
 * The function that stood at `ip` of process `pid` for most of [from_ns, to_ns]
 * (both the same: at that instant). False where none is known (yet).
 */
bool jit_code_find(struct jit_code *code, int64_t pid, uint64_t ip, uint64_t from_ns,
                   uint64_t to_ns, struct jit_place *ret_place);

/* The machine code of a place, as it was written: how many bytes could be read, -ENODATA where
 * the producer told none, or a negative errno. */
ssize_t jit_code_read(const struct jit_place *place, void *buffer, size_t n_bytes);

/* The source line of an ip in a place; false where it is not known. The file's name stays. */
bool jit_code_line(const struct jit_place *place, uint64_t ip, const char **ret_file,
                   uint32_t *ret_line);

/* Nothing will be added any more. */
bool jit_code_is_settled(const struct jit_code *code);

/*
 * Of a run that came from an archive: all is answered from there, and nothing
 * may be added. Before anybody asks.
 */
struct jit_kept;
void jit_code_set_kept(struct jit_code *code, struct jit_kept *takes_kept);

/* Grows when code was found to stand where other code had stood before. */
const _Atomic uint64_t *jit_code_reuse_count(const struct jit_code *code);

void jit_code_get_stats(struct jit_code *code, struct jit_code_stats *ret_stats);

/* The writer's side. What it adds is found after the next jit_code_publish(). */

struct jit_load {
    int64_t pid;
    uint64_t start_ip, n_bytes;
    uint64_t from_ns;
    const char *name; /* need not end with a NUL */
    size_t n_name_bytes;
    bool is_time_exact; /* from_ns is when the code was made, not when we learnt of it */
    bool may_repeat;    /* what is there already is not added again */
    /* Of dumps only: */
    uint64_t producer, index; /* by which jit_code_move() finds it; producer 0: never */
    int fd;                   /* -1: no bytes; else jit_code_keep_file()'s */
    uint64_t code_offset;     /* of its bytes in that file */
    uint16_t elf_machine;
    struct bytes eh_frame;      /* empty: none */
    struct bytes debug_entries; /* of JITDUMP_DEBUG_INFO; empty: none */
    uint64_t n_debug_entries;
};

/* 0, -EINVAL for an address that cannot be, -ENOMEM or -ENOSPC (counted). */
int jit_code_load(struct jit_code *code, const struct jit_load *load);

/* The function that a producer calls `index` stands at new_ip from from_ns on. -ENOENT: unknown. */
int jit_code_move(struct jit_code *code, uint64_t producer, uint64_t index, uint64_t new_ip,
                  uint64_t from_ns);

/* Something that could not be used, for the statistics. */
void jit_code_drop(struct jit_code *code);

/* Has made code, or began with that of its parent. */
bool jit_code_knows(const struct jit_code *code, int64_t pid);

/* All code of the process is gone; its child begins with the code of its parent. */
void jit_code_exec(struct jit_code *code, int64_t pid, uint64_t time_ns);
void jit_code_fork(struct jit_code *code, int64_t pid, int64_t parent_pid, uint64_t time_ns);

/* Takes a descriptor, which stays open for jit_code_read(). The descriptor, or -1 (it is closed):
 * too many. */
int jit_code_keep_file(struct jit_code *code, int takes_fd);

/*
 * A kept file was written anew: the bytes of what was loaded from it since
 * `since` (NULL: ever) are gone. Returns what to pass the next time.
 */
const struct jit_body *jit_code_forget_bytes(struct jit_code *code, int fd,
                                             const struct jit_body *since);

/* Makes what was added since findable. 0 or -ENOMEM (it stays to be published). */
int jit_code_publish(struct jit_code *code);

void jit_code_settle(struct jit_code *code);
