/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * chain_cache - the functions that stand at each frame of a run, remembered
 *
 * A place in the code stands for the function that holds it and for those that
 * were inlined there. Finding them out costs a walk of debug information, so
 * it is done once per frame. What was found while that information was still
 * being read is kept as provisional, and asked for again.
 *
 * Shape:   one atomic word per frame_id, in chunks: most frames are a function
 *          and nothing else, and take no more than that.
 * Owner:   chains belong to the cache and stay until chain_cache_free(), also
 *          those that a later answer has replaced.
 * Threads: any.
 * Limits:  CHAIN_CACHE_FRAMES_MAX frames; then chain_cache_put() fails.
 * Tests:   chain_cache_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/ids.h"
#include "symbols/symbolizer.h"

#define CHAIN_CACHE_FRAMES_MAX (1u << 26)

/* Innermost first; the last one is the function that holds the place. Not to be copied. */
struct name_chain {
    uint32_t n_entries; /* at least 1 */
    const struct symbol_chain_entry *entries;
    struct symbol_chain_entry single; /* where entries point when there is nothing but a name */
};

struct chain_cache;

int chain_cache_new(struct chain_cache **ret_cache);
struct chain_cache *chain_cache_free(struct chain_cache *cache);
DEFINE_FREEP(chain_cache);

enum chain_state {
    CHAIN_UNKNOWN,     /* nothing is known: ret_chain is not touched */
    CHAIN_PROVISIONAL, /* to be asked for again */
    CHAIN_SETTLED,
};

enum chain_state chain_cache_find(const struct chain_cache *cache, frame_id frame,
                                  struct name_chain *ret_chain);

/*
 * Keeps a copy of the entries (1 … SYMBOL_CHAIN_MAX) and tells what is kept:
 * something else where somebody was faster. -ENOMEM past the limit and where
 * memory ran out.
 */
int chain_cache_put(struct chain_cache *cache, frame_id frame,
                    const struct symbol_chain_entry *entries, size_t n_entries, bool is_settled,
                    struct name_chain *ret_chain);
