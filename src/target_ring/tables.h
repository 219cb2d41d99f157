/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * tables - the names and lanes that a program has told, found by content
 *
 * The entries are in the shared memory (layout.h); what finds them, and what
 * says how many there are, is the process's own, so that nothing that another
 * process writes leads out of the memory.
 *
 * Shape:   an open hash table of (hash, id); it is never more than half full.
 * Owner:   caller's memory; all zero before target_ring_tables_init().
 * Threads: …_find(): any, at once, signal handlers too. …_add(): one at a time.
 * Limits:  those of layout.h. What is one too many is TARGET_RING_NAME_OTHER, or
 *          the last lane, which has that name; it is counted in the state page.
 * Tests:   tables_test.c
 */

#include <stddef.h>

#include "target_ring/memory.h"

#define TARGET_RING_LANE_OTHER (TARGET_RING_LANES - 1u)

struct target_ring_tables {
    void *memory;
    struct target_ring_extent extent;
    uint64_t index[2 * TARGET_RING_NAMES];
};

void target_ring_tables_init(struct target_ring_tables *tables, void *memory);

/* How much of the text is a name's: up to its end, or to where it is cut, between two characters.
 */
size_t target_ring_name_length(const char *text);

/* parent 0: none. Returns the id, or 0 if there is none. n_bytes <= TARGET_RING_NAME_BYTES. */
uint32_t target_ring_name_find(const struct target_ring_tables *tables, uint32_t parent,
                               const char *text, size_t n_bytes);

/* Finds or adds. */
uint32_t target_ring_name_add(struct target_ring_tables *tables, uint32_t parent, const char *text,
                              size_t n_bytes);

uint32_t target_ring_lane_find(const struct target_ring_tables *tables, uint32_t name,
                               uint32_t kind);
uint32_t target_ring_lane_add(struct target_ring_tables *tables, uint32_t name, uint32_t kind);
