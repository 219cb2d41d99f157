/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_outcomes - what became of the files that tables were made of
 *
 * Shape:   sources of the same file share one outcome. What no source has any
 *          more is kept for the next run: as much as max_idle_bytes, what was
 *          given back first goes first.
 * Owner:   the list owns outcomes; the struct is a part of cfi_store.
 * Threads: under the store's lock; an outcome itself does not change while a
 *          source has it.
 * Tests:   cfi_store_test.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/elf_file.h"
#include "model/limits.h"
#include "unwind/cfi_table.h"

/* Whole words, so that struct cfi_identity has no gap at its end. */
#define CFI_BUILD_ID_WORDS ((LIMIT_BUILD_ID_BYTES + 7) / 8)

/* What makes two images share one table. Zeroed before it is filled: compared as bytes. */
struct cfi_identity {
    uint64_t kind;
    uint64_t device, inode, n_bytes;
    int64_t modified_s, modified_ns;
    uint64_t content; /* a hash of what has no file */
    uint8_t build_id[CFI_BUILD_ID_WORDS * 8];
};

/* What became of a file. */
struct cfi_outcome {
    struct cfi_identity identity;
    struct cfi_table *table; /* NULL: see failure */
    struct elf_layout layout;
    uint64_t build_ns;
    char failure[200];
    bool is_shared;   /* else of one source only: its file could not be had */
    bool is_constant; /* not in the store's list, and never freed */
    /* The list's: */
    size_t n_sources;
    uint64_t released_at; /* counts up with each that nobody uses any more */
    struct cfi_outcome *older, *newer;
};

struct cfi_outcomes {
    struct cfi_outcome *newest;
    uint64_t n_released;
    size_t idle_bytes, max_idle_bytes;
    _Atomic size_t memory_bytes; /* of all tables; read by anybody */
};

/* The caller has it from here on; NULL: there is none yet. */
struct cfi_outcome *cfi_outcomes_take(struct cfi_outcomes *outcomes,
                                      const struct cfi_identity *identity);
/* A new one, finished, which the caller has. Takes ownership. */
void cfi_outcomes_add(struct cfi_outcomes *outcomes, struct cfi_outcome *takes_outcome);
/* The caller has it no more; NULL is nothing. */
void cfi_outcomes_release(struct cfi_outcomes *outcomes, struct cfi_outcome *outcome);
void cfi_outcomes_limit_idle(struct cfi_outcomes *outcomes, size_t max_bytes);
void cfi_outcomes_clear(struct cfi_outcomes *outcomes);
