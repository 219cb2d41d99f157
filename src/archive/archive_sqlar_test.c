/* SPDX-License-Identifier: MIT */
/*
 * The single file as others see it: the sqlite3 tool lists, extracts, checks and
 * makes such archives, and what it extracts is an archive as a directory.
 */
#include "archive/archive_sqlar.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/archive_directory.h"
#include "base/fd.h"

#define PATH_BYTES 300

static char folder[PATH_BYTES];

static int tear_down(void **state)
{
    (void)state;
    return archive_directory_remove(AT_FDCWD, folder);
}

static const uint8_t letters[100000] = {'s', 't', 'a', 'x'};

static void write_archive(const char *name)
{
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    struct error error = {.code = ""};
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    const struct archive_value values[] = {{.number = 42}, {.text = "main"}};
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    assert_int_equal(archive_writer_add(writer, "run.json", "{}", 2, &error), 0);
    assert_int_equal(archive_writer_add(writer, "records/empty", "", 0, &error), 0);
    assert_int_equal(
        archive_writer_add(writer, "records/samples", letters, sizeof(letters), &error), 0);
    assert_int_equal(archive_writer_sql(writer, "CREATE TABLE threads(tid, name)", NULL, 0, &error),
                     0);
    assert_int_equal(
        archive_writer_sql(writer, "INSERT INTO threads VALUES(?, ?)", values, 2, &error), 0);
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
}

static int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/sqlar-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        return -1;
    }
    write_archive("run.stax");
    return 0;
}

/* What a command in the folder prints; it must succeed. */
static char *output_of(const char *command)
{
    static char output[4096];
    char whole[PATH_BYTES * 3];
    (void)snprintf(whole, sizeof(whole), "cd '%s' && %s", folder, command);
    FILE *pipe = popen(whole, "r"); /* NOLINT(cert-env33-c): our own folder */
    assert_non_null(pipe);
    output[fread(output, 1, sizeof(output) - 1, pipe)] = '\0';
    if (pclose(pipe) != 0) {
        fail_msg("%s: %s", command, output);
    }
    return output;
}

static bool has_sqlite3(void)
{
    return system("command -v sqlite3 >/dev/null") == 0; /* NOLINT(cert-env33-c): fixed words */
}

static void check_archive(const char *name)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    struct error error = {.code = ""};
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(archive_reader_open(path, &reader, &error), 0);
    assert_null(archive_reader_damage(reader));
    assert_int_equal(archive_reader_count(reader), 3);
    for (size_t i = 0; i < 3; i++) {
        struct archive_bytes bytes;
        assert_int_equal(archive_reader_read(reader, archive_reader_member(reader, i).name, &bytes),
                         0);
        assert_int_equal(bytes.state, ARCHIVE_WHOLE);
        free(bytes.bytes);
    }
}

static void the_tool_lists_members(void **state)
{
    (void)state;
    if (!has_sqlite3()) {
        skip();
    }
    const char *listing = output_of("sqlite3 run.stax -A -t | sort | tr '\\n' ' '");
    assert_string_equal(listing, "manifest.json records/empty records/samples run.json ");
    listing = output_of("sqlite3 run.stax -A -tv");
    assert_non_null(strstr(listing, "-rw-r--r--"));
    assert_non_null(strstr(listing, "100000"));
    assert_string_equal(output_of("sqlite3 run.stax 'PRAGMA integrity_check'"), "ok\n");
    assert_string_equal(output_of("sqlite3 run.stax 'select * from threads'"), "42|main\n");
}

static void what_the_tool_extracts_is_an_archive(void **state)
{
    (void)state;
    if (!has_sqlite3()) {
        skip();
    }
    (void)output_of("mkdir -p out && sqlite3 run.stax -A -x -C out");
    check_archive("out");
    assert_string_equal(output_of("head -c 4 out/records/samples"), "stax");
    assert_string_equal(output_of("stat -c %s out/records/samples out/records/empty"),
                        "100000\n0\n");
}

/* It compresses what it puts in, and knows nothing of our numbers in the header. */
static void what_the_tool_makes_is_an_archive(void **state)
{
    (void)state;
    if (!has_sqlite3()) {
        skip();
    }
    (void)output_of("mkdir -p again && sqlite3 run.stax -A -x -C again && "
                    "head -c 3000 /dev/urandom >again/records/other && cd again && "
                    "sqlite3 ../again.stax -A -c manifest.json run.json records");
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    struct error error = {.code = ""};
    struct archive_bytes bytes;
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/again.stax", folder);
    assert_int_equal(archive_reader_open(path, &reader, &error), 0);
    assert_int_equal(archive_reader_count(reader), 3); /* what is not listed is not known */
    assert_int_equal(archive_reader_read(reader, "run.json", &bytes), 0);
    assert_int_equal(bytes.state, ARCHIVE_WHOLE);
    free(bytes.bytes);
    /* 100000 bytes out of 120: more than is believed. */
    assert_int_equal(archive_reader_read(reader, "records/samples", &bytes), 0);
    assert_int_equal(bytes.state, ARCHIVE_DAMAGED);
    assert_memory_equal(bytes.bytes, letters, bytes.n_bytes);
    free(bytes.bytes);
}

static void the_same_statement_is_prepared_once_and_others_after_it(void **state)
{
    (void)state;
    _cleanup_(sqlar_writer_freep) struct sqlar_writer *writer = NULL;
    struct error error = {.code = ""};
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/statements", folder);
    _cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sqlar_writer_new(path, &writer), 0);
    const struct archive_value value = {.number = 1};
    assert_int_equal(sqlar_writer_sql(writer, "CREATE TABLE a(b UNIQUE)", NULL, 0, &error), 0);
    assert_int_equal(sqlar_writer_sql(writer, "INSERT INTO a VALUES(?)", &value, 1, &error), 0);
    assert_int_equal(sqlar_writer_sql(writer, "INSERT INTO a VALUES(?)", &value, 1, &error),
                     -EINVAL);
    assert_non_null(strstr(error.message, "UNIQUE"));
    assert_int_equal(sqlar_writer_sql(writer, "INSERT INTO a VALUES(2)", &value, 1, &error),
                     -EINVAL);
    assert_int_equal(sqlar_writer_sql(writer, "DROP TABLE a", NULL, 0, &error), 0);
    assert_int_equal(sqlar_writer_finish(writer, "{}", 2), 0);
}

static void a_file_that_is_gone_or_closed_is_told(void **state)
{
    (void)state;
    struct sqlar_reader *reader = NULL;
    struct sqlar_writer *writer = NULL;
    struct sqlar_condition condition;
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/none", folder);
    assert_int_equal(sqlar_reader_open(path, &reader, &condition), -ENOENT);
    assert_true(sqlar_writer_new(path, &writer) < 0);
    assert_int_equal(sqlar_reader_open(folder, &reader, &condition), -EINVAL);
    assert_null(reader);
    assert_null(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tool_lists_members),
        cmocka_unit_test(what_the_tool_extracts_is_an_archive),
        cmocka_unit_test(what_the_tool_makes_is_an_archive),
        cmocka_unit_test(the_same_statement_is_prepared_once_and_others_after_it),
        cmocka_unit_test(a_file_that_is_gone_or_closed_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
