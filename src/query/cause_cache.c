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
#define MADE_FIRST_ROOM 64u
#define NEEDS_CALL ((uintptr_t)1) /* lowest bit of a word that is not 0 */

struct call_cause {
    uint32_t syscall, n_behind;
    const struct wait_cause_entry *entry;
    const struct call_cause *next;
};

typedef _Atomic(uintptr_t) cause_slot;

/* By stack_id; both kinds of slots are words that are 0 as long as nothing is kept. */
struct slot_chunks {
    _Atomic(cause_slot *) *chunks;
};

struct cause_cache {
    struct slot_chunks plain; /* entries with NEEDS_CALL */
    struct slot_chunks calls; /* struct call_cause */
    pthread_mutex_t lock;     /* of all below, and of who writes to the above */
    size_t n_bytes;           /* of chunks and of what lies in the arena */
    struct arena arena;
    struct hash_table made_ids; /* hash → made */
    const struct wait_cause_entry **made;
    uint32_t n_made, n_made_room;
};

int cause_cache_new(struct cause_cache **ret_cache)
{
    _cleanup_(cause_cache_freep) struct cause_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        return -ENOMEM;
    }
    pthread_mutex_init(&cache->lock, NULL);
    arena_init(&cache->arena, 0);
    hash_table_init(&cache->made_ids);
    cache->plain.chunks = calloc(CHUNKS_MAX, sizeof(*cache->plain.chunks));
    cache->calls.chunks = calloc(CHUNKS_MAX, sizeof(*cache->calls.chunks));
    if (!cache->plain.chunks || !cache->calls.chunks) {
        return -ENOMEM;
    }
    cache->n_bytes = 2 * CHUNKS_MAX * sizeof(*cache->plain.chunks);
    *ret_cache = TAKE_PTR(cache);
    return 0;
}

static void free_chunks(struct slot_chunks *slots)
{
    for (size_t i = 0; slots->chunks && i < CHUNKS_MAX; i++) {
        free(atomic_load_explicit(&slots->chunks[i], memory_order_relaxed));
    }
    free(slots->chunks);
}

struct cause_cache *cause_cache_free(struct cause_cache *cache)
{
    if (cache) {
        free_chunks(&cache->plain);
        free_chunks(&cache->calls);
        arena_release(&cache->arena);
        hash_table_release(&cache->made_ids);
        free(cache->made);
        pthread_mutex_destroy(&cache->lock);
        free(cache);
    }
    return NULL;
}

/* ---- readers ---- */

static uintptr_t read_slot(const struct slot_chunks *slots, stack_id stack)
{
    if (stack >= CAUSE_CACHE_STACKS_MAX) {
        return 0;
    }
    cause_slot *chunk =
        atomic_load_explicit(&slots->chunks[stack >> CHUNK_SHIFT], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk[stack & (CHUNK_STACKS - 1)], memory_order_acquire)
                 : 0;
}

const struct wait_cause_entry *cause_cache_find(const struct cause_cache *cache, stack_id stack,
                                                bool *ret_needs_call)
{
    uintptr_t word = read_slot(&cache->plain, stack);
    *ret_needs_call = (word & NEEDS_CALL) != 0;
    return (const struct wait_cause_entry *)(word & ~NEEDS_CALL);
}

const struct wait_cause_entry *cause_cache_find_call(const struct cause_cache *cache,
                                                     stack_id stack, uint32_t syscall)
{
    const struct call_cause *call = (const struct call_cause *)read_slot(&cache->calls, stack);
    while (call && call->syscall != syscall) {
        call = call->next;
    }
    return call ? call->entry : NULL;
}

/* ---- writers, who hold the lock ---- */

static bool take_bytes(struct cause_cache *cache, size_t n_bytes)
{
    size_t n_used = cache->n_bytes + hash_table_memory_bytes(&cache->made_ids) +
                    cache->n_made_room * sizeof(const struct wait_cause_entry *);
    if (n_used > CAUSE_CACHE_BYTES_MAX || n_bytes > CAUSE_CACHE_BYTES_MAX - n_used) {
        return false;
    }
    cache->n_bytes += n_bytes;
    return true;
}

/* NULL: past a limit, or no memory. */
static cause_slot *make_slot(struct cause_cache *cache, struct slot_chunks *slots, stack_id stack)
{
    if (stack >= CAUSE_CACHE_STACKS_MAX) {
        return NULL;
    }
    _Atomic(cause_slot *) *at = &slots->chunks[stack >> CHUNK_SHIFT];
    cause_slot *chunk = atomic_load_explicit(at, memory_order_relaxed);
    if (!chunk && take_bytes(cache, CHUNK_STACKS * sizeof(*chunk))) {
        chunk = calloc(CHUNK_STACKS, sizeof(*chunk));
        cache->n_bytes -= chunk ? 0 : CHUNK_STACKS * sizeof(*chunk);
        atomic_store_explicit(at, chunk, memory_order_release);
    }
    return chunk ? &chunk[stack & (CHUNK_STACKS - 1)] : NULL;
}

static bool is_equal(uint32_t made, const void *wanted, const void *userdata)
{
    const struct cause_cache *cache = userdata;
    const struct wait_cause_entry *a = cache->made[made], *b = wanted;
    return a->reason == b->reason && a->site == b->site && a->site_image == b->site_image &&
           a->site_frame == b->site_frame;
}

static uint64_t hash_of(const struct wait_cause_entry *entry)
{
    uint64_t hash = hash_u64((uint64_t)(uintptr_t)entry->site ^ (uint64_t)entry->reason);
    hash = hash_u64(hash ^ (uint64_t)(uintptr_t)entry->site_image);
    return hash_u64(hash ^ entry->site_frame);
}

/* The one that is equal. NULL: past a limit, or no memory. */
static const struct wait_cause_entry *make_entry(struct cause_cache *cache,
                                                 const struct wait_cause_entry *wanted)
{
    uint64_t key = hash_of(wanted);
    uint32_t known = hash_table_find_equal(&cache->made_ids, key, is_equal, wanted, cache);
    if (known != HASH_TABLE_NONE) {
        return cache->made[known];
    }
    if (cache->n_made == cache->n_made_room) {
        uint32_t n_room = cache->n_made_room > 0 ? 2 * cache->n_made_room : MADE_FIRST_ROOM;
        const struct wait_cause_entry **grown =
            reallocarray(cache->made, n_room, sizeof(const struct wait_cause_entry *));
        if (!grown) {
            return NULL;
        }
        cache->made = grown;
        cache->n_made_room = n_room;
    }
    struct wait_cause_entry *entry =
        take_bytes(cache, sizeof(*entry)) ? arena_alloc(&cache->arena, sizeof(*entry)) : NULL;
    if (!entry || hash_table_add(&cache->made_ids, key, cache->n_made) != 0) {
        return NULL;
    }
    *entry = *wanted;
    cache->made[cache->n_made++] = entry;
    return entry;
}

const struct wait_cause_entry *cause_cache_put(struct cause_cache *cache, stack_id stack,
                                               const struct wait_cause_entry *entry,
                                               bool needs_call)
{
    pthread_mutex_lock(&cache->lock);
    const struct wait_cause_entry *kept = NULL;
    cause_slot *slot = make_slot(cache, &cache->plain, stack);
    if (slot) {
        uintptr_t known = atomic_load_explicit(slot, memory_order_relaxed);
        kept = known ? (const struct wait_cause_entry *)(known & ~NEEDS_CALL)
                     : make_entry(cache, entry);
        if (!known && kept) {
            uintptr_t word = (uintptr_t)kept | (needs_call ? NEEDS_CALL : 0);
            atomic_store_explicit(slot, word, memory_order_release);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return kept;
}

/* Puts the entry before those of other calls. */
static const struct wait_cause_entry *push_call(struct cause_cache *cache, cause_slot *slot,
                                                uint32_t syscall,
                                                const struct wait_cause_entry *entry)
{
    const struct call_cause *first =
        (const struct call_cause *)atomic_load_explicit(slot, memory_order_relaxed);
    uint32_t n_behind = first ? first->n_behind + 1 : 0;
    const struct wait_cause_entry *kept =
        n_behind < CAUSE_CACHE_CALLS_MAX ? make_entry(cache, entry) : NULL;
    struct call_cause *call =
        kept && take_bytes(cache, sizeof(*call)) ? arena_alloc(&cache->arena, sizeof(*call)) : NULL;
    if (!call) {
        return NULL;
    }
    *call =
        (struct call_cause){.syscall = syscall, .n_behind = n_behind, .entry = kept, .next = first};
    atomic_store_explicit(slot, (uintptr_t)call, memory_order_release);
    return kept;
}

const struct wait_cause_entry *cause_cache_put_call(struct cause_cache *cache, stack_id stack,
                                                    uint32_t syscall,
                                                    const struct wait_cause_entry *entry)
{
    pthread_mutex_lock(&cache->lock);
    const struct wait_cause_entry *kept = cause_cache_find_call(cache, stack, syscall);
    if (!kept) {
        cause_slot *slot = make_slot(cache, &cache->calls, stack);
        kept = slot ? push_call(cache, slot, syscall, entry) : NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    return kept;
}

size_t cause_cache_memory_bytes(struct cause_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t n_bytes = sizeof(*cache) + cache->n_bytes + hash_table_memory_bytes(&cache->made_ids) +
                     cache->n_made_room * sizeof(const struct wait_cause_entry *);
    pthread_mutex_unlock(&cache->lock);
    return n_bytes;
}
