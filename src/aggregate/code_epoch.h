/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * code_epoch - stretches of time in which code without a file is taken to stay
 *
 * What stands at an address of memory that a program fills itself can change,
 * and often it is told only later when it did. So a frame in such memory also
 * carries the stretch of time in which it was seen: whoever learns afterwards
 * what stood there when can still tell the frames apart.
 *
 * A new epoch begins when made code was found to replace other code, and
 * otherwise after a time that grows with the run, so that their number - and
 * the number of frames - stays small.
 *
 * Shape:   code_epoch_id → process and times; 0 is no epoch (code of files).
 * Owner:   the aggregate. Threads: one writer; readers below a published count.
 * Limits:  CODE_EPOCHS_MAX epochs, then the last one of each process goes on.
 * Tests:   code_epoch_test.c
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ids.h"

#define CODE_EPOCHS_MAX (1u << 20)

struct code_epoch {
    int64_t pid;
    uint64_t from_ns;
    _Atomic uint64_t to_ns; /* 0: it goes on */
};

struct code_epochs;

/* `reuse_count` (may be NULL) grows when made code was found to have replaced other code. */
int code_epochs_new(const _Atomic uint64_t *reuse_count, struct code_epochs **ret_epochs);
struct code_epochs *code_epochs_free(struct code_epochs *epochs);
DEFINE_FREEP(code_epochs);

/* The epoch of a process at time_ns, which may begin with this call; 0 where it has none so far. */
uint32_t code_epochs_now(struct code_epochs *epochs, int64_t pid, uint64_t time_ns);

/* The same, and its first one begins where it has none; 0 only when memory ran out. */
uint32_t code_epochs_begin(struct code_epochs *epochs, int64_t pid, uint64_t time_ns);

/* The process begins anew: exec. */
void code_epochs_cut(struct code_epochs *epochs, int64_t pid, uint64_t time_ns);

/* Puts an epoch behind the others, where none will begin any more; the first is nobody's. */
int code_epochs_append(struct code_epochs *epochs, int64_t pid, uint64_t from_ns, uint64_t to_ns);

const struct code_epoch *code_epochs_get(const struct code_epochs *epochs, uint32_t id);
uint32_t code_epochs_count(const struct code_epochs *epochs);
size_t code_epochs_memory_bytes(const struct code_epochs *epochs);
