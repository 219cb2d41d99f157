/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_place - a file or directory that appears under its name when it is done
 *
 * It is made as a hidden neighbour of the target, ".NAME.<16 digits>.stax-part",
 * and renamed at the end: what stood there before stays until then, and nothing
 * is ever half there. The neighbour is locked (flock) while its writer lives, so
 * what a killed one left behind is known, and removed by the next for that name.
 *
 * A directory is exchanged for the one that it replaces, where the file system
 * can; else that one is first moved aside, and a kill right then leaves none.
 *
 * Owner:   archive_place_new()/_free().
 * Threads: one.
 * Limits:  a target that is a symbolic link, or a directory with anything in it
 *          but an archive, is refused.
 * Tests:   archive_place_test.c
 */

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct archive_place;

int archive_place_new(const char *path, bool is_directory, struct archive_place **ret_place,
                      struct error *reterr_error);
/* Removes what was not published. */
struct archive_place *archive_place_free(struct archive_place *place);
DEFINE_FREEP(archive_place);

/* The hidden neighbour: open for writing, and its path. */
int archive_place_get_fd(const struct archive_place *place);
const char *archive_place_get_path(const struct archive_place *place);

/* Syncs the file or directory itself - what is inside a directory is the caller's - and renames. */
int archive_place_publish(struct archive_place *place, struct error *reterr_error);

/* Says why writing failed; the code is "archive_write". Returns `r`. */
int archive_place_explain(const struct archive_place *place, int r, struct error *reterr_error);
