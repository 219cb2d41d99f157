/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * name_table - names that the events of a run bring along, stored once
 *
 * Shape:   number → name, in the order in which they came.
 * Owner:   the caller's memory; name_table_release() frees the names. Nothing
 *          moves before.
 * Threads: one writer; readers of numbers that were published to them.
 * Limits:  NAME_TABLE_MAX names of NAME_TABLE_NAME_BYTES, longer ones are cut.
 * Tests:   name_table_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "aggregate/chunked.h"
#include "base/arena.h"
#include "base/hash_table.h"

#define NAME_TABLE_MAX (1u << 16)
#define NAME_TABLE_NAME_BYTES 256 /* with NUL */

struct name_table {
    struct chunked names; /* const char * */
    struct hash_table numbers;
    struct arena text;
};

int name_table_init(struct name_table *table);
void name_table_release(struct name_table *table);

/* 0, -ENOMEM, or -ENOSPC where no more names are kept. */
int name_table_intern(struct name_table *table, const char *name, uint32_t *ret_number);
const char *name_table_get(const struct name_table *table, uint32_t number);
size_t name_table_memory_bytes(const struct name_table *table);
