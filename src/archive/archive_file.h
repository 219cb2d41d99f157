/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * archive_file - named members in a directory or in a single .stax file
 *
 * The same members in either container. A single file is an SQLite archive
 * (table sqlar), so that `sqlite3 run.stax -A` lists and extracts it; further
 * tables in it are for people who ask with SQL and are never read by stax.
 *
 * Writing is atomic: everything goes to a temporary neighbour, which is synced
 * and then renamed. A process that is killed, or a disk that is full, leaves
 * what stood there before, or nothing.
 * Reading takes the file for hostile: opened read-only and defensively, sizes
 * checked before anything is allocated, each member's checksum compared.
 *
 * Shape:   manifest.json names all members with their sizes and checksums; it
 *          is the first member. Names are [a-z0-9_./-]+, not absolute, and no
 *          part of them begins with a dot.
 * Owner:   archive_writer_new()/_free(), archive_reader_open()/_free().
 * Threads: one each.
 * Limits:  ARCHIVE_MAX_MEMBERS members of ARCHIVE_MAX_MEMBER_BYTES,
 *          ARCHIVE_MAX_BYTES in all. What is read never takes more memory than
 *          the archive has bytes, 16 times that where others compressed it.
 * Source:  docs/design/0015-archive.md; "SQLite Archive Files" (sqlite.org/sqlar)
 * Tests:   archive_file_test.c, archive_damage_test.c, archive_place_test.c;
 *          tests/fuzz/fuzz_archive.c, tests/e2e/test_archive.py
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define ARCHIVE_MAJOR 2u /* a reader refuses a greater one */
#define ARCHIVE_MINOR 0u
#define ARCHIVE_MAX_MEMBERS 65536u
#define ARCHIVE_MAX_BYTES (UINT64_C(16) << 30)
#define ARCHIVE_MAX_MEMBER_BYTES (UINT64_C(900) << 20) /* SQLite holds up to 10^9 in a blob */
#define ARCHIVE_MAX_MANIFEST_BYTES (16u << 20)
#define ARCHIVE_NAME_BYTES 200u

struct archive_writer;

/*
 * `path` ending in ".stax" becomes one file, anything else a directory. What
 * stands there is replaced at the end: a file by a file; a directory only where
 * it is an archive or empty. Errors (code "archive_write") say what to do: no
 * such directory, read-only, not a directory of ours, no space left.
 */
int archive_writer_new(const char *path, struct archive_writer **ret_writer,
                       struct error *reterr_error);
/* Without archive_writer_finish() nothing is left behind. */
struct archive_writer *archive_writer_free(struct archive_writer *writer);
DEFINE_FREEP(archive_writer);

/* Borrows the bytes only during the call. Each name once. */
int archive_writer_add(struct archive_writer *writer, const char *name, const void *bytes,
                       size_t n_bytes, struct error *reterr_error);

/*
 * One statement for the SQL tables of a single file ("CREATE TABLE …", "INSERT
 * …" with `n_values` parameters, texts or integers); nothing in a directory.
 */
struct archive_value {
    const char *text; /* NULL: the number */
    int64_t number;
};
int archive_writer_sql(struct archive_writer *writer, const char *statement,
                       const struct archive_value *values, size_t n_values,
                       struct error *reterr_error);

/*
 * Writes manifest.json - `manifest` (a JSON object; borrowed) with "format",
 * "crc32", "version", "minor_version" and "members" put in front - and makes the
 * archive appear under its name.
 */
int archive_writer_finish(struct archive_writer *writer, const char *manifest,
                          struct error *reterr_error);

/* Of the archive that archive_writer_finish() made: the file, or all files of the directory. */
uint64_t archive_writer_bytes(const struct archive_writer *writer);

struct archive_reader;

/*
 * 0, or a negative errno with the reason (code "archive_invalid" where it is
 * none of ours, damaged beyond use, or of a newer major version; "archive_read"
 * where the system refused).
 * A damaged archive opens as long as its manifest can be read; which members
 * are damaged is found when they are read. Where the manifest is gone the
 * members are those that are found, unchecked, and archive_reader_manifest() is
 * NULL.
 */
int archive_reader_open(const char *path, struct archive_reader **ret_reader,
                        struct error *reterr_error);
struct archive_reader *archive_reader_free(struct archive_reader *reader);
DEFINE_FREEP(archive_reader);

/* NUL-terminated, borrowed; NULL: it is gone. */
const char *archive_reader_manifest(const struct archive_reader *reader);

/* What is wrong with the archive beyond single members, as a sentence ("cut: 80 of 100 kB are
 * left"); borrowed; NULL: nothing that was noticed when it was opened. */
const char *archive_reader_damage(const struct archive_reader *reader);

struct archive_member {
    const char *name;
    uint64_t n_bytes;
};
size_t archive_reader_count(const struct archive_reader *reader);
struct archive_member archive_reader_member(const struct archive_reader *reader, size_t index);

enum archive_state {
    ARCHIVE_WHOLE,
    ARCHIVE_DAMAGED, /* shorter than it was, or its checksum is another: bytes are what is left */
    ARCHIVE_MISSING,
};

struct archive_bytes {
    void *bytes; /* free(); NULL: none */
    size_t n_bytes;
    enum archive_state state;
    bool is_listed; /* it was there once: where it is missing now, it is lost */
};

/* 0 (whatever the state: what the system refuses to read of one member is damage), or -ENOMEM.
 * `ret_bytes` is set in any case. */
int archive_reader_read(struct archive_reader *reader, const char *name,
                        struct archive_bytes *ret_bytes);
