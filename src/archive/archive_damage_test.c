/* SPDX-License-Identifier: MIT */
/*
 * Archives that were cut, flipped, made by others or made to harm: what is left
 * of them is read, nothing is made up, and nothing takes long or much memory.
 */
#include "archive/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <zlib.h>

#include "archive/archive_directory.h"
#include "base/clock.h"
#include "base/fd.h"

#define PATH_BYTES 300
#define N_MEMBERS 12u

static char folder[PATH_BYTES];

static int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/damage-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return archive_directory_remove(AT_FDCWD, folder);
}

static const char *path_of(const char *name)
{
    static char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static uint64_t seed = 88172645463325252;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Sizes as of a small run, with one member that is most of it; no two 16 bytes are alike. */
static size_t size_of(size_t member)
{
    return member == 5 ? 150000 : member == 7 ? 70000 : 200 + member * 400;
}

static void fill(uint8_t *bytes, size_t member)
{
    uint64_t number = member * 1000003;
    for (size_t i = 0; i < size_of(member); i++) {
        number = number * 6364136223846793005 + 1442695040888963407;
        bytes[i] = (uint8_t)(number >> 56);
    }
}

static uint8_t contents[N_MEMBERS][150000];

static void write_archive(const char *path)
{
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    struct error error = {.code = ""};
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    for (size_t i = 0; i < N_MEMBERS; i++) {
        char name[40];
        fill(contents[i], i);
        (void)snprintf(name, sizeof(name), "records/%zu", i);
        assert_int_equal(archive_writer_add(writer, name, contents[i], size_of(i), &error), 0);
    }
    /* As those for people with SQL, whose pages are the last ones. */
    assert_int_equal(archive_writer_sql(writer, "CREATE TABLE threads(tid, name)", NULL, 0, &error),
                     0);
    assert_int_equal(archive_writer_finish(writer, "{\"run\": {}}", &error), 0);
}

static void put_file(const char *path, const void *bytes, size_t n_bytes)
{
    _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, bytes, n_bytes), 0);
}

struct outcome {
    bool is_open, has_manifest;
    size_t n_whole, n_damaged, n_missing;
    size_t n_left_bytes; /* of all members, right ones */
    struct error error;
};

/* Whole members are as they were written, and of damaged ones so many bytes are right. */
static size_t check_member(struct archive_reader *reader, size_t member, bool is_checked,
                           struct outcome *outcome)
{
    char name[40];
    struct archive_bytes bytes;
    (void)snprintf(name, sizeof(name), "records/%zu", member);
    assert_int_equal(archive_reader_read(reader, name, &bytes), 0);
    bool is_same = bytes.n_bytes == size_of(member) &&
                   memcmp(bytes.bytes, contents[member], bytes.n_bytes) == 0;
    size_t n_right = is_same ? bytes.n_bytes : 0;
    while (n_right < bytes.n_bytes && n_right < size_of(member) &&
           ((const uint8_t *)bytes.bytes)[n_right] == contents[member][n_right]) {
        n_right++;
    }
    if (bytes.state == ARCHIVE_WHOLE && is_checked) {
        assert_int_equal(bytes.n_bytes, size_of(member));
        assert_int_equal(n_right, size_of(member));
    }
    outcome->n_whole += bytes.state == ARCHIVE_WHOLE;
    outcome->n_damaged += bytes.state == ARCHIVE_DAMAGED;
    outcome->n_missing += bytes.state == ARCHIVE_MISSING;
    free(bytes.bytes);
    return n_right;
}

static struct outcome look_at(const char *path)
{
    struct outcome outcome = {.is_open = false};
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    uint64_t began_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    int r = archive_reader_open(path, &reader, &outcome.error);
    if (r < 0) {
        assert_null(reader);
        assert_true(error_is_set(&outcome.error));
        assert_true(outcome.error.message[0] != '\0');
    } else {
        outcome.is_open = true;
        outcome.has_manifest = archive_reader_manifest(reader) != NULL;
        assert_true(outcome.has_manifest || archive_reader_damage(reader));
        for (size_t i = 0; i < N_MEMBERS; i++) {
            outcome.n_left_bytes += check_member(reader, i, outcome.has_manifest, &outcome);
        }
    }
    assert_true(clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns < 5 * NS_PER_S);
    return outcome;
}

static void cut_files_give_what_is_left(void **state)
{
    (void)state;
    _cleanup_(freep) char *bytes = NULL;
    size_t n_bytes;
    write_archive(path_of("whole.stax"));
    assert_int_equal(fd_read_file(path_of("whole.stax"), 10 << 20, &bytes, &n_bytes), 0);
    size_t n_open = 0;
    for (size_t step = 0; step < 200; step++) {
        size_t n_cut = n_bytes * step / 200;
        put_file(path_of("cut.stax"), bytes, n_cut);
        struct outcome outcome = look_at(path_of("cut.stax"));
        n_open += outcome.is_open;
        if (!outcome.is_open) {
            assert_string_equal(outcome.error.code, "archive_invalid");
            assert_non_null(strstr(outcome.error.message, n_cut == 0 ? "empty" : "cut"));
            continue;
        }
        assert_true(outcome.has_manifest || n_cut < (size_t)40 << 10);
        if (outcome.has_manifest) {
            assert_int_equal(outcome.n_whole + outcome.n_damaged + outcome.n_missing, N_MEMBERS);
            assert_true(outcome.n_whole < N_MEMBERS || n_cut + 8192 >= n_bytes);
        }
        /* The manifest, pages of the trees and the ends of pages are all that is lost besides. */
        assert_true(outcome.n_left_bytes + 48 * 1024 >= n_cut);
    }
    assert_true(n_open >= 190);
}

static void flipped_bits_are_noticed(void **state)
{
    (void)state;
    _cleanup_(freep) char *bytes = NULL;
    size_t n_bytes;
    write_archive(path_of("whole.stax"));
    assert_int_equal(fd_read_file(path_of("whole.stax"), 10 << 20, &bytes, &n_bytes), 0);
    size_t n_rounds = 2000;
    size_t n_open = 0;
    for (size_t round = 0; round < n_rounds; round++) {
        size_t flips[8];
        size_t n_flips = 1 + round % 8;
        for (size_t i = 0; i < n_flips; i++) {
            /* Half of them where the trees and the manifest are. */
            size_t most = random_number() % 2 ? n_bytes : (size_t)40 << 10;
            flips[i] = random_number() % (most * 8);
            bytes[flips[i] / 8] ^= (char)(1u << (flips[i] % 8));
        }
        put_file(path_of("flipped.stax"), bytes, n_bytes);
        struct outcome outcome = look_at(path_of("flipped.stax"));
        n_open += outcome.is_open;
        for (size_t i = 0; i < n_flips; i++) {
            bytes[flips[i] / 8] ^= (char)(1u << (flips[i] % 8));
        }
    }
    print_message("%zu of %zu opened\n", n_open, n_rounds);
    assert_true(n_open > n_rounds / 2);
    put_file(path_of("flipped.stax"), bytes, n_bytes);
    assert_int_equal(look_at(path_of("flipped.stax")).n_whole, N_MEMBERS);
}

static void damaged_directories_give_what_is_left(void **state)
{
    (void)state;
    write_archive(path_of("dir"));
    assert_int_equal(look_at(path_of("dir")).n_whole, N_MEMBERS);
    assert_int_equal(truncate(path_of("dir/records/5"), 1000), 0);
    assert_int_equal(truncate(path_of("dir/records/6"), 0), 0);
    assert_int_equal(unlink(path_of("dir/records/7")), 0);
    assert_int_equal(unlink(path_of("dir/records/8")), 0);
    assert_int_equal(symlink("9", path_of("dir/records/8")), 0);
    assert_int_equal(unlink(path_of("dir/records/3")), 0);
    assert_int_equal(mkfifo(path_of("dir/records/3"), 0600), 0);
    struct outcome outcome = look_at(path_of("dir"));
    assert_true(outcome.is_open);
    assert_int_equal(outcome.n_whole, N_MEMBERS - 5);
    assert_int_equal(outcome.n_damaged, 4);
    assert_int_equal(outcome.n_missing, 1);

    /* Cut within its list, what is left of it says that it is one. */
    assert_int_equal(truncate(path_of("dir/manifest.json"), 200), 0);
    outcome = look_at(path_of("dir"));
    assert_true(outcome.is_open);
    assert_false(outcome.has_manifest);
    assert_int_equal(outcome.n_whole, N_MEMBERS - 3);
    assert_int_equal(truncate(path_of("dir/manifest.json"), 3), 0);
    assert_false(look_at(path_of("dir")).is_open);
    assert_int_equal(unlink(path_of("dir/manifest.json")), 0);
    outcome = look_at(path_of("dir"));
    assert_false(outcome.is_open);
    assert_non_null(strstr(outcome.error.message, "there is no manifest.json in it"));
}

static void links_out_of_a_directory_are_not_followed(void **state)
{
    (void)state;
    write_archive(path_of("links"));
    char records[PATH_BYTES * 2];
    (void)snprintf(records, sizeof(records), "%s", path_of("links/records"));
    assert_int_equal(rename(records, path_of("links-records")), 0);
    assert_int_equal(symlink("../links-records", path_of("links/records")), 0);
    struct outcome outcome = look_at(path_of("links"));
    assert_true(outcome.is_open);
    assert_int_equal(outcome.n_damaged, N_MEMBERS);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, (int *)NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    sqlite3_close(db);
}

static void what_is_no_archive_is_told_so(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes, *message;
    } files[] = {
        {"empty.stax", "", "is empty"},
        {"text.stax", "This is a text and nothing else.", "is no archive"},
        {"magic.stax", "SQLite format 3", "is no archive"},
        {"elf.stax", "\177ELF\2\1\1", "is no archive"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        put_file(path_of(files[i].name), files[i].bytes, strlen(files[i].bytes));
        struct outcome outcome = look_at(path_of(files[i].name));
        assert_false(outcome.is_open);
        assert_string_equal(outcome.error.code, "archive_invalid");
        assert_non_null(strstr(outcome.error.message, files[i].message));
    }
    run_sql(path_of("plain.stax"), "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    struct outcome outcome = look_at(path_of("plain.stax"));
    assert_non_null(strstr(outcome.error.message, "is an SQLite database and no archive"));
    run_sql(path_of("others.stax"),
            "CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB); "
            "INSERT INTO sqlar VALUES('a', 33188, 0, 1, 'x')");
    outcome = look_at(path_of("others.stax"));
    assert_non_null(strstr(outcome.error.message, "not one of stax"));
    outcome = look_at(path_of("no such file"));
    assert_string_equal(outcome.error.code, "archive_read");
    assert_non_null(strstr(outcome.error.message, "there is no file or directory"));
    assert_int_equal(mkfifo(path_of("fifo.stax"), 0600), 0);
    outcome = look_at(path_of("fifo.stax"));
    assert_non_null(strstr(outcome.error.message, "neither a file nor a directory"));
}

#define MANIFEST(version)                                                                          \
    "{\"format\": \"stax-archive\", \"version\": " version ", \"members\": []}"

static void newer_archives_are_refused(void **state)
{
    (void)state;
    static const char newer[] = "made by a newer stax (archive version 3): this one reads up to 2";
    write_archive(path_of("newer.stax"));
    run_sql(path_of("newer.stax"),
            "UPDATE sqlar SET data = '" MANIFEST("3") "', sz = 0 WHERE name = 'manifest.json'");
    struct outcome outcome = look_at(path_of("newer.stax"));
    assert_false(outcome.is_open);
    assert_string_equal(outcome.error.code, "archive_invalid");
    assert_non_null(strstr(outcome.error.message, newer));
    write_archive(path_of("newer"));
    put_file(path_of("newer/manifest.json"), MANIFEST("3"), strlen(MANIFEST("3")));
    outcome = look_at(path_of("newer"));
    assert_non_null(strstr(outcome.error.message, newer));
    /* Without tables that we know, the file's own number tells. */
    run_sql(path_of("later.stax"), "PRAGMA application_id = 1398030680; PRAGMA user_version = 3; "
                                   "CREATE TABLE members(a)");
    outcome = look_at(path_of("later.stax"));
    assert_non_null(strstr(outcome.error.message, newer));
    put_file(path_of("newer/manifest.json"), MANIFEST("1"), strlen(MANIFEST("1")));
    assert_true(look_at(path_of("newer")).is_open);
}

static void a_lost_manifest_leaves_what_is_found(void **state)
{
    (void)state;
    write_archive(path_of("lost.stax"));
    run_sql(path_of("lost.stax"), "DELETE FROM sqlar WHERE name = 'manifest.json'; "
                                  "INSERT INTO sqlar VALUES('../../x', 0, 0, 1, 'x')");
    struct outcome outcome = look_at(path_of("lost.stax"));
    assert_true(outcome.is_open);
    assert_false(outcome.has_manifest);
    assert_int_equal(outcome.n_whole, N_MEMBERS);
}

/* Tables that compute what they hold, and rows that claim more than there is. */
static void traps_are_refused(void **state)
{
    (void)state;
    static const char *const traps[] = {
        "CREATE VIEW sqlar AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT 'a' || i AS name, 0 AS mode, 0 AS mtime, 0 AS sz, zeroblob(1000000) AS data FROM n",
        "CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, "
        "data BLOB AS (zeroblob(900000000))); INSERT INTO sqlar VALUES('manifest.json', 0, 0, 0)",
        "CREATE VIRTUAL TABLE sqlar USING fts5(name, mode, mtime, sz, data)",
        "CREATE TABLE sqlar(name TEXT PRIMARY KEY, mode INT, mtime INT, sz INT, data BLOB) "
        "WITHOUT ROWID; INSERT INTO sqlar VALUES('manifest.json', 0, 0, 0, '" MANIFEST("2") "')",
    };
    for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "trap%zu.stax", i);
        run_sql(path_of(name), "PRAGMA application_id = 1398030680; PRAGMA user_version = 2");
        run_sql(path_of(name), traps[i]);
        struct outcome outcome = look_at(path_of(name));
        assert_false(outcome.is_open);
        assert_string_equal(outcome.error.code, "archive_invalid");
    }
}

static void claims_are_not_believed(void **state)
{
    (void)state;
    static const char *const claims[] = {
        "UPDATE sqlar SET sz = 9223372036854775807",
        "UPDATE sqlar SET sz = 800000000",
        "UPDATE sqlar SET sz = -1",
        "UPDATE sqlar SET data = NULL",
        "UPDATE sqlar SET data = 12345678901234567",
        "UPDATE sqlar SET data = 1.5",
        "UPDATE sqlar SET name = x'00ff'  WHERE rowid = 5",
        "DELETE FROM sqlar",
    };
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        write_archive(path_of("claims.stax"));
        run_sql(path_of("claims.stax"), claims[i]);
        struct outcome outcome = look_at(path_of("claims.stax"));
        assert_true(outcome.is_open); /* our application_id */
        assert_true(outcome.n_whole < N_MEMBERS || i == 2);
    }
}

static void put_row(const char *path, const void *bytes, size_t n_bytes, int64_t full_bytes)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "UPDATE sqlar SET data = ?, sz = ? WHERE name = 'a'",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_blob64(statement, 1, bytes, n_bytes, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, full_bytes);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* `sqlite3 -A` compresses what it puts in. What becomes much larger is not let in. */
static void compressed_members_are_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {50, 3000, 5000000};
    _cleanup_(freep) uint8_t *full = calloc(1, 5000000);
    for (size_t i = 0; i < 3; i++) {
        _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
        _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
        struct error error = {.code = ""};
        struct archive_bytes bytes;
        uint8_t packed[10000];
        uLongf n_packed = sizeof(packed);
        assert_int_equal(archive_writer_new(path_of("packed.stax"), &writer, &error), 0);
        assert_int_equal(archive_writer_add(writer, "a", full, sizes[i], &error), 0);
        assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
        assert_int_equal(compress2(packed, &n_packed, full, sizes[i], 9), Z_OK);
        put_row(path_of("packed.stax"), packed, n_packed, (int64_t)sizes[i]);
        assert_int_equal(archive_reader_open(path_of("packed.stax"), &reader, &error), 0);
        assert_int_equal(archive_reader_read(reader, "a", &bytes), 0);
        assert_int_equal(bytes.state, i < 2 ? ARCHIVE_WHOLE : ARCHIVE_DAMAGED);
        assert_true(bytes.n_bytes == sizes[i] || bytes.n_bytes <= 16 * n_packed + 4096);
        assert_memory_equal(bytes.bytes, full, bytes.n_bytes);
        free(bytes.bytes);
    }
}

#define PAGE_BYTES 4096
#define FANOUT 400

static void put_big_endian(uint8_t *at, uint32_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
    }
}

/* An inner page of a table all of whose children are page `child`. */
static void fill_inner_page(uint8_t *page, uint32_t child)
{
    size_t at = PAGE_BYTES;
    memset(page, 0, PAGE_BYTES);
    page[0] = 5;
    put_big_endian(page + 3, FANOUT, 2);
    put_big_endian(page + 8, child, 4);
    for (size_t i = 0; i < FANOUT; i++) {
        at -= 6;
        put_big_endian(page + at, child, 4);
        page[at + 4] = 0x81; /* keys of two bytes */
        page[at + 5] = 0x00;
        put_big_endian(page + 12 + 2 * i, (uint32_t)at, 2);
    }
    put_big_endian(page + 5, (uint32_t)at, 2);
}

/* 400^5 times the same row: whoever reads them all is not done this year. */
static void trees_that_lead_to_the_same_rows_again_end(void **state)
{
    (void)state;
    enum { LEVELS = 5, N_PAGES = 3 + LEVELS };
    _cleanup_(freep) char *small = NULL;
    size_t n_small;
    run_sql(path_of("tree.stax"),
            "PRAGMA page_size = 4096; PRAGMA application_id = 1398030680; PRAGMA user_version = 2; "
            "CREATE TABLE sqlar(name TEXT, mode INT, mtime INT, sz INT, data BLOB); "
            "INSERT INTO sqlar VALUES('records/1', 0, 0, 1, 'x')");
    assert_int_equal(fd_read_file(path_of("tree.stax"), 1 << 20, &small, &n_small), 0);
    assert_int_equal(n_small, 2 * PAGE_BYTES);
    uint8_t *file = test_calloc(N_PAGES, PAGE_BYTES);
    memcpy(file, small, n_small);
    memcpy(file + 2 * PAGE_BYTES, file + PAGE_BYTES, PAGE_BYTES); /* the leaf is page 3 */
    fill_inner_page(file + PAGE_BYTES, 4);
    for (uint32_t i = 0; i < LEVELS; i++) {
        fill_inner_page(file + (size_t)(3 + i) * PAGE_BYTES, i + 1 < LEVELS ? 5 + i : 3);
    }
    put_big_endian(file + 28, N_PAGES, 4);
    put_file(path_of("tree.stax"), file, (size_t)N_PAGES * PAGE_BYTES);
    test_free(file);
    uint64_t began_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    struct outcome outcome = look_at(path_of("tree.stax"));
    assert_true(outcome.is_open);
    assert_false(outcome.has_manifest);
    assert_true(clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns < NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_files_give_what_is_left),
        cmocka_unit_test(flipped_bits_are_noticed),
        cmocka_unit_test(damaged_directories_give_what_is_left),
        cmocka_unit_test(links_out_of_a_directory_are_not_followed),
        cmocka_unit_test(what_is_no_archive_is_told_so),
        cmocka_unit_test(newer_archives_are_refused),
        cmocka_unit_test(a_lost_manifest_leaves_what_is_found),
        cmocka_unit_test(traps_are_refused),
        cmocka_unit_test(claims_are_not_believed),
        cmocka_unit_test(compressed_members_are_read),
        cmocka_unit_test(trees_that_lead_to_the_same_rows_again_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
