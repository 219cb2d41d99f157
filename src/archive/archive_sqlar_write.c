/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes go. SQLite gives out pages in the order in which they are
 * wanted, and keeps the first part of a long row (up to a page) in the table's
 * tree and the rest in a chain of pages, which it asks for first. So a row that
 * was put in at once stands behind its own content, where a cut file ends. Here
 * a large member's row is put in with a page full of zeros, and then gets its
 * content: the row has its place in the tree already. The manifest's row is the
 * first, has room for MANIFEST_ROOM_BYTES, and is written over in place.
 */
#include "archive/archive_sqlar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "archive/archive_name.h"

#define PAGE_BYTES 4096
#define MANIFEST_ROOM_BYTES (16u << 10)
/* With a name and the rest of a row it fills a page of its own, whatever part of the content
 * SQLite keeps there in the end. */
#define ROW_ROOM_BYTES 3900
#define LARGE_BYTES ((size_t)64 << 10)
#define REGULAR_FILE_MODE 0100644

struct sqlar_writer {
    sqlite3 *db;
    sqlite3_stmt *insert, *replace;
    sqlite3_stmt *last; /* of sqlar_writer_sql(): usually the next is the same */
    uint64_t saved_at_s;
};

struct sqlar_writer *sqlar_writer_free(struct sqlar_writer *writer)
{
    if (!writer) {
        return NULL;
    }
    sqlite3_finalize(writer->insert);
    sqlite3_finalize(writer->replace);
    sqlite3_finalize(writer->last);
    sqlite3_close(writer->db);
    free(writer);
    return NULL;
}

static int errno_of(sqlite3 *db, int code)
{
    int file_errno = 0;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_TOOBIG:
        return -EFBIG;
    case SQLITE_IOERR:
        (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &file_errno);
        return file_errno > 0 ? -file_errno : -EIO;
    case SQLITE_CANTOPEN:
        return -EIO;
    default:
        return -EINVAL;
    }
}

static int run_statement(sqlite3 *db, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    int r = errno_of(db, code);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return r;
}

static int prepare(const struct sqlar_writer *writer, const char *text,
                   sqlite3_stmt **ret_statement)
{
    return errno_of(writer->db, sqlite3_prepare_v2(writer->db, text, -1, ret_statement, NULL));
}

/* Nobody knows the file yet: neither journal nor locks are needed, and it is synced as a whole. */
static int set_up(struct sqlar_writer *writer, const char *path)
{
    int code = sqlite3_open_v2(path, &writer->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                               "unix-none");
    char pragmas[400];
    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA page_size = %d; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
                   "PRAGMA locking_mode = EXCLUSIVE; PRAGMA application_id = %d; "
                   "PRAGMA user_version = %u; BEGIN; "
                   "CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data "
                   "BLOB);",
                   PAGE_BYTES, (int)SQLAR_APPLICATION_ID, ARCHIVE_MAJOR);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(writer->db, pragmas, NULL, NULL, NULL);
    }
    int r = errno_of(writer->db, code);
    r = r ? r : prepare(writer, "INSERT INTO sqlar VALUES(?1, ?2, ?3, ?4, ?5)", &writer->insert);
    return r ? r
             : prepare(writer, "UPDATE sqlar SET sz = ?2, data = ?3 WHERE rowid = ?1",
                       &writer->replace);
}

/* A row of `n_bytes`: those given, or zeros. */
static int insert(const struct sqlar_writer *writer, const char *name, const void *bytes,
                  size_t n_bytes)
{
    sqlite3_stmt *row = writer->insert;
    (void)sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(row, 2, REGULAR_FILE_MODE);
    (void)sqlite3_bind_int64(row, 3, (sqlite3_int64)writer->saved_at_s);
    (void)sqlite3_bind_int64(row, 4, (sqlite3_int64)n_bytes);
    /* No bytes at NULL would be NULL, and not an empty member. */
    int code = bytes && n_bytes > 0 ? sqlite3_bind_blob64(row, 5, bytes, n_bytes, SQLITE_STATIC)
                                    : sqlite3_bind_zeroblob64(row, 5, n_bytes);
    int r = errno_of(writer->db, code);
    return r ? r : run_statement(writer->db, row);
}

static int replace(const struct sqlar_writer *writer, sqlite3_int64 rowid, const void *bytes,
                   size_t n_bytes)
{
    sqlite3_stmt *row = writer->replace;
    (void)sqlite3_bind_int64(row, 1, rowid);
    (void)sqlite3_bind_int64(row, 2, (sqlite3_int64)n_bytes);
    int r = errno_of(writer->db, sqlite3_bind_blob64(row, 3, bytes, n_bytes, SQLITE_STATIC));
    return r ? r : run_statement(writer->db, row);
}

int sqlar_writer_new(const char *path, struct sqlar_writer **ret_writer)
{
    _cleanup_(sqlar_writer_freep) struct sqlar_writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        return -ENOMEM;
    }
    writer->saved_at_s = (uint64_t)time(NULL);
    int r = strlen(path) > SQLAR_PATH_MAX_BYTES ? -ENAMETOOLONG : set_up(writer, path);
    r = r ? r : insert(writer, ARCHIVE_MANIFEST_NAME, NULL, MANIFEST_ROOM_BYTES);
    if (r < 0) {
        return r;
    }
    *ret_writer = TAKE_PTR(writer);
    return 0;
}

int sqlar_writer_add(struct sqlar_writer *writer, const char *name, const void *bytes,
                     size_t n_bytes)
{
    if (n_bytes < LARGE_BYTES) {
        return insert(writer, name, bytes, n_bytes);
    }
    int r = insert(writer, name, NULL, ROW_ROOM_BYTES);
    return r ? r : replace(writer, sqlite3_last_insert_rowid(writer->db), bytes, n_bytes);
}

int sqlar_writer_sql(struct sqlar_writer *writer, const char *statement,
                     const struct archive_value *values, size_t n_values,
                     struct error *reterr_error)
{
    if (!writer->last || strcmp(sqlite3_sql(writer->last), statement) != 0) {
        sqlite3_finalize(writer->last);
        writer->last = NULL;
        int r = prepare(writer, statement, &writer->last);
        if (r < 0) {
            error_set(reterr_error, "internal", "SQLite does not take %s: %s", statement,
                      sqlite3_errmsg(writer->db));
            return r;
        }
    }
    for (size_t i = 0; i < n_values; i++) {
        const struct archive_value *value = &values[i];
        int code = value->text
                       ? sqlite3_bind_text(writer->last, (int)i + 1, value->text, -1, SQLITE_STATIC)
                       : sqlite3_bind_int64(writer->last, (int)i + 1, value->number);
        if (code != SQLITE_OK) {
            error_set(reterr_error, "internal", "parameter %zu of %s: %s", i + 1, statement,
                      sqlite3_errmsg(writer->db));
            return errno_of(writer->db, code);
        }
    }
    int r = run_statement(writer->db, writer->last);
    if (r == -EINVAL) {
        error_set(reterr_error, "internal", "SQLite cannot do %s: %s", statement,
                  sqlite3_errmsg(writer->db));
    }
    return r;
}

/* Fills the room to its end, so that the row stays as it is. */
static int write_manifest(const struct sqlar_writer *writer, const char *manifest, size_t n_bytes)
{
    if (n_bytes > MANIFEST_ROOM_BYTES) {
        return replace(writer, 1, manifest, n_bytes);
    }
    _cleanup_(freep) char *padded = malloc(MANIFEST_ROOM_BYTES);
    if (!padded) {
        return -ENOMEM;
    }
    memset(padded, ' ', MANIFEST_ROOM_BYTES);
    padded[MANIFEST_ROOM_BYTES - 1] = '\n';
    memcpy(padded, manifest, n_bytes);
    sqlite3_blob *blob = NULL;
    int code = sqlite3_blob_open(writer->db, "main", "sqlar", "data", 1, 1, &blob);
    if (code == SQLITE_OK) {
        code = sqlite3_blob_write(blob, padded, MANIFEST_ROOM_BYTES, 0);
    }
    int r = errno_of(writer->db, code);
    (void)sqlite3_blob_close(blob);
    return r;
}

int sqlar_writer_finish(struct sqlar_writer *writer, const char *manifest, size_t n_bytes)
{
    int r = write_manifest(writer, manifest, n_bytes);
    sqlite3_finalize(TAKE_PTR(writer->insert));
    sqlite3_finalize(TAKE_PTR(writer->replace));
    sqlite3_finalize(TAKE_PTR(writer->last));
    r = r ? r : errno_of(writer->db, sqlite3_exec(writer->db, "COMMIT", NULL, NULL, NULL));
    if (r == 0) {
        r = errno_of(writer->db, sqlite3_close(writer->db));
        writer->db = r == 0 ? NULL : writer->db;
    }
    return r;
}
