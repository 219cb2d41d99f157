/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_names - the texts of an archive's records, which tell them by number
 *
 * Shape:   numbers in the order in which names came; 0 is the empty one. The
 *          bytes are all names, each with its NUL.
 * Owner:   the caller's memory; history_names_release() frees the bytes.
 * Threads: one.
 * Limits:  HISTORY_NAMES_MAX_BYTES in all; what finds no room is number 0.
 * Tests:   history_names_test.c
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"

#define HISTORY_NAMES_MAX_BYTES (64u << 20)

struct history_names {
    char *bytes;
    size_t n_bytes, bytes_capacity;
    uint32_t *starts; /* in bytes, by number */
    size_t n_names, names_capacity;
    uint64_t n_left_out; /* found no room */
    struct hash_table numbers;
};

/* 0 or -ENOMEM; the empty name is there. */
int history_names_init(struct history_names *names);
void history_names_release(struct history_names *names);
DEFINE_RELEASEP(history_names);

/* Finds or adds a name. 0 or -ENOMEM. */
int history_names_put(struct history_names *names, const char *name, uint32_t *ret_number);

/* Adds bytes that were kept; a last name without its NUL stays open until more come. 0, -ENOMEM,
 * or -ENOSPC. For names that nothing is put into. */
int history_names_append(struct history_names *names, const char *bytes, size_t n_bytes);

/* NULL where there is none of that number, or its end was lost; without its NUL it has n_bytes. */
const char *history_names_find(const struct history_names *names, uint32_t number,
                               size_t *ret_n_bytes);
/* The same, but "" where there is none of that number, or its end was lost. */
const char *history_names_get(const struct history_names *names, uint32_t number);
