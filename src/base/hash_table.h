/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * hash_table - 64-bit keys to 32-bit values, open addressing
 *
 * The value is an index into an array that the caller keeps; keys that do not
 * fit in 64 bits are hashed by the caller, who compares candidates with
 * hash_table_find_equal(). Nothing is ever removed, only cleared.
 *
 * Owner:   the caller holds the struct; hash_table_release() frees the slots.
 * Threads: one.
 * Limits:  2^31 entries; -ENOMEM when the slots cannot grow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define HASH_TABLE_NONE UINT32_MAX

struct hash_table_slot {
    uint64_t key;
    uint32_t value; /* HASH_TABLE_NONE: empty */
    uint32_t unused;
};

struct hash_table {
    struct hash_table_slot *slots;
    size_t n_slots; /* 0 or a power of two */
    size_t n_used;
};

typedef bool (*hash_table_equal_cb)(uint32_t value, const void *wanted, const void *userdata);

void hash_table_init(struct hash_table *table);
void hash_table_release(struct hash_table *table);
DEFINE_RELEASEP(hash_table);
void hash_table_clear(struct hash_table *table);

/* The value of `key`, or HASH_TABLE_NONE. */
uint32_t hash_table_find(const struct hash_table *table, uint64_t key);

/* As hash_table_find(), for keys that are hashes: asks `is_equal` for each value with this key. */
uint32_t hash_table_find_equal(const struct hash_table *table, uint64_t key,
                               hash_table_equal_cb is_equal, const void *wanted,
                               const void *userdata);

/* Adds; never replaces (a second value for the same key is found by _find_equal only). */
int hash_table_add(struct hash_table *table, uint64_t key, uint32_t value);

/* Room for n_entries in all: they are then added without growing. 0 or -ENOMEM. */
int hash_table_reserve(struct hash_table *table, size_t n_entries);

/* Replaces the first value of `key`, or adds it. */
int hash_table_set(struct hash_table *table, uint64_t key, uint32_t value);

size_t hash_table_memory_bytes(const struct hash_table *table);

/* A good 64-bit mix of one word, and of n bytes. */
uint64_t hash_u64(uint64_t value);
uint64_t hash_bytes(const void *data, size_t n_bytes);
