/* SPDX-License-Identifier: MIT */
#include "archive/archive_sqlar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <sqlite3.h>

#include "archive/archive_name.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

#define HEADER_BYTES 100u
#define URI_MAX_BYTES ((size_t)64 << 10)

/* A copy of a file that was cut is made up to here. */
#define MAX_COPY_BYTES (UINT64_C(1) << 30)

/* What is read at a time, and again in ever smaller steps up to where the damage is. */
#define STEP_BYTES ((size_t)64 << 10)
#define LAST_STEP_BYTES 64u

/* Finding a row takes microseconds. Trees that lead in circles take for ever. What searches take
 * beyond the usual, all of them together, is bounded. */
#define STEPS_BETWEEN_LOOKS 4096
#define USUAL_SEARCH_NS (50 * NS_PER_US)
#define MAX_SEARCH_NS (600 * NS_PER_MS)

/* What others compressed may become this much larger. */
#define MAX_INFLATION 16u

struct sqlar_reader {
    sqlite3 *db;
    sqlite3_stmt *by_name, *by_rowid;
    uint64_t file_bytes, most_bytes; /* that are there; that it once had, or claims */
    uint64_t search_began_ns;        /* of this thread's CPU time */
    uint64_t searched_ns;            /* before that, beyond the usual */
};

struct sqlar_reader *sqlar_reader_free(struct sqlar_reader *reader)
{
    if (!reader) {
        return NULL;
    }
    sqlite3_finalize(reader->by_name);
    sqlite3_finalize(reader->by_rowid);
    sqlite3_close(reader->db);
    free(reader);
    return NULL;
}

static uint64_t thread_cpu_ns(void)
{
    return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int look_at_time(void *userdata)
{
    const struct sqlar_reader *reader = userdata;
    return reader->searched_ns + thread_cpu_ns() - reader->search_began_ns > MAX_SEARCH_NS;
}

static void begin_search(struct sqlar_reader *reader)
{
    reader->search_began_ns = thread_cpu_ns();
}

static void end_search(struct sqlar_reader *reader)
{
    uint64_t took_ns = thread_cpu_ns() - reader->search_began_ns;
    reader->searched_ns += took_ns > USUAL_SEARCH_NS ? took_ns - USUAL_SEARCH_NS : 0;
}

/* The file's header ------------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *at, size_t n_bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

struct file_header {
    uint8_t bytes[HEADER_BYTES];
    uint32_t page_bytes, n_pages;
};

static int read_header(int fd, struct file_header *ret_header, struct sqlar_condition *condition)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    condition->file_bytes = (uint64_t)status.st_size;
    ssize_t n_read = pread(fd, ret_header->bytes, HEADER_BYTES, 0);
    if (n_read < 0) {
        return -errno;
    }
    if (n_read < (ssize_t)HEADER_BYTES || memcmp(ret_header->bytes, "SQLite format 3", 16) != 0) {
        return -EBADMSG;
    }
    uint32_t page_bytes = big_endian(ret_header->bytes + 16, 2);
    ret_header->page_bytes = page_bytes == 1 ? 65536 : page_bytes;
    ret_header->n_pages = big_endian(ret_header->bytes + 28, 4);
    condition->version = big_endian(ret_header->bytes + 60, 4);
    condition->is_ours = big_endian(ret_header->bytes + 68, 4) == SQLAR_APPLICATION_ID;
    condition->full_bytes = (uint64_t)ret_header->page_bytes * ret_header->n_pages;
    /* As SQLite has it: the count of pages is only then to be trusted. */
    bool is_counted = memcmp(ret_header->bytes + 24, ret_header->bytes + 92, 4) == 0;
    condition->is_cut = is_counted && condition->full_bytes > condition->file_bytes;
    return 0;
}

/* Opening ----------------------------------------------------------------------- */

static int errno_of_reading(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_IOERR:
        return -EIO;
    default:
        return -EBADMSG;
    }
}

/* Of no value, the content of a member that was cut included. */
static void limit_lengths(sqlite3 *db, uint64_t most_bytes)
{
    const uint64_t least_bytes = 100000;
    most_bytes = most_bytes < least_bytes ? least_bytes : most_bytes;
    most_bytes = most_bytes > ARCHIVE_MAX_MEMBER_BYTES ? ARCHIVE_MAX_MEMBER_BYTES : most_bytes;
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, (int)most_bytes);
}

static void set_limits(sqlite3 *db)
{
    static const struct {
        int limit, value;
    } limits[] = {
        {SQLITE_LIMIT_SQL_LENGTH, 16384},  {SQLITE_LIMIT_COLUMN, 64},
        {SQLITE_LIMIT_EXPR_DEPTH, 16},     {SQLITE_LIMIT_COMPOUND_SELECT, 2},
        {SQLITE_LIMIT_VDBE_OP, 4096},      {SQLITE_LIMIT_FUNCTION_ARG, 8},
        {SQLITE_LIMIT_ATTACHED, 0},        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 64},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 8}, {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        (void)sqlite3_limit(db, limits[i].limit, limits[i].value);
    }
}

/*
 * Before anything of the file has been looked at. A "writable schema" writes
 * nothing, as it is read-only and defensive; with it SQLite bears tables beside
 * ours whose pages were cut off.
 */
static int harden(struct sqlar_reader *reader)
{
    sqlite3 *db = reader->db;
    static const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1},
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (sqlite3_db_config(db, options[i].option, options[i].value, (int *)NULL) != SQLITE_OK) {
            return -ENOTSUP;
        }
    }
    set_limits(db);
    limit_lengths(db, reader->most_bytes);
    sqlite3_progress_handler(db, STEPS_BETWEEN_LOOKS, look_at_time, reader);
    return errno_of_reading(
        sqlite3_exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", NULL, NULL, NULL));
}

/* "file:///tmp/a%20b?immutable=1": a name that begins with "file:" or has a question mark is one
 * like any other. */
static int write_uri(const char *path, struct text *ret_uri)
{
    _cleanup_(freep) char *absolute = realpath(path, NULL);
    if (!absolute) {
        return -errno;
    }
    if (strlen(absolute) > SQLAR_PATH_MAX_BYTES) {
        return -ENAMETOOLONG;
    }
    text_append(ret_uri, "file://");
    for (const char *at = absolute; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9') || strchr("/._-", byte);
        if (is_plain) {
            text_append_char(ret_uri, *at);
        } else {
            text_printf(ret_uri, "%%%02x", byte);
        }
    }
    text_append(ret_uri, "?immutable=1&mode=ro");
    return ret_uri->is_cut ? -ENOMEM : 0;
}

static int open_file(struct sqlar_reader *reader, const char *path)
{
    _cleanup_(text_releasep) struct text uri;
    text_init(&uri, URI_MAX_BYTES);
    int r = write_uri(path, &uri);
    if (r < 0) {
        return r;
    }
    int code = sqlite3_open_v2(uri.data, &reader->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    if ((code & 0xff) == SQLITE_CANTOPEN) {
        int system_errno = reader->db ? sqlite3_system_errno(reader->db) : 0;
        return system_errno > 0 ? -system_errno : -EIO;
    }
    r = errno_of_reading(code);
    return r ? r : harden(reader);
}

static int read_whole(int fd, uint8_t *bytes, size_t n_bytes)
{
    size_t at = 0;
    while (at < n_bytes) {
        ssize_t n_read = pread(fd, bytes + at, n_bytes - at, (off_t)at);
        if (n_read < 0 && errno == EINTR) {
            continue;
        }
        if (n_read <= 0) {
            return n_read < 0 ? -errno : -EIO;
        }
        at += (size_t)n_read;
    }
    return 0;
}

/*
 * The file in memory, with the count of pages that are there, the last one filled
 * up with zeros: SQLite reads it as long as nothing leads behind its end.
 */
static int open_copy(struct sqlar_reader *reader, int fd, const struct file_header *header)
{
    uint32_t page_bytes = header->page_bytes;
    if (reader->file_bytes > MAX_COPY_BYTES || page_bytes < 512 ||
        (page_bytes & (page_bytes - 1)) != 0) {
        return -EBADMSG;
    }
    uint32_t n_pages = (uint32_t)((reader->file_bytes + page_bytes - 1) / page_bytes);
    size_t n_bytes = (size_t)n_pages * page_bytes;
    uint8_t *copy = sqlite3_malloc64(n_bytes);
    if (!copy) {
        return -ENOMEM;
    }
    memset(copy + reader->file_bytes, 0, n_bytes - reader->file_bytes);
    int r = read_whole(fd, copy, reader->file_bytes);
    if (r < 0) {
        sqlite3_free(copy);
        return r;
    }
    for (unsigned int i = 0; i < 4; i++) {
        copy[28 + i] = (uint8_t)(n_pages >> (24 - 8 * i));
    }
    int code =
        sqlite3_open_v2(":memory:", &reader->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
    r = errno_of_reading(code);
    r = r ? r : harden(reader);
    if (r < 0) {
        sqlite3_free(copy);
        return r;
    }
    /* Frees the copy, also where it fails. */
    code = sqlite3_deserialize(reader->db, "main", copy, (sqlite3_int64)n_bytes,
                               (sqlite3_int64)n_bytes,
                               SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
    return errno_of_reading(code);
}

/* 1 where the first row's first column is `wanted`, 0 where it is not. */
static int is_number(sqlite3 *db, const char *query, sqlite3_int64 wanted)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, query, -1, &statement, NULL);
    int r = errno_of_reading(code);
    if (r == 0) {
        code = sqlite3_step(statement);
        r = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) == wanted
                               : errno_of_reading(code);
    }
    sqlite3_finalize(statement);
    return r;
}

/* A table like any, whose columns are stored and not computed. */
static int check_table(struct sqlar_reader *reader)
{
    int r = is_number(reader->db,
                      "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlar' AND "
                      "type = 'table' AND typeof(rootpage) = 'integer' AND rootpage > 1",
                      1);
    if (r <= 0) {
        return r < 0 ? r : -ENODATA;
    }
    r = is_number(reader->db,
                  "SELECT count(*) FROM pragma_table_xinfo('sqlar') WHERE hidden = 0 AND "
                  "name IN ('name', 'mode', 'mtime', 'sz', 'data')",
                  5);
    if (r <= 0) {
        return r < 0 ? r : -ENODATA;
    }
    r = is_number(reader->db, "SELECT count(*) FROM pragma_table_xinfo('sqlar') WHERE hidden <> 0",
                  0);
    if (r <= 0) {
        return r < 0 ? r : -ENODATA;
    }
    int code = sqlite3_prepare_v2(reader->db,
                                  "SELECT rowid, sz, typeof(data), length(data) FROM sqlar "
                                  "WHERE name = ?1",
                                  -1, &reader->by_name, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(reader->db,
                                  "SELECT rowid, sz, typeof(data), length(data) FROM sqlar "
                                  "WHERE rowid = ?2 AND name = ?1",
                                  -1, &reader->by_rowid, NULL);
    }
    return errno_of_reading(code);
}

int sqlar_reader_open(const char *path, struct sqlar_reader **ret_reader,
                      struct sqlar_condition *ret_condition)
{
    struct file_header header = {.n_pages = 0};
    *ret_condition = (struct sqlar_condition){.is_cut = false};
    _cleanup_(sqlar_reader_freep) struct sqlar_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        return -ENOMEM;
    }
    _cleanup_(fd_closep) int fd = fd_open_regular(path);
    if (fd < 0) {
        return fd;
    }
    int r = read_header(fd, &header, ret_condition);
    if (r < 0) {
        return r;
    }
    reader->file_bytes = ret_condition->file_bytes;
    reader->most_bytes = ret_condition->is_cut ? ret_condition->full_bytes : reader->file_bytes;
    begin_search(reader);
    r = ret_condition->is_cut ? open_copy(reader, fd, &header) : open_file(reader, path);
    begin_search(reader); /* reading the file was none */
    r = r ? r : check_table(reader);
    end_search(reader);
    if (r < 0) {
        return r;
    }
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

/* Members ----------------------------------------------------------------------- */

struct row {
    sqlite3_int64 rowid;
    int64_t full_bytes; /* as extracted */
    uint64_t n_bytes;   /* as stored */
};

/* 0; -ENOENT; or -EIO where the way to it is damaged. */
static int find_row(struct sqlar_reader *reader, sqlite3_stmt *statement, const char *name,
                    int64_t rowid, struct row *ret_row)
{
    int r = -EIO;
    begin_search(reader);
    (void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (statement == reader->by_rowid) {
        (void)sqlite3_bind_int64(statement, 2, rowid);
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) {
        r = -ENOENT;
    } else if (code == SQLITE_NOMEM) {
        r = -ENOMEM;
    } else if (code == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(statement, 2);
        ret_row->rowid = sqlite3_column_int64(statement, 0);
        ret_row->full_bytes = sqlite3_column_int64(statement, 1);
        ret_row->n_bytes = (uint64_t)sqlite3_column_int64(statement, 3);
        bool has_bytes = type && (strcmp(type, "blob") == 0 || strcmp(type, "text") == 0);
        r = has_bytes ? 0 : -ENOENT;
    }
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    end_search(reader);
    return r;
}

/* As many bytes as can be read, from the first on. */
static size_t read_blob(sqlite3_blob *blob, uint8_t *bytes, size_t n_bytes)
{
    size_t at = 0;
    size_t step = STEP_BYTES;
    while (at < n_bytes && step >= LAST_STEP_BYTES) {
        size_t n_wanted = n_bytes - at < step ? n_bytes - at : step;
        if (sqlite3_blob_read(blob, bytes + at, (int)n_wanted, (int)at) == SQLITE_OK) {
            at += n_wanted;
        } else {
            step = n_wanted / 2;
        }
    }
    return at;
}

/* 0 and all of it, 1 and the beginning, or a negative errno. */
static int read_stored(struct sqlar_reader *reader, const struct row *row, uint8_t **ret_bytes,
                       size_t *ret_n_bytes)
{
    sqlite3_blob *blob = NULL;
    int code = sqlite3_blob_open(reader->db, "main", "sqlar", "data", row->rowid, 0, &blob);
    if (code != SQLITE_OK) {
        (void)sqlite3_blob_close(blob);
        return code == SQLITE_NOMEM ? -ENOMEM : -EIO;
    }
    /* No more than the file has; for content that was cut off, no more than is left. */
    uint64_t n_bytes = (uint64_t)sqlite3_blob_bytes(blob);
    bool is_too_long = n_bytes > reader->file_bytes;
    n_bytes = is_too_long ? reader->file_bytes : n_bytes;
    _cleanup_(freep) uint8_t *bytes = malloc(n_bytes + 1);
    size_t n_read = bytes ? read_blob(blob, bytes, n_bytes) : 0;
    (void)sqlite3_blob_close(blob);
    if (!bytes) {
        return -ENOMEM;
    }
    if (n_read == 0 && n_bytes > 0) {
        return -EIO;
    }
    bytes[n_read] = '\0';
    *ret_n_bytes = n_read;
    *ret_bytes = TAKE_PTR(bytes);
    return is_too_long || n_read < n_bytes;
}

/* Others compress what they put in; 0, or 1 where that came to no good end. */
static int inflate_member(struct row row, uint8_t **bytes, size_t *n_bytes)
{
    uint64_t max_bytes = (uint64_t)MAX_INFLATION * *n_bytes + 4096;
    uint64_t full_bytes = (uint64_t)row.full_bytes;
    bool is_bounded = full_bytes <= max_bytes;
    uLongf n_inflated = (uLongf)(is_bounded ? full_bytes : max_bytes);
    uLong n_taken = (uLong)*n_bytes;
    uint8_t *inflated = malloc(n_inflated + 1);
    if (!inflated) {
        return -ENOMEM;
    }
    int code = uncompress2(inflated, &n_inflated, *bytes, &n_taken);
    inflated[n_inflated] = '\0';
    free(*bytes);
    *bytes = inflated;
    *n_bytes = n_inflated;
    return !is_bounded || code != Z_OK || n_inflated != full_bytes;
}

int sqlar_reader_read(struct sqlar_reader *reader, const char *name, int64_t index,
                      void **ret_bytes, size_t *ret_n_bytes)
{
    struct row row = {.rowid = 0};
    int r = find_row(reader, reader->by_name, name, 0, &row);
    if (r == -EIO || r == -ENOENT) {
        int again = find_row(reader, reader->by_rowid, name, index + 2, &row);
        r = again == -ENOENT ? r : again;
    }
    _cleanup_(freep) uint8_t *bytes = NULL;
    size_t n_bytes = 0;
    r = r ? r : read_stored(reader, &row, &bytes, &n_bytes);
    if (r == 0 && row.full_bytes > 0 && (uint64_t)row.full_bytes != n_bytes) {
        r = inflate_member(row, &bytes, &n_bytes);
    }
    if (r >= 0) {
        *ret_bytes = TAKE_PTR(bytes);
        *ret_n_bytes = n_bytes;
    }
    return r;
}

/* Adds what one pass over the rows finds before it meets damage. */
static int find_in_order(struct sqlar_reader *reader, const char *query,
                         struct archive_members *members)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(reader->db, query, -1, &statement, NULL) != SQLITE_OK) {
        return 0;
    }
    int r = 0;
    begin_search(reader);
    while (r != -ENOMEM && r != -E2BIG && sqlite3_step(statement) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        const struct archive_listed member = {
            .name = name,
            .n_bytes = (uint64_t)sqlite3_column_int64(statement, 1),
        };
        r = name ? archive_members_add(members, &member) : 0;
    }
    sqlite3_finalize(statement);
    end_search(reader);
    return r == -ENOMEM ? r : 0;
}

int sqlar_reader_find(struct sqlar_reader *reader, struct archive_members *members)
{
    int r = find_in_order(reader,
                          "SELECT name, length(data) FROM sqlar WHERE length(name) <= 200 "
                          "ORDER BY rowid",
                          members);
    return r ? r
             : find_in_order(reader,
                             "SELECT name, length(data) FROM sqlar WHERE length(name) <= 200 "
                             "ORDER BY rowid DESC",
                             members);
}
