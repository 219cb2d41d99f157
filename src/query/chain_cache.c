/* SPDX-License-Identifier: MIT */
/*
 * The lowest bits of a frame's word say that its chain is provisional, and that
 * it is no chain but the only symbol. Chains that were replaced stay in the
 * arena: others may be reading them, and there are as few as there are steps of
 * loading.
 */
#include "query/chain_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define CHUNK_SHIFT 12u
#define CHUNK_FRAMES (1u << CHUNK_SHIFT)
#define CHUNKS_MAX (CHAIN_CACHE_FRAMES_MAX >> CHUNK_SHIFT)
#define PROVISIONAL ((uintptr_t)1)
#define SINGLE ((uintptr_t)2)
#define TAGS (PROVISIONAL | SINGLE)

struct stored_chain {
    size_t n_entries;
    struct symbol_chain_entry entries[];
};

typedef _Atomic(uintptr_t) chain_slot;

struct chain_cache {
    _Atomic(chain_slot *) *chunks;
    pthread_mutex_t lock; /* of `chains` */
    struct arena chains;
};

int chain_cache_new(struct chain_cache **ret_cache)
{
    _cleanup_(chain_cache_freep) struct chain_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return -ENOMEM;
    }
    pthread_mutex_init(&cache->lock, NULL);
    arena_init(&cache->chains, 0);
    cache->chunks = calloc(CHUNKS_MAX, sizeof(*cache->chunks));
    if (!cache->chunks) {
        return -ENOMEM;
    }
    *ret_cache = TAKE_PTR(cache);
    return 0;
}

struct chain_cache *chain_cache_free(struct chain_cache *cache)
{
    if (cache) {
        for (size_t i = 0; cache->chunks && i < CHUNKS_MAX; i++) {
            free(atomic_load_explicit(&cache->chunks[i], memory_order_relaxed));
        }
        free(cache->chunks);
        arena_release(&cache->chains);
        pthread_mutex_destroy(&cache->lock);
        free(cache);
    }
    return NULL;
}

static enum chain_state read_word(uintptr_t word, struct name_chain *ret_chain)
{
    if (word == 0) {
        return CHAIN_UNKNOWN;
    }
    if (word & SINGLE) {
        ret_chain->single =
            (struct symbol_chain_entry){.symbol = (const struct symbol *)(word & ~TAGS)};
        ret_chain->entries = &ret_chain->single;
        ret_chain->n_entries = 1;
    } else {
        const struct stored_chain *stored = (const struct stored_chain *)(word & ~TAGS);
        ret_chain->entries = stored->entries;
        ret_chain->n_entries = (uint32_t)stored->n_entries;
    }
    return word & PROVISIONAL ? CHAIN_PROVISIONAL : CHAIN_SETTLED;
}

enum chain_state chain_cache_find(const struct chain_cache *cache, frame_id frame,
                                  struct name_chain *ret_chain)
{
    if (frame >= CHAIN_CACHE_FRAMES_MAX) {
        return CHAIN_UNKNOWN;
    }
    chain_slot *slots =
        atomic_load_explicit(&cache->chunks[frame >> CHUNK_SHIFT], memory_order_acquire);
    if (!slots) {
        return CHAIN_UNKNOWN;
    }
    chain_slot *slot = &slots[frame & (CHUNK_FRAMES - 1)];
    return read_word(atomic_load_explicit(slot, memory_order_acquire), ret_chain);
}

static chain_slot *slot_of(struct chain_cache *cache, frame_id frame)
{
    if (frame >= CHAIN_CACHE_FRAMES_MAX) {
        return NULL;
    }
    _Atomic(chain_slot *) *chunk = &cache->chunks[frame >> CHUNK_SHIFT];
    chain_slot *slots = atomic_load_explicit(chunk, memory_order_acquire);
    if (!slots) {
        chain_slot *fresh = calloc(CHUNK_FRAMES, sizeof(*fresh));
        if (!fresh) {
            return NULL;
        }
        if (atomic_compare_exchange_strong(chunk, &slots, fresh)) {
            slots = fresh;
        } else {
            free(fresh); /* another asker was faster; slots is its chunk */
        }
    }
    return &slots[frame & (CHUNK_FRAMES - 1)];
}

static bool is_equal(const struct name_chain *chain, const struct symbol_chain_entry *entries,
                     size_t n_entries)
{
    if (chain->n_entries != n_entries) {
        return false;
    }
    for (size_t i = 0; i < n_entries; i++) {
        const struct symbol_chain_entry *a = &chain->entries[i], *b = &entries[i];
        if (a->symbol != b->symbol || a->is_inlined != b->is_inlined || a->file != b->file ||
            a->line != b->line) {
            return false;
        }
    }
    return true;
}

/* The word for the entries, without PROVISIONAL; 0 when memory ran out. */
static uintptr_t make_word(struct chain_cache *cache, const struct symbol_chain_entry *entries,
                           size_t n_entries)
{
    if (n_entries == 1 && !entries[0].is_inlined && !entries[0].file && entries[0].line == 0) {
        return (uintptr_t)entries[0].symbol | SINGLE;
    }
    pthread_mutex_lock(&cache->lock);
    struct stored_chain *stored =
        arena_alloc(&cache->chains, sizeof(*stored) + n_entries * sizeof(*entries));
    pthread_mutex_unlock(&cache->lock);
    if (!stored) {
        return 0;
    }
    stored->n_entries = n_entries;
    memcpy(stored->entries, entries, n_entries * sizeof(*entries));
    return (uintptr_t)stored;
}

int chain_cache_put(struct chain_cache *cache, frame_id frame,
                    const struct symbol_chain_entry *entries, size_t n_entries, bool is_settled,
                    struct name_chain *ret_chain)
{
    chain_slot *slot = slot_of(cache, frame);
    if (!slot) {
        return -ENOMEM;
    }
    uintptr_t known = atomic_load_explicit(slot, memory_order_acquire);
    uintptr_t wanted = 0;
    for (;;) {
        enum chain_state state = read_word(known, ret_chain);
        bool is_kept = state != CHAIN_UNKNOWN && is_equal(ret_chain, entries, n_entries);
        if (state == CHAIN_SETTLED || (is_kept && !is_settled)) {
            return 0;
        }
        if (is_kept) {
            wanted = known & ~PROVISIONAL;
        } else if (wanted == 0) {
            wanted = make_word(cache, entries, n_entries);
        }
        if (wanted == 0) {
            return -ENOMEM;
        }
        uintptr_t next = wanted | (is_settled ? 0 : PROVISIONAL);
        if (atomic_compare_exchange_strong(slot, &known, next)) {
            (void)read_word(next, ret_chain);
            return 0;
        }
    }
}
