/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_store - unwind tables for everybody, made in the background
 *
 * One per server. A run announces each image when it is mapped, so that the
 * file is opened while the target lives; its table is made when the first
 * stack passes through it. Asking never waits, except for other askers.
 *
 * Shape:   cfi_source = one image of one run; runs that map the same file
 *          (device, inode, size, time of change, build-id) share one table.
 * Owner:   the store owns tables; a source is its announcer's until
 *          cfi_source_release(), and its table stays as long. Tables that no
 *          source has any more are kept for the next run.
 * Threads: any for all functions; files are read on a thread of the store.
 * Limits:  CFI_STORE_MAX_HELD files are held open; images beyond are opened
 *          when they are wanted. CFI_STORE_MAX_IDLE_BYTES of tables that nobody
 *          uses; those that were given back first go first.
 * Tests:   cfi_store_test.c, tests/e2e/test_unwinding.py
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "images/elf_file.h"
#include "images/image_table.h"
#include "unwind/cfi_table.h"
#include "unwind/code_map.h"

#define CFI_STORE_MAX_HELD 256
#define CFI_STORE_MAX_IDLE_BYTES ((size_t)512 << 20)

struct cfi_store;
struct cfi_source;

struct cfi_source_info {
    enum code_state state;
    const char *origin; /* of the table (cfi_table.origin); "none" */
    uint64_t n_functions, n_rows, n_unsupported, n_refused;
    uint64_t memory_bytes;
    uint64_t build_ns; /* what making the table took, for whichever run it was made */
    uint64_t wait_ns;  /* from cfi_source_want() to the answer */
    char failure[200]; /* why there is no table; "" */
};

int cfi_store_new(struct cfi_store **ret_store);
struct cfi_store *cfi_store_free(struct cfi_store *store);
DEFINE_FREEP(cfi_store);

/* Queues the opening of the file and returns at once; NULL only when memory ran out. */
struct cfi_source *cfi_store_announce(struct cfi_store *store, const struct image *image);

/* A stack passes through it: make the table, before any file is opened. Cheap when asked again. */
void cfi_source_want(struct cfi_source *source);

/* Takes no lock. CODE_READY: *ret_layout leads from file offsets to the table's addresses. */
enum code_state cfi_source_state(const struct cfi_source *source,
                                 const struct cfi_table **ret_table, struct elf_layout *ret_layout);

/* The run is over: the file is closed where nobody wants it. What is known stays. */
void cfi_source_retire(struct cfi_source *source);

/* Nobody asks for it, or uses its table, any more. Returns NULL. */
struct cfi_source *cfi_source_release(struct cfi_source *source);

void cfi_source_describe(const struct cfi_source *source, struct cfi_source_info *ret_info);

/* Waits until all that was queued is done, or the time is up (tests, end of a run). */
bool cfi_store_wait_idle(struct cfi_store *store, int timeout_ms);

/* Instead of CFI_STORE_MAX_IDLE_BYTES. */
void cfi_store_limit_idle(struct cfi_store *store, size_t max_bytes);

/* Of all tables. */
size_t cfi_store_memory_bytes(const struct cfi_store *store);
