/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_name - which names a member may have
 *
 * A name becomes a path below the directory that an archive is, or that it is
 * extracted into, by us or by others: nothing leads out of it, and nothing in it
 * is hidden.
 *
 * Owner:   none.
 * Threads: any.
 * Tests:   archive_name_test.c
 */

#include <stdbool.h>

#define ARCHIVE_MANIFEST_NAME "manifest.json"
#define ARCHIVE_NAME_PARTS 8u /* "a/b" has two */

/* [a-z0-9_./-]+ of up to ARCHIVE_NAME_BYTES; no part is empty or begins with a dot. */
bool archive_name_is_valid(const char *name);
