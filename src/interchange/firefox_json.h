/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * firefox_json - the JSON of a profile without the parts that nobody reads
 *
 * Markers and what else a browser records beside samples are most of many
 * profiles, and cost much more as JSON in memory than as text. They are taken
 * out of the text.
 *
 * Owner:   the document is the caller's. Threads: one.
 * Limits:  IMPORT_MAX_BYTES of text, of which FIREFOX_JSON_MAX_BYTES with
 *          FIREFOX_JSON_MAX_NESTS arrays and objects are read.
 * Source:  github.com/firefox-devtools/profiler, src/types/profile.ts
 * Tests:   import_firefox_test.c, tests/fuzz/fuzz_import_firefox.c
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* JSON takes much more memory than bytes: a number some ten times as much, what is nested forty
 * times. A profile has few arrays, and long ones. */
#define FIREFOX_JSON_MAX_BYTES (64u << 20)
#define FIREFOX_JSON_MAX_NESTS (1u << 20)

/* What is left of a text that is read. */
struct firefox_json_size {
    size_t n_bytes, n_nests;
};

/* Writes null and spaces over the values that are not read. */
struct firefox_json_size firefox_json_cut(char *text, size_t n_bytes);

/* 0, or a negative errno with the reason. */
int firefox_json_load(const char *path, json_t **ret_document, struct error *reterr_error);
