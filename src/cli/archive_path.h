/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_path - where an archive lies, as the server can find it
 *
 * The server has another working directory than whoever types the path.
 *
 * Owner:   paths lie in the arena.
 * Threads: one.
 * Tests:   archive_path_test.c
 */

#include <stdint.h>

#include "base/arena.h"

/* NULL: no memory, or there is no working directory any more (errno says which). */
char *archive_path_absolute(struct arena *arena, const char *path);

/* What stands for itself in the name of --save: a recording has what the % stand for. */
struct archive_path_facts {
    int64_t pid;              /* %p */
    uint64_t started_unix_ns; /* %t: 2026-11-21T09.30.00, local time */
    const char *command;      /* %n: the name of its program */
};

/* "%p", "%t" and "%n" replaced, "%%" for one %. NULL: no memory, or another letter behind a %. */
char *archive_path_expand(struct arena *arena, const char *pattern,
                          const struct archive_path_facts *facts);
