/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * json_scan - walks JSON text value by value, without a tree
 *
 * The asking side decodes answers of megabytes, nested as deep as the deepest
 * stack, straight into structs. A cursor moves over the text; every call
 * either consumes what its name says or sets a sticky failure, after which all
 * calls do nothing.
 *
 * Shape:   as strict as json_read, except that duplicate members are not
 *          noticed: the later one wins.
 * Owner:   borrows the text; strings are copied into the arena given.
 * Threads: one per cursor.
 * Tests:   json_scan_test.c; tests/fuzz/fuzz_jsonrpc.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum json_kind {
    JSON_KIND_NOTHING, /* the text ends, or is broken */
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_BOOL,
    JSON_KIND_NULL,
};

/* Two for every frame of the deepest stack (LIMIT_STACK_IPS), and as many for inlined ones. */
#define JSON_SCAN_MAX_NESTING 32768u

struct json_scan {
    const char *start;
    const char *at;
    const char *end;
    const char *failure; /* NULL, or what is wrong at `at`; sticky */
    unsigned nesting;
    bool is_first; /* no comma is due in the object or array just entered */
};

struct json_number {
    bool is_integer; /* neither fraction nor exponent, and its magnitude fits 64 bits */
    bool is_negative;
    uint64_t magnitude; /* of an integer */
    double real;        /* always set; finite */
};

struct json_scan json_scan_of(const char *bytes, size_t n_bytes);

/* Of the value that comes next; consumes nothing but white space. */
enum json_kind json_scan_kind(struct json_scan *scan);

/*
 * Objects:   json_scan_enter(scan, '{');
 *            while (json_scan_next_member(scan, key, sizeof(key))) { …one value… }
 * Arrays:    json_scan_enter(scan, '['); while (json_scan_next_element(scan)) { …one value… }
 * The call that returns false has consumed the closing bracket, or failed.
 */
bool json_scan_enter(struct json_scan *scan, char bracket);
bool json_scan_next_element(struct json_scan *scan);

/* The member's name, NUL-terminated; longer ones are cut at size, so they match nothing known. */
bool json_scan_next_member(struct json_scan *scan, char *ret_key, size_t size);

bool json_scan_string(struct json_scan *scan, struct arena *arena, char **ret_string);
bool json_scan_number(struct json_scan *scan, struct json_number *ret_number);
bool json_scan_bool(struct json_scan *scan, bool *ret_value);
bool json_scan_null(struct json_scan *scan);

/* Checks and passes over one value; its text, borrowed. */
bool json_scan_skip(struct json_scan *scan, const char **ret_text, size_t *ret_n_bytes);

/* True when nothing but white space is left and nothing failed. */
bool json_scan_end(struct json_scan *scan);
