/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * utf8 - is this a character?
 *
 * Owner:   values.
 * Threads: any.
 * Source:  table 3-7 of the Unicode standard: no overlong forms, no surrogates,
 *          nothing past U+10FFFF.
 * Tests:   json_write_test.c, json_scan_test.c
 */

#include <stddef.h>

/* How many bytes at `at` make up one well-formed character, 2 to 4; 0 where they do not or are
 * ASCII. */
static inline size_t utf8_length(const unsigned char *at, size_t n_left)
{
    unsigned char lead = at[0];
    size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || length > n_left) {
        return 0;
    }
    unsigned char lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < lowest || at[1] > highest) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}
