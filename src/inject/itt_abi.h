/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * itt_abi - what a program with ITT and a collector agree on
 *
 * The program's part of ITT loads the library that INTEL_LIBITTNOTIFY64 names
 * and calls its __itt_api_init() with a list of the functions it knows by name
 * and of the places where it looks for them.
 *
 * Owner:   what the program made is the program's.
 * Threads: does not apply.
 * Source:  the public headers of ITT API 3, ittnotify.h and ittnotify_config.h,
 *          as they are since the build of 2011-11-11.
 * Tests:   itt_test.c, with a program's side of its own; tests/e2e/test_dialects.py.
 */

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define ITT_MAGIC                                                                                  \
    {                                                                                              \
        0xed, 0xab, 0xab, 0xec, 0x0d, 0xee, 0xda, 0x30                                             \
    }
#define ITT_VERSION_MAJOR 3ul
#define ITT_BUILD_MIN 20111111ul /* before it a function had no third pointer */

struct itt_domain {
    volatile int flags; /* not 0: switched on */
    const char *name;
    void *wide_name;
    int reserved;
    void *tool; /* the collector's to use; NULL at first */
    struct itt_domain *next;
};

struct itt_string {
    const char *text;
    void *wide_text;
    int reserved;
    void *tool;
    struct itt_string *next;
};

struct itt_id {
    unsigned long long words[3];
};

struct itt_function {
    const char *name; /* NULL: the end of the list */
    void **place;
    void *first; /* looks for a collector */
    void *none;  /* without a collector; NULL: it is not called then */
    int group;
};

struct itt_global {
    unsigned char magic[8];
    unsigned long version_major, version_minor, version_build;
    volatile long is_initialized, is_mutex_initialized, counter;
    pthread_mutex_t mutex;
    void *library;
    void *error_handler;
    const char **path;
    struct itt_function *functions;
    /* What follows is of no interest here. */
};

enum itt_number_kind {
    ITT_NUMBER_NONE,
    ITT_NUMBER_U64,
    ITT_NUMBER_S64,
    ITT_NUMBER_U32,
    ITT_NUMBER_S32,
    ITT_NUMBER_U16,
    ITT_NUMBER_S16,
    ITT_NUMBER_FLOAT,
    ITT_NUMBER_DOUBLE
};

#define ITT_TIMESTAMP_NONE UINT64_MAX
