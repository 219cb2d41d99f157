/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * quantity - durations, sizes and numbers as people type and read them
 *
 * Exact: "0.1" is 100 000 000 ns, not what a double makes of it. Nothing here
 * depends on the locale.
 *
 * Owner:   none.
 * Threads: any.
 * Tests:   quantity_test.c
 */

#include <stddef.h>
#include <stdint.h>

#define QUANTITY_TEXT_BYTES 32

/*
 * "2.5" (seconds), "1500ms", "2m", "1h", "10us", "7ns"; a leading '-' makes it
 * negative. 0, -EINVAL, or -ERANGE when it does not fit.
 */
int quantity_parse_duration(const char *text, int64_t *ret_ns);

/* "4096", "64K", "1.5G", "2GiB"; powers of 1024. 0, -EINVAL, -ERANGE. */
int quantity_parse_bytes(const char *text, int64_t *ret_bytes);

/* Decimal digits with an optional '-'. 0, -EINVAL, -ERANGE. */
int quantity_parse_integer(const char *text, int64_t *ret_value);

/* Digits with an optional fraction, >= 0. 0, -EINVAL, -ERANGE. */
int quantity_parse_decimal(const char *text, double *ret_value);

/* "950 ns", "12.3 ms", "4.99 s", "2m 05s": three significant digits, one unit that fits. */
void quantity_format_duration(uint64_t duration_ns, char ret_text[static QUANTITY_TEXT_BYTES]);

/* "512 B", "1.5 GiB". */
void quantity_format_bytes(uint64_t n_bytes, char ret_text[static QUANTITY_TEXT_BYTES]);

/* What a noun ends in after this number: "" or "s". */
const char *quantity_plural(uint64_t count);
