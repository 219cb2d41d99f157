/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_sqlar - members as rows of an SQLite archive
 *
 * Written so that damage costs little: the manifest's bytes lie at the file's
 * begin, and a large member's row before its content, so that what is left of a
 * file that was cut can be read up to the cut.
 *
 * Read as a file that may be made to harm: immutable (no journal beside it is
 * looked at, nothing is locked), defensively, with limits on sizes and steps; the
 * table must be one that SQLite would make for an archive, not a view, a virtual
 * table or anything that computes. The only other way in is a copy in memory of
 * a file that was cut, whose header SQLite would refuse.
 *
 * Owner:   sqlar_writer_new()/_free(), sqlar_reader_open()/_free().
 * Threads: one each.
 * Source:  "SQLite Archive Files", "Database File Format" (sqlite.org); sections
 *          1.3.7, 1.5 and 1.6 of the latter for what lies where
 * Tests:   archive_sqlar_test.c, archive_damage_test.c, tests/fuzz/fuzz_archive.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/archive_file.h"
#include "archive/archive_manifest.h"
#include "base/cleanup.h"

/* application_id of files that we made: "STAX" */
#define SQLAR_APPLICATION_ID 0x53544158u

/* SQLite takes no longer paths of files, that of a journal beside it included. */
#define SQLAR_PATH_MAX_BYTES 500u

struct sqlar_writer;

/* `path`: an empty file that nobody else knows. 0, or a negative errno; -ENAMETOOLONG past
 * SQLAR_PATH_MAX_BYTES. */
int sqlar_writer_new(const char *path, struct sqlar_writer **ret_writer);
struct sqlar_writer *sqlar_writer_free(struct sqlar_writer *writer);
DEFINE_FREEP(sqlar_writer);

int sqlar_writer_add(struct sqlar_writer *writer, const char *name, const void *bytes,
                     size_t n_bytes);
/* -EINVAL: a statement that SQLite does not take; its words in reterr_error. */
int sqlar_writer_sql(struct sqlar_writer *writer, const char *statement,
                     const struct archive_value *values, size_t n_values,
                     struct error *reterr_error);
/* The last thing to do. Room is made with white space, which `manifest` must bear behind it. */
int sqlar_writer_finish(struct sqlar_writer *writer, const char *manifest, size_t n_bytes);

struct sqlar_reader;

struct sqlar_condition {
    bool is_ours;        /* by its application_id */
    uint32_t version;    /* its user_version */
    bool is_cut;         /* shorter than it says, by pages or by part of one */
    uint64_t file_bytes; /* that are there … */
    uint64_t full_bytes; /* … of so many */
};

/*
 * 0; -EBADMSG (no SQLite file, or damaged where every look at it begins);
 * -ENODATA (an SQLite database without the table); -ENAMETOOLONG past SQLAR_PATH_MAX_BYTES
 * from the root on; -EMFILE and the like where the
 * system refused.
 */
int sqlar_reader_open(const char *path, struct sqlar_reader **ret_reader,
                      struct sqlar_condition *ret_condition);
struct sqlar_reader *sqlar_reader_free(struct sqlar_reader *reader);
DEFINE_FREEP(sqlar_reader);

/*
 * A member's bytes, free() them; NUL behind them. `index`: its place in the
 * manifest, where it is looked for if the index of names is damaged; the manifest
 * itself has SQLAR_MANIFEST_INDEX. 0 and all bytes; 1 and those before the damage; -ENOENT;
 * -EIO where no byte of it can be read; -ENOMEM.
 */
#define SQLAR_MANIFEST_INDEX (-1)
int sqlar_reader_read(struct sqlar_reader *reader, const char *name, int64_t index,
                      void **ret_bytes, size_t *ret_n_bytes);

/* Adds all rows that can be members. */
int sqlar_reader_find(struct sqlar_reader *reader, struct archive_members *members);
