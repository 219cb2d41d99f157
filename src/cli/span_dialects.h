/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * span_dialects - the libraries that turn other tools' ranges into spans
 *
 * A program with NVTX or ITT loads the library that a variable of its
 * environment names. `stax record --spans` sets these for what it launches.
 *
 * Owner:   the caller's structure.
 * Threads: one; the environment is the process's.
 * Tests:   span_dialects_test.c
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define SPAN_DIALECTS_N 2

struct span_variable {
    const char *dialect, *name, *library;
    char path[PATH_MAX]; /* "": it has a value already, and keeps it */
};

struct span_dialects {
    size_t n_variables;
    struct span_variable variables[SPAN_DIALECTS_N];
};

/* Of "nvtx,itt". 0, or -EINVAL where a name is not known or there is none. */
int span_dialects_parse(const char *list, struct span_dialects *ret_dialects);

/*
 * Looks for the libraries: where this program was built, beside where it is
 * installed, and where it was meant to be installed. A variable that has a
 * value is left alone, which `says_so`. 0 or -ENOENT.
 */
int span_dialects_find(struct span_dialects *dialects, bool says_so, struct error *reterr_error);

/* The same for one library and the path of the program; false: it is nowhere. */
bool span_dialects_search(const char *program, const char *library, char ret_path[static PATH_MAX]);

/* Sets the variables, and the server's socket where it is told: what is launched then has them. */
void span_dialects_set(const struct span_dialects *dialects, const char *socket_path);
