/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * function_table - the functions of one image, by address
 *
 * Filled once by whoever understands the source (elf_symbols, kallsyms), then
 * sorted: one name is kept per address, functions of unknown size reach to
 * what follows them, and a table lookup is a binary search. What a person sees
 * of a function - its demangled name - is made when it is first found.
 *
 * Shape:   names are offsets into blocks of text that the table keeps, so that
 *          loading copies no single name.
 * Owner:   function_table_new()/_free(). Symbols stay until then.
 * Threads: one fills and sorts; after function_table_sort() any number may
 *          call function_table_find().
 * Limits:  FUNCTION_TABLE_MAX functions, FUNCTION_TABLE_MAX_NAME_BYTES of a
 *          name, 4 GiB of names; 64 nested functions at one address.
 * Tests:   function_table_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "symbols/symbolizer.h"
#include "unwind/cfi_extents.h"

#define FUNCTION_TABLE_MAX (1u << 23)
#define FUNCTION_TABLE_MAX_NAME_BYTES (64u * 1024)

/* How much a name is trusted where several stand at one address; more is better. */
enum function_rank {
    FUNCTION_RANK_BOUNDARY, /* no function: only ends the one before it */
    FUNCTION_RANK_NAMELESS, /* "image+0xstart": only its bounds are known */
    FUNCTION_RANK_PLT,      /* a stub; its name gets "@plt" */
    FUNCTION_RANK_LABEL,    /* a place in code that nobody called a function */
    FUNCTION_RANK_LOCAL,
    FUNCTION_RANK_WEAK,
    FUNCTION_RANK_GLOBAL,
};

struct function_entry {
    uint64_t start_address;
    uint64_t n_bytes;   /* 0: unknown */
    uint64_t end_limit; /* the end of its section, however large it claims to be */
    uint32_t name;      /* offset of its NUL-terminated name */
    uint32_t module;    /* offset of the name of its module; 0: the table's image */
    enum function_rank rank;
};

struct function_table;

/* Takes nothing: `image_name` (as symbol.image) is copied. */
int function_table_new(const char *image_name, enum frame_kind kind,
                       struct function_table **ret_table);
struct function_table *function_table_free(struct function_table *table);
DEFINE_FREEP(function_table);

/*
 * Appends a block of text; a NUL is added. *ret_base is the offset of its
 * first byte, for function_entry.name. 0, -ENOMEM, or -EFBIG past 4 GiB.
 */
int function_table_add_names(struct function_table *table, const void *text, size_t n_bytes,
                             uint32_t *ret_base);

/* 0, -ENOMEM or -ENOSPC. Entries that cannot hold an address are dropped. */
int function_table_add(struct function_table *table, const struct function_entry *entry);

/* After the last add and before the first find. */
int function_table_sort(struct function_table *table);

/*
 * The same, where it is known how far functions reach that may have no name:
 * the code that names leave is filled with nameless ones, and no function of
 * unknown size reaches into what is known to be another. `extents` are sorted.
 */
int function_table_sort_within(struct function_table *table, const struct cfi_extent *extents,
                               size_t n_extents);

/*
 * Puts a sorted table behind this one, before it is sorted: where both have a
 * function at an address, its symbol is the older one's pointer, and where this
 * one has none the older one's functions of known size are found, nameless ones last.
 */
void function_table_put_behind(struct function_table *table, struct function_table *takes_older);

/* Of those that have a name. */
size_t function_table_count(const struct function_table *table);

/* The innermost function that holds `address`, or NULL (also when memory ran out). */
const struct symbol *function_table_find(struct function_table *table, uint64_t address);

/* Only a named function that says itself how far it reaches: for tables known to have gaps. */
const struct symbol *function_table_find_sized(struct function_table *table, uint64_t address);
