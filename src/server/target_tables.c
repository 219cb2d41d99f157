/* SPDX-License-Identifier: MIT */
#include "server/target_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash_table.h"
#include "model/lane.h"

#define MAX_NAMES LIMIT_SPAN_NAMES
/* Texts of all names and lanes, with what the arena adds. */
#define MAX_TEXT_BYTES ((size_t)48 << 20)

static const char other[] = "(other)";

struct lane {
    int64_t pid;
    const char *name;
    uint8_t kind;
};

struct name {
    const char *text;
    uint32_t parent, depth; /* 1: inside of no other */
};

struct target_tables {
    int64_t pid;
    struct run_ingest *ingest;
    struct arena arena;
    struct hash_table lane_numbers, name_numbers;
    struct lane *lanes;
    struct name *names; /* by number; 0 is unused */
    uint32_t n_lanes, n_names;
};

int target_tables_new(int64_t pid, struct run_ingest *ingest, struct target_tables **ret_tables)
{
    _cleanup_(target_tables_freep) struct target_tables *tables = calloc(1, sizeof(*tables));
    if (!tables) {
        return -ENOMEM;
    }
    tables->pid = pid;
    tables->ingest = ingest;
    arena_init(&tables->arena, MAX_TEXT_BYTES);
    hash_table_init(&tables->lane_numbers);
    hash_table_init(&tables->name_numbers);
    /* Not zeroed: what is never used is never touched. */
    tables->lanes = malloc(LIMIT_LANES * sizeof(*tables->lanes));
    tables->names = malloc((MAX_NAMES + 1) * sizeof(*tables->names));
    if (!tables->lanes || !tables->names) {
        return -ENOMEM;
    }
    tables->names[0] = (struct name){.text = ""};
    *ret_tables = TAKE_PTR(tables);
    return 0;
}

struct target_tables *target_tables_free(struct target_tables *tables)
{
    if (tables) {
        hash_table_release(&tables->lane_numbers);
        hash_table_release(&tables->name_numbers);
        arena_release(&tables->arena);
        free(tables->lanes);
        free(tables->names);
        free(tables);
    }
    return NULL;
}

static bool is_same_lane(uint32_t number, const void *wanted, const void *userdata)
{
    const struct target_tables *tables = userdata;
    const struct lane *a = &tables->lanes[number], *b = wanted;
    return a->pid == b->pid && a->kind == b->kind && strcmp(a->name, b->name) == 0;
}

static bool is_same_name(uint32_t number, const void *wanted, const void *userdata)
{
    const struct target_tables *tables = userdata;
    const struct name *a = &tables->names[number], *b = wanted;
    return a->parent == b->parent && strcmp(a->text, b->text) == 0;
}

/* Room for one more number and its text, before it is told. */
static const char *prepare(struct target_tables *tables, struct hash_table *numbers,
                           const char *text)
{
    if (hash_table_reserve(numbers, numbers->n_used + 1) < 0) {
        return NULL;
    }
    return text == other ? other : arena_strdup(&tables->arena, text);
}

static uint32_t add_lane(struct target_tables *tables, uint64_t key, const struct lane *lane)
{
    const char *text = prepare(tables, &tables->lane_numbers, lane->name);
    const struct event event = {
        .kind = EVENT_LANE,
        .pid = lane->pid,
        .lane = {.lane = tables->n_lanes, .kind = lane->kind, .name = text},
    };
    if (!text || !run_ingest_add_told(tables->ingest, &event)) {
        return TARGET_TABLES_NONE;
    }
    tables->lanes[tables->n_lanes] = *lane;
    tables->lanes[tables->n_lanes].name = text;
    hash_table_add(&tables->lane_numbers, key, tables->n_lanes);
    return tables->n_lanes++;
}

uint32_t target_tables_lane(struct target_tables *tables, int64_t pid,
                            const struct target_ring_text *told)
{
    uint8_t kind = told->kind < LANE_KIND_N ? (uint8_t)told->kind : LANE_KIND_GENERIC;
    struct lane lane = {.pid = pid, .name = told->text, .kind = kind};
    uint64_t key = hash_bytes(told->text, told->n_bytes) ^ hash_u64((uint64_t)pid << 8 | kind);
    uint32_t number =
        hash_table_find_equal(&tables->lane_numbers, key, is_same_lane, &lane, tables);
    if (number != HASH_TABLE_NONE) {
        return number;
    }
    if (tables->n_lanes == LIMIT_LANES) {
        return LIMIT_LANES - 1;
    }
    if (tables->n_lanes == LIMIT_LANES - 1) {
        lane = (struct lane){.pid = tables->pid, .name = other};
        key = 0; /* nobody looks for it: what has no number is the last one */
    }
    return add_lane(tables, key, &lane);
}

static uint32_t add_name(struct target_tables *tables, uint64_t key, const struct name *name)
{
    uint32_t number = tables->n_names + 1;
    const char *text = prepare(tables, &tables->name_numbers, name->text);
    const struct event event = {
        .kind = EVENT_SPAN_NAME,
        .pid = tables->pid,
        .span_name = {.name = number, .parent = name->parent, .text = text},
    };
    if (!text || !run_ingest_add_told(tables->ingest, &event)) {
        return TARGET_TABLES_NONE;
    }
    tables->names[number] = *name;
    tables->names[number].text = text;
    hash_table_add(&tables->name_numbers, key, number);
    return tables->n_names = number;
}

uint32_t target_tables_name(struct target_tables *tables, uint32_t parent, const char *text,
                            size_t n_bytes)
{
    if (tables->names[parent].depth == LIMIT_SPAN_DEPTH) {
        parent = tables->names[parent].parent;
        text = other;
        n_bytes = sizeof(other) - 1;
    }
    struct name name = {
        .text = text,
        .parent = parent,
        .depth = parent ? tables->names[parent].depth + 1 : 1,
    };
    uint64_t key = hash_bytes(text, n_bytes) ^ hash_u64(parent);
    uint32_t number =
        hash_table_find_equal(&tables->name_numbers, key, is_same_name, &name, tables);
    if (number != HASH_TABLE_NONE) {
        return number;
    }
    if (tables->n_names == MAX_NAMES) {
        return MAX_NAMES;
    }
    if (tables->n_names == MAX_NAMES - 1) {
        name = (struct name){.text = other, .depth = 1};
        key = 0;
    }
    return add_name(tables, key, &name);
}

uint32_t target_tables_count_lanes(const struct target_tables *tables)
{
    return tables->n_lanes;
}

uint32_t target_tables_count_names(const struct target_tables *tables)
{
    return tables->n_names;
}
