/* SPDX-License-Identifier: MIT */
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

#include "archive/archive_directory.h"
#include "base/fd.h"

#define PATH_BYTES 300

struct fixture {
    char folder[PATH_BYTES];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const char *base = getenv("TMPDIR");
    (void)snprintf(fixture.folder, PATH_BYTES, "%s/archive-XXXXXX", base ? base : "/tmp");
    *state = &fixture;
    return mkdtemp(fixture.folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    const struct fixture *fixture = *state;
    return archive_directory_remove(AT_FDCWD, fixture->folder);
}

/* Content that tells its place; `member` 0 is empty. */
static size_t fill(uint8_t *bytes, size_t member)
{
    static const size_t sizes[] = {0, 1, 300, 4000, 70000, 1000000, 12345, 64 << 10};
    size_t n_bytes = sizes[member % 8];
    for (size_t i = 0; i < n_bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251 + member);
    }
    return n_bytes;
}

#define MAX_BYTES 1000001

static void write_archive(const char *path, size_t n_members)
{
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    _cleanup_(freep) uint8_t *bytes = malloc(MAX_BYTES);
    struct error error = {.code = ""};
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    for (size_t i = 0; i < n_members; i++) {
        char name[40];
        (void)snprintf(name, sizeof(name), i % 2 ? "records/%zu" : "m%zu.bin", i);
        size_t n_bytes = fill(bytes, i);
        assert_int_equal(archive_writer_add(writer, name, bytes, n_bytes, &error), 0);
    }
    assert_int_equal(archive_writer_finish(writer, "{\"run\": {\"id\": 7}}", &error), 0);
    assert_true(archive_writer_bytes(writer) > 0);
}

static void check_archive(const char *path, size_t n_members)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    _cleanup_(freep) uint8_t *wanted = malloc(MAX_BYTES);
    struct error error = {.code = ""};
    assert_int_equal(archive_reader_open(path, &reader, &error), 0);
    assert_int_equal(archive_reader_count(reader), n_members);
    assert_null(archive_reader_damage(reader));
    assert_non_null(archive_reader_manifest(reader));
    assert_non_null(strstr(archive_reader_manifest(reader), "\"run\": {\"id\": 7}"));
    for (size_t i = 0; i < n_members; i++) {
        struct archive_member member = archive_reader_member(reader, i);
        struct archive_bytes bytes;
        size_t n_wanted = fill(wanted, i);
        assert_int_equal(archive_reader_read(reader, member.name, &bytes), 0);
        assert_int_equal(bytes.state, ARCHIVE_WHOLE);
        assert_int_equal(bytes.n_bytes, n_wanted);
        assert_int_equal(member.n_bytes, n_wanted);
        assert_memory_equal(bytes.bytes, wanted, n_wanted);
        free(bytes.bytes);
    }
    struct archive_bytes none;
    assert_int_equal(archive_reader_read(reader, "no/such", &none), 0);
    assert_int_equal(none.state, ARCHIVE_MISSING);
    assert_null(none.bytes);
}

static void both_containers_give_what_was_put_in(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const names[] = {"a.stax", "a", "b c?%#.stax", "file:x.stax"};
    static const size_t counts[] = {0, 1, 9, 40, 400};
    char path[PATH_BYTES * 2];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
            (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
            write_archive(path, counts[j]);
            check_archive(path, counts[j]);
        }
    }
}

static void the_container_follows_the_name(void **state)
{
    const struct fixture *fixture = *state;
    char path[PATH_BYTES * 2];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/kind.stax", fixture->folder);
    write_archive(path, 2);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof(path), "%s/kind/", fixture->folder);
    write_archive(path, 2);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    (void)snprintf(path, sizeof(path), "%s/kind/records/1", fixture->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 1);
}

static void names_are_checked(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const names[] = {"../a", "/a", "", "manifest.json", "A", "a/", "twice"};
    static const char *const paths[] = {"names.stax", "names"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
        struct error error = {.code = ""};
        char path[PATH_BYTES * 2];
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, paths[i]);
        assert_int_equal(archive_writer_new(path, &writer, &error), 0);
        assert_int_equal(archive_writer_add(writer, "twice", "x", 1, &error), 0);
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
            assert_true(archive_writer_add(writer, names[j], "x", 1, &error) < 0);
            assert_string_equal(error.code, "internal");
        }
        assert_int_equal(archive_writer_finish(writer, "no object", &error), -EINVAL);
        writer = archive_writer_free(writer);
        assert_int_not_equal(access(path, F_OK), 0);
    }
}

static void tables_are_for_single_files(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const paths[] = {"tables.stax", "tables"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
        struct error error = {.code = ""};
        char path[PATH_BYTES * 2];
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, paths[i]);
        assert_int_equal(archive_writer_new(path, &writer, &error), 0);
        assert_int_equal(archive_writer_sql(writer, "CREATE TABLE threads(tid INTEGER, name TEXT)",
                                            NULL, 0, &error),
                         0);
        for (int64_t tid = 1; tid <= 500; tid++) {
            const struct archive_value values[] = {{.number = tid}, {.text = "it's \"one\""}};
            assert_int_equal(
                archive_writer_sql(writer, "INSERT INTO threads VALUES(?, ?)", values, 2, &error),
                0);
        }
        int r = archive_writer_sql(writer, "INSERT INTO nothing VALUES(1)", NULL, 0, &error);
        assert_int_equal(r, i == 0 ? -EINVAL : 0);
        assert_string_equal(error.code, i == 0 ? "internal" : "");
        assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
        writer = archive_writer_free(writer);
        _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
        assert_int_equal(archive_reader_open(path, &reader, &error), 0);
        assert_int_equal(archive_reader_count(reader), 0);
    }
}

/* So many that their list does not fit into the room that is kept for it. */
static void many_members_are_kept(void **state)
{
    const struct fixture *fixture = *state;
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/many.stax", fixture->folder);
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    struct error error = {.code = ""};
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    for (uint32_t i = 0; i < 20000; i++) {
        char name[40];
        (void)snprintf(name, sizeof(name), "blobs/%08x", i * 2654435761u);
        assert_int_equal(archive_writer_add(writer, name, &i, sizeof(i), &error), 0);
    }
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    assert_int_equal(archive_reader_open(path, &reader, &error), 0);
    assert_int_equal(archive_reader_count(reader), 20000);
    for (uint32_t i = 0; i < 20000; i += 7) {
        struct archive_bytes bytes;
        assert_int_equal(archive_reader_read(reader, archive_reader_member(reader, i).name, &bytes),
                         0);
        assert_int_equal(bytes.state, ARCHIVE_WHOLE);
        assert_memory_equal(bytes.bytes, &i, sizeof(i));
        free(bytes.bytes);
    }
}

static void what_is_not_finished_leaves_nothing(void **state)
{
    const struct fixture *fixture = *state;
    static const char *const paths[] = {"none.stax", "none"};
    for (size_t i = 0; i < 2; i++) {
        char folder[PATH_BYTES * 2];
        char path[PATH_BYTES * 3];
        struct error error = {.code = ""};
        _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
        (void)snprintf(folder, sizeof(folder), "%s/alone%zu", fixture->folder, i);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, paths[i]);
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(archive_writer_new(path, &writer, &error), 0);
        assert_int_equal(archive_writer_add(writer, "a/b", "x", 1, &error), 0);
        assert_int_not_equal(rmdir(folder), 0);
        writer = archive_writer_free(writer);
        assert_int_equal(rmdir(folder), 0); /* it is empty */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_containers_give_what_was_put_in),
        cmocka_unit_test(the_container_follows_the_name),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(tables_are_for_single_files),
        cmocka_unit_test(many_members_are_kept),
        cmocka_unit_test(what_is_not_finished_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
