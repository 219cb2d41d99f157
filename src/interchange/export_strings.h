/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_strings - equal strings of an export, told by one number
 *
 * Shape:   dense numbers in the order in which strings were met; "" is 0.
 * Owner:   strings are borrowed; _release() frees the table.
 * Threads: one.
 * Tests:   export_strings_test.c
 */

#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash_table.h"

struct export_strings {
    const char **strings;
    uint32_t n_strings, n_room;
    struct hash_table numbers;
    bool is_cut; /* memory ran out; numbers of later strings are 0 */
};

void export_strings_init(struct export_strings *strings);
void export_strings_release(struct export_strings *strings);
DEFINE_RELEASEP(export_strings);

/* The string's number. It has to outlive the table; NULL is "". */
uint32_t export_strings_number(struct export_strings *strings, const char *string);
