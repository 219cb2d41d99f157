/* SPDX-License-Identifier: MIT */

#include "target_ring/tables.h"

#include <stdbool.h>
#include <string.h>

#define INDEX_MASK (2 * TARGET_RING_NAMES - 1)

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static uint64_t load_word(const char *text, size_t n_bytes)
{
    uint64_t word = 0;

    if (n_bytes == sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        return word;
    }
    for (size_t i = 0; i < n_bytes; i++) {
        word |= (uint64_t)(unsigned char)text[i] << 8 * i;
    }
    return word;
}

/* The upper half of an index entry. Its lowest bit is always set, so that no entry is 0. */
static uint32_t hash_of(uint32_t parent, const char *text, size_t n_bytes)
{
    uint64_t hash = mix(n_bytes, parent);
    size_t at = 0;

    for (; n_bytes - at > sizeof(uint64_t); at += sizeof(uint64_t)) {
        hash = mix(hash, load_word(text + at, sizeof(uint64_t)));
    }
    hash = mix(hash, load_word(text + at, n_bytes - at));
    return (uint32_t)(hash >> 32) | 1;
}

size_t target_ring_name_length(const char *text)
{
    size_t n_bytes = strnlen(text, TARGET_RING_NAME_BYTES + 1);

    if (n_bytes <= TARGET_RING_NAME_BYTES) {
        return n_bytes;
    }
    n_bytes = TARGET_RING_NAME_BYTES;
    /* Not within a character of UTF-8; what is none is cut anywhere. */
    size_t n_kept = n_bytes;
    while (n_kept > n_bytes - 4 && ((unsigned char)text[n_kept] & 0xc0) == 0x80) {
        n_kept--;
    }
    return ((unsigned char)text[n_kept] & 0xc0) == 0x80 ? n_bytes : n_kept;
}

static bool is_same(const struct target_ring_tables *tables, uint32_t id, uint32_t parent,
                    const char *text, size_t n_bytes)
{
    const struct target_ring_name *name = &target_ring_names(tables->memory)[id];

    return name->parent == parent && name->n_bytes == n_bytes &&
           name->text_offset <= TARGET_RING_TEXT_BYTES - n_bytes &&
           memcmp(target_ring_text(tables->memory) + name->text_offset, text, n_bytes) == 0;
}

/* The id, or 0 and the place where it belongs. */
static uint32_t find_place(const struct target_ring_tables *tables, uint32_t parent,
                           const char *text, size_t n_bytes, size_t *ret_place)
{
    uint32_t hash = hash_of(parent, text, n_bytes);
    size_t place = hash >> 1 & INDEX_MASK;

    for (;;) {
        uint64_t entry = __atomic_load_n(&tables->index[place], __ATOMIC_ACQUIRE);

        if (!entry) {
            *ret_place = place;
            return 0;
        }
        if (entry >> 32 == hash && is_same(tables, (uint32_t)entry, parent, text, n_bytes)) {
            return (uint32_t)entry;
        }
        place = (place + 1) & INDEX_MASK;
    }
}

void target_ring_tables_init(struct target_ring_tables *tables, void *memory)
{
    static const char other[] = "(other)";
    size_t place;

    tables->memory = memory;
    tables->extent.n_names = TARGET_RING_NAME_OTHER;
    tables->extent.n_text_bytes = sizeof(other) - 1;
    find_place(tables, 0, other, sizeof(other) - 1, &place);
    __atomic_store_n(&tables->index[place],
                     (uint64_t)hash_of(0, other, sizeof(other) - 1) << 32 | TARGET_RING_NAME_OTHER,
                     __ATOMIC_RELEASE);
}

uint32_t target_ring_name_find(const struct target_ring_tables *tables, uint32_t parent,
                               const char *text, size_t n_bytes)
{
    size_t place;

    return find_place(tables, parent, text, n_bytes, &place);
}

uint32_t target_ring_name_add(struct target_ring_tables *tables, uint32_t parent, const char *text,
                              size_t n_bytes)
{
    struct target_ring_state *state = target_ring_state(tables->memory);
    struct target_ring_extent *extent = &tables->extent;
    size_t place;
    uint32_t id = find_place(tables, parent, text, n_bytes, &place);

    if (id) {
        return id;
    }
    if (extent->n_names + 1 >= TARGET_RING_NAMES ||
        extent->n_text_bytes + n_bytes > TARGET_RING_TEXT_BYTES) {
        __atomic_fetch_add(&state->n_names_refused, 1, __ATOMIC_RELAXED);
        return TARGET_RING_NAME_OTHER;
    }
    id = extent->n_names + 1;
    struct target_ring_name *name = &target_ring_names(tables->memory)[id];
    memcpy(target_ring_text(tables->memory) + extent->n_text_bytes, text, n_bytes);
    name->parent = parent;
    name->text_offset = extent->n_text_bytes;
    name->n_bytes = (uint32_t)n_bytes;
    /* In this order, so that a child that was cloned half-way takes no id for two names. */
    extent->n_text_bytes += (uint32_t)n_bytes;
    __atomic_store_n(&extent->n_names, id, __ATOMIC_RELEASE);
    __atomic_store_n(&name->is_set, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&state->n_text_bytes, extent->n_text_bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&state->n_names, id, __ATOMIC_RELEASE);
    __atomic_store_n(&tables->index[place], (uint64_t)hash_of(parent, text, n_bytes) << 32 | id,
                     __ATOMIC_RELEASE);
    return id;
}

uint32_t target_ring_lane_find(const struct target_ring_tables *tables, uint32_t name,
                               uint32_t kind)
{
    const struct target_ring_lane *lanes = target_ring_lanes(tables->memory);
    uint32_t n_lanes = __atomic_load_n(&tables->extent.n_lanes, __ATOMIC_ACQUIRE);

    for (uint32_t id = 1; id <= n_lanes; id++) {
        if (lanes[id].name == name && lanes[id].kind == kind) {
            return id;
        }
    }
    return 0;
}

uint32_t target_ring_lane_add(struct target_ring_tables *tables, uint32_t name, uint32_t kind)
{
    struct target_ring_state *state = target_ring_state(tables->memory);
    uint32_t id = target_ring_lane_find(tables, name, kind);

    if (id) {
        return id;
    }
    if (tables->extent.n_lanes + 1 >= TARGET_RING_LANE_OTHER) {
        __atomic_fetch_add(&state->n_lanes_refused, 1, __ATOMIC_RELAXED);
        if (tables->extent.n_lanes == TARGET_RING_LANE_OTHER) {
            return TARGET_RING_LANE_OTHER;
        }
        name = TARGET_RING_NAME_OTHER;
        kind = 0;
    }
    id = tables->extent.n_lanes + 1;
    struct target_ring_lane *lane = &target_ring_lanes(tables->memory)[id];
    lane->kind = kind;
    lane->name = name;
    __atomic_store_n(&lane->is_set, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&tables->extent.n_lanes, id, __ATOMIC_RELEASE);
    __atomic_store_n(&state->n_lanes, id, __ATOMIC_RELEASE);
    return id;
}
