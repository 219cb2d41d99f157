/* SPDX-License-Identifier: MIT */
/*
 * Readers take no lock: what a word or a list leads to was complete before it was published, and
 * never changes. Writers are few, one per stack and run, and take turns.
 */
#include "query/cause_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/hash_table.h"

#define CHUNK_SHIFT 12u
#define CHUNK_STACKS (1u << CHUNK_SHIFT)
#define CHUNKS_MAX (CAUSE_CACHE_STACKS_MAX >> CHUNK_SHIFT)
#define ENTRIES_MAX 0x7fffu
#define ENTRIES_SHIFT 8u
#define ENTRY_CHUNKS ((ENTRIES_MAX + 1u) >> ENTRIES_SHIFT)
#define NEEDS_CALL 0x8000u /* highest bit of a word that is not 0 */

struct call_cause {
    uint32_t syscall, n_behind;
    const struct wait_cause_entry *entry;
    const struct call_cause *next;
};

typedef _Atomic(uint16_t) cause_slot;                  /* number of an entry, NEEDS_CALL; or 0 */
typedef _Atomic(const struct call_cause *) calls_slot; /* the newest; NULL: none */

struct cause_cache {
    _Atomic(cause_slot *) *chunks;                            /* by stack_id */
    _Atomic(calls_slot *) *calls_chunks;                      /* by stack_id */
    _Atomic(struct wait_cause_entry *) entries[ENTRY_CHUNKS]; /* by number, from 1 */
    pthread_mutex_t lock; /* of all below, and of who writes to the above */
    uint32_t n_entries;
    struct hash_table entry_ids; /* by hash of the entry */
    struct arena calls;
    size_t n_bytes; /* of chunks, entries and calls */
};

int cause_cache_new(struct cause_cache **ret_cache)
{
    _cleanup_(cause_cache_freep) struct cause_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return -ENOMEM;
    }
    pthread_mutex_init(&cache->lock, NULL);
    arena_init(&cache->calls, 0);
    hash_table_init(&cache->entry_ids);
    cache->chunks = calloc(CHUNKS_MAX, sizeof(*cache->chunks));
    cache->calls_chunks = calloc(CHUNKS_MAX, sizeof(*cache->calls_chunks));
    if (!cache->chunks || !cache->calls_chunks) {
        return -ENOMEM;
    }
    cache->n_bytes = CHUNKS_MAX * (sizeof(*cache->chunks) + sizeof(*cache->calls_chunks));
    *ret_cache = TAKE_PTR(cache);
    return 0;
}

struct cause_cache *cause_cache_free(struct cause_cache *cache)
{
    if (cache) {
        for (size_t i = 0; cache->chunks && i < CHUNKS_MAX; i++) {
            free(atomic_load_explicit(&cache->chunks[i], memory_order_relaxed));
        }
        for (size_t i = 0; cache->calls_chunks && i < CHUNKS_MAX; i++) {
            free(atomic_load_explicit(&cache->calls_chunks[i], memory_order_relaxed));
        }
        free(cache->chunks);
        free(cache->calls_chunks);
        for (size_t i = 0; i < ENTRY_CHUNKS; i++) {
            free(atomic_load_explicit(&cache->entries[i], memory_order_relaxed));
        }
        arena_release(&cache->calls);
        hash_table_release(&cache->entry_ids);
        pthread_mutex_destroy(&cache->lock);
        free(cache);
    }
    return NULL;
}

/* Of a number that was given out. */
static struct wait_cause_entry *entry_at(const struct cause_cache *cache, uint32_t number)
{
    struct wait_cause_entry *chunk =
        atomic_load_explicit(&cache->entries[number >> ENTRIES_SHIFT], memory_order_acquire);
    return &chunk[number & ((1u << ENTRIES_SHIFT) - 1)];
}

/* ---- readers ---- */

const struct wait_cause_entry *cause_cache_find(const struct cause_cache *cache, stack_id stack,
                                                bool *ret_needs_call)
{
    uint16_t word = 0;
    if (stack < CAUSE_CACHE_STACKS_MAX) {
        cause_slot *chunk =
            atomic_load_explicit(&cache->chunks[stack >> CHUNK_SHIFT], memory_order_acquire);
        word = chunk
                   ? atomic_load_explicit(&chunk[stack & (CHUNK_STACKS - 1)], memory_order_acquire)
                   : 0;
    }
    *ret_needs_call = (word & NEEDS_CALL) != 0;
    return word != 0 ? entry_at(cache, word & ENTRIES_MAX) : NULL;
}

const struct wait_cause_entry *cause_cache_find_call(const struct cause_cache *cache,
                                                     stack_id stack, uint32_t syscall)
{
    const struct call_cause *call = NULL;
    if (stack < CAUSE_CACHE_STACKS_MAX) {
        calls_slot *chunk =
            atomic_load_explicit(&cache->calls_chunks[stack >> CHUNK_SHIFT], memory_order_acquire);
        call = chunk
                   ? atomic_load_explicit(&chunk[stack & (CHUNK_STACKS - 1)], memory_order_acquire)
                   : NULL;
    }
    while (call && call->syscall != syscall) {
        call = call->next;
    }
    return call ? call->entry : NULL;
}

/* ---- writers, who hold the lock ---- */

static bool take_bytes(struct cause_cache *cache, size_t n_bytes)
{
    size_t n_used = cache->n_bytes + hash_table_memory_bytes(&cache->entry_ids);
    if (n_used > CAUSE_CACHE_BYTES_MAX || n_bytes > CAUSE_CACHE_BYTES_MAX - n_used) {
        return false;
    }
    cache->n_bytes += n_bytes;
    return true;
}

/* Zeroed memory of a chunk. NULL: past the limit, or no memory. */
static void *new_chunk(struct cause_cache *cache, size_t slot_bytes)
{
    size_t n_bytes = CHUNK_STACKS * slot_bytes;
    void *chunk = take_bytes(cache, n_bytes) ? calloc(1, n_bytes) : NULL;
    return chunk;
}

static cause_slot *make_slot(struct cause_cache *cache, stack_id stack)
{
    if (stack >= CAUSE_CACHE_STACKS_MAX) {
        return NULL;
    }
    _Atomic(cause_slot *) *at = &cache->chunks[stack >> CHUNK_SHIFT];
    cause_slot *chunk = atomic_load_explicit(at, memory_order_relaxed);
    if (!chunk) {
        chunk = new_chunk(cache, sizeof(*chunk));
        atomic_store_explicit(at, chunk, memory_order_release);
    }
    return chunk ? &chunk[stack & (CHUNK_STACKS - 1)] : NULL;
}

static calls_slot *make_calls_slot(struct cause_cache *cache, stack_id stack)
{
    if (stack >= CAUSE_CACHE_STACKS_MAX) {
        return NULL;
    }
    _Atomic(calls_slot *) *at = &cache->calls_chunks[stack >> CHUNK_SHIFT];
    calls_slot *chunk = atomic_load_explicit(at, memory_order_relaxed);
    if (!chunk) {
        chunk = new_chunk(cache, sizeof(*chunk));
        atomic_store_explicit(at, chunk, memory_order_release);
    }
    return chunk ? &chunk[stack & (CHUNK_STACKS - 1)] : NULL;
}

static bool is_equal(uint32_t number, const void *wanted, const void *userdata)
{
    const struct wait_cause_entry *a = entry_at(userdata, number);
    const struct wait_cause_entry *b = wanted;
    return a->reason == b->reason && a->site == b->site && a->site_image == b->site_image &&
           a->site_frame == b->site_frame;
}

static uint64_t hash_of(const struct wait_cause_entry *entry)
{
    uint64_t hash = hash_u64((uint64_t)(uintptr_t)entry->site ^ (uint64_t)entry->reason);
    hash = hash_u64(hash ^ (uint64_t)(uintptr_t)entry->site_image);
    return hash_u64(hash ^ entry->site_frame);
}

static bool make_entry_chunk(struct cause_cache *cache, uint32_t number)
{
    _Atomic(struct wait_cause_entry *) *at = &cache->entries[number >> ENTRIES_SHIFT];
    if (!atomic_load_explicit(at, memory_order_relaxed)) {
        size_t n_bytes = sizeof(struct wait_cause_entry) << ENTRIES_SHIFT;
        atomic_store_explicit(at, take_bytes(cache, n_bytes) ? calloc(1, n_bytes) : NULL,
                              memory_order_release);
    }
    return atomic_load_explicit(at, memory_order_relaxed) != NULL;
}

/* The number of the one that is equal. 0: past a limit, or no memory. */
static uint16_t number_entry(struct cause_cache *cache, const struct wait_cause_entry *wanted)
{
    uint64_t key = hash_of(wanted);
    uint32_t known = hash_table_find_equal(&cache->entry_ids, key, is_equal, wanted, cache);
    if (known != HASH_TABLE_NONE) {
        return (uint16_t)known;
    }
    uint32_t number = cache->n_entries + 1;
    if (number > ENTRIES_MAX || !make_entry_chunk(cache, number) ||
        hash_table_add(&cache->entry_ids, key, number) != 0) {
        return 0;
    }
    *entry_at(cache, number) = *wanted;
    cache->n_entries = number;
    return (uint16_t)number;
}

const struct wait_cause_entry *cause_cache_put(struct cause_cache *cache, stack_id stack,
                                               const struct wait_cause_entry *entry,
                                               bool needs_call)
{
    pthread_mutex_lock(&cache->lock);
    cause_slot *slot = make_slot(cache, stack);
    uint16_t word = slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;
    if (slot && word == 0) {
        word = number_entry(cache, entry);
        word |= word != 0 && needs_call ? NEEDS_CALL : 0;
        atomic_store_explicit(slot, word, memory_order_release);
    }
    pthread_mutex_unlock(&cache->lock);
    return word != 0 ? entry_at(cache, word & ENTRIES_MAX) : NULL;
}

/* Puts the entry before those of other calls. */
static const struct wait_cause_entry *push_call(struct cause_cache *cache, calls_slot *slot,
                                                uint32_t syscall,
                                                const struct wait_cause_entry *entry)
{
    const struct call_cause *first = atomic_load_explicit(slot, memory_order_relaxed);
    uint32_t n_behind = first ? first->n_behind + 1 : 0;
    uint16_t number = n_behind < CAUSE_CACHE_CALLS_MAX ? number_entry(cache, entry) : 0;
    struct call_cause *call = number != 0 && take_bytes(cache, sizeof(*call))
                                  ? arena_alloc(&cache->calls, sizeof(*call))
                                  : NULL;
    if (!call) {
        return NULL;
    }
    *call = (struct call_cause){
        .syscall = syscall,
        .n_behind = n_behind,
        .entry = entry_at(cache, number),
        .next = first,
    };
    atomic_store_explicit(slot, call, memory_order_release);
    return call->entry;
}

const struct wait_cause_entry *cause_cache_put_call(struct cause_cache *cache, stack_id stack,
                                                    uint32_t syscall,
                                                    const struct wait_cause_entry *entry)
{
    pthread_mutex_lock(&cache->lock);
    const struct wait_cause_entry *kept = cause_cache_find_call(cache, stack, syscall);
    if (!kept) {
        calls_slot *slot = make_calls_slot(cache, stack);
        kept = slot ? push_call(cache, slot, syscall, entry) : NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    return kept;
}

size_t cause_cache_memory_bytes(struct cause_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t n_bytes = sizeof(*cache) + cache->n_bytes + hash_table_memory_bytes(&cache->entry_ids);
    pthread_mutex_unlock(&cache->lock);
    return n_bytes;
}
