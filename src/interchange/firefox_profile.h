/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * firefox_profile - the tables of a Firefox Profiler profile, whichever version
 *
 * The format has moved its tables around: what each thread had for itself is
 * shared by all in newer profiles. Here a thread has all of them.
 *
 * Owner:   views borrow the JSON document.
 * Threads: one.
 * Source:  github.com/firefox-devtools/profiler, src/types/profile.ts and
 *          docs-developer/CHANGELOG-formats.md
 * Tests:   import_firefox_test.c, tests/fuzz/fuzz_import_firefox.c
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Columns of tables, by row; NULL: the profile does not have it. */
struct firefox_thread {
    json_t *name, *pid, *tid, *process_name;
    json_t *sample_stack, *sample_time, *sample_deltas, *sample_weight, *sample_cpu;
    const char *weight_type; /* "samples" where it is not told */
    size_t n_samples;
    json_t *stack_frame, *stack_prefix, *stack_category;
    json_t *frame_func, *frame_address, *frame_line, *frame_category;
    json_t *func_name, *func_resource, *func_is_js, *func_file, *func_source;
    json_t *resource_lib;
    json_t *source_file; /* text of each source */
    json_t *strings;
};

struct firefox_profile {
    json_t *document, *threads, *libs, *categories;
    double interval_ms, start_ms; /* of sampling; since 1970 */
    double cpu_unit_ns;           /* of sample_cpu; 0: no time */
    const char *product;
};

/* false: not such a profile. */
bool firefox_profile_of(json_t *document, struct firefox_profile *ret_profile);
/* Are its samples rows of a schema, as Firefox itself writes them? They are not read then. */
bool firefox_profile_is_raw(const struct firefox_profile *profile);
size_t firefox_profile_n_threads(const struct firefox_profile *profile);
void firefox_profile_thread(const struct firefox_profile *profile, size_t index,
                            struct firefox_thread *ret_thread);

/* A cell of a column as a whole number; `fallback` where it is none. */
int64_t firefox_number(const json_t *column, size_t row, int64_t fallback);
double firefox_real(const json_t *column, size_t row, double fallback);
/* A text by its number; NULL: there is none. */
const char *firefox_text(const struct firefox_thread *thread, int64_t number, size_t *ret_n_bytes);
