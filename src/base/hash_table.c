/* SPDX-License-Identifier: MIT */
/*
 * Linear probing: a lookup touches one cache line, rarely two. The slot is the
 * top bits of a multiplication by 2^64 / golden ratio, after the upper half was
 * folded into the lower one, since callers put ids into one half and addresses
 * into the other. At most 5 of 8 slots are used: past that the clusters of
 * linear probing grow faster than the memory that they save.
 */
#include "base/hash_table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define GOLDEN_64 UINT64_C(0x9e3779b97f4a7c15)
#define N_SLOTS_MIN 16
#define N_SLOTS_MAX ((uint64_t)1 << 32)

void hash_table_init(struct hash_table *table)
{
    *table = (struct hash_table){0};
}

void hash_table_release(struct hash_table *table)
{
    free(table->slots);
    hash_table_init(table);
}

/* All bits set, in every slot: its value is then HASH_TABLE_NONE. */
static void empty_slots(struct hash_table_slot *slots, size_t n_slots)
{
    memset(slots, 0xff, n_slots * sizeof(*slots));
}

void hash_table_clear(struct hash_table *table)
{
    if (table->n_slots > 0) {
        empty_slots(table->slots, table->n_slots);
    }
    table->n_used = 0;
}

static inline size_t first_slot(size_t n_slots, uint64_t key)
{
    unsigned int shift = (unsigned int)__builtin_clzll(n_slots) + 1;
    return (size_t)(((key ^ (key >> 32)) * GOLDEN_64) >> shift);
}

uint32_t hash_table_find(const struct hash_table *table, uint64_t key)
{
    if (table->n_slots == 0) {
        return HASH_TABLE_NONE;
    }
    size_t mask = table->n_slots - 1;
    size_t slot = first_slot(table->n_slots, key);
    for (;; slot = (slot + 1) & mask) {
        const struct hash_table_slot *candidate = &table->slots[slot];
        if (candidate->key == key || candidate->value == HASH_TABLE_NONE) {
            return candidate->value;
        }
    }
}

uint32_t hash_table_find_equal(const struct hash_table *table, uint64_t key,
                               hash_table_equal_cb is_equal, const void *wanted,
                               const void *userdata)
{
    if (table->n_slots == 0) {
        return HASH_TABLE_NONE;
    }
    size_t mask = table->n_slots - 1;
    size_t slot = first_slot(table->n_slots, key);
    for (;; slot = (slot + 1) & mask) {
        const struct hash_table_slot *candidate = &table->slots[slot];
        if (candidate->value == HASH_TABLE_NONE) {
            return HASH_TABLE_NONE;
        }
        if (candidate->key == key && is_equal(candidate->value, wanted, userdata)) {
            return candidate->value;
        }
    }
}

static void place(struct hash_table_slot *slots, size_t n_slots, uint64_t key, uint32_t value)
{
    size_t mask = n_slots - 1;
    size_t slot = first_slot(n_slots, key);
    while (slots[slot].value != HASH_TABLE_NONE) {
        slot = (slot + 1) & mask;
    }
    slots[slot] = (struct hash_table_slot){.key = key, .value = value};
}

static size_t most_used(uint64_t n_slots)
{
    return (size_t)(n_slots / 8 * 5);
}

static int resize(struct hash_table *table, uint64_t n_slots)
{
    if (n_slots > N_SLOTS_MAX || n_slots > SIZE_MAX / sizeof(struct hash_table_slot)) {
        return -ENOMEM;
    }
    struct hash_table_slot *slots = malloc((size_t)n_slots * sizeof(*slots));
    if (!slots) {
        return -ENOMEM;
    }
    empty_slots(slots, (size_t)n_slots);
    /*
     * Begin behind an empty slot, where no cluster is under way: values of one key
     * then keep the order in which they were added, also across the end.
     */
    size_t start = 0;
    while (start < table->n_slots && table->slots[start].value != HASH_TABLE_NONE) {
        start++;
    }
    for (size_t i = 0; i < table->n_slots; i++) {
        const struct hash_table_slot *old = &table->slots[(start + i) & (table->n_slots - 1)];
        if (old->value != HASH_TABLE_NONE) {
            place(slots, (size_t)n_slots, old->key, old->value);
        }
    }
    free(table->slots);
    table->slots = slots;
    table->n_slots = (size_t)n_slots;
    return 0;
}

static uint64_t next_size(uint64_t n_slots)
{
    return n_slots == 0 ? N_SLOTS_MIN : n_slots * 2;
}

int hash_table_reserve(struct hash_table *table, size_t n_entries)
{
    uint64_t n_slots = table->n_slots;
    while (most_used(n_slots) < n_entries && n_slots <= N_SLOTS_MAX) {
        n_slots = next_size(n_slots);
    }
    return n_slots == table->n_slots ? 0 : resize(table, n_slots);
}

int hash_table_add(struct hash_table *table, uint64_t key, uint32_t value)
{
    assert(value != HASH_TABLE_NONE);
    if (table->n_used >= most_used(table->n_slots)) {
        int r = resize(table, next_size(table->n_slots));
        if (r < 0) {
            return r;
        }
    }
    place(table->slots, table->n_slots, key, value);
    table->n_used++;
    return 0;
}

int hash_table_set(struct hash_table *table, uint64_t key, uint32_t value)
{
    assert(value != HASH_TABLE_NONE);
    if (table->n_slots > 0) {
        size_t mask = table->n_slots - 1;
        size_t slot = first_slot(table->n_slots, key);
        for (; table->slots[slot].value != HASH_TABLE_NONE; slot = (slot + 1) & mask) {
            if (table->slots[slot].key == key) {
                table->slots[slot].value = value;
                return 0;
            }
        }
    }
    return hash_table_add(table, key, value);
}

size_t hash_table_memory_bytes(const struct hash_table *table)
{
    return table->n_slots * sizeof(struct hash_table_slot);
}

/* Both halves of the 128-bit product, folded: each input bit reaches about half of the output. */
static inline uint64_t mix(uint64_t left, uint64_t right)
{
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_u64(uint64_t value)
{
    value ^= value >> 32;
    value *= GOLDEN_64;
    value ^= value >> 29;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    return value;
}

uint64_t hash_bytes(const void *data, size_t n_bytes)
{
    const unsigned char *at = data;
    uint64_t hash = hash_u64(n_bytes ^ UINT64_C(0xa0761d6478bd642f));
    while (n_bytes >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        hash = mix(hash ^ word, GOLDEN_64);
        at += sizeof(word);
        n_bytes -= sizeof(word);
    }
    if (n_bytes > 0) {
        uint64_t word = 0;
        memcpy(&word, at, n_bytes);
        hash = mix(hash ^ word, GOLDEN_64);
    }
    return hash_u64(hash);
}
