/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * firefox_libraries - the files behind addresses that a profile did not name
 *
 * samply writes addresses and leaves names to the viewer. Where this machine has
 * the very file of a library, its addresses become those of a mapping of it.
 *
 * Owner:   firefox_libraries_new()/_free().
 * Threads: one; constant after it was made.
 * Tests:   import_firefox_test.c
 */

#include <jansson.h>

#include "base/cleanup.h"
#include "model/event_batch.h"

struct firefox_libraries;

int firefox_libraries_new(const json_t *libs, struct firefox_libraries **ret_libraries);
struct firefox_libraries *firefox_libraries_free(struct firefox_libraries *libraries);
DEFINE_FREEP(firefox_libraries);

size_t firefox_libraries_count(const struct firefox_libraries *libraries);

/* The address of a place in library `index`, `address` bytes behind where that was loaded; false
 * where its file is not here, or does not load anything there. */
bool firefox_libraries_ip(struct firefox_libraries *libraries, size_t index, uint64_t address,
                          uint64_t *ret_ip);

/* The mapping of a library that firefox_libraries_ip() has answered for; none otherwise. */
void firefox_libraries_map(const struct firefox_libraries *libraries, size_t index, int64_t pid,
                           uint64_t time_ns, struct event_batch *batch);
bool firefox_libraries_is_used(const struct firefox_libraries *libraries, size_t index);
