/* SPDX-License-Identifier: MIT */
/* Members that nobody has written: few bytes that claim much, and tables of which one is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "archive/symbol_reading.h"

struct fixture {
    char folder[64], path[96];
    struct archive_writer *writer;
    struct error error;
    struct run_symbols *symbols;
    struct run_symbols_damage damage;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/run_symbols_bounds_XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/run.stax", fixture->folder);
    assert_int_equal(archive_writer_new(fixture->path, &fixture->writer, &fixture->error), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    archive_writer_free(fixture->writer);
    run_symbols_free(fixture->symbols);
    unlink(fixture->path);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

/* `n_frames` times the same rows. */
static void put(struct fixture *fixture, enum symbol_table kind, const void *rows, size_t n_rows,
                size_t n_frames)
{
    const struct symbol_table_info *info = symbol_table(kind);
    struct column_buffer buffer = {0};
    for (size_t i = 0; i < n_frames; i++) {
        assert_int_equal(column_append(&buffer, &info->columns, rows, n_rows), 0);
    }
    assert_int_equal(archive_writer_add(fixture->writer, info->member, buffer.bytes, buffer.n_bytes,
                                        &fixture->error),
                     0);
    column_buffer_release(&buffer);
}

static void put_texts(struct fixture *fixture, const char *texts, size_t n_bytes)
{
    put(fixture, SYMBOL_TABLE_NAMES, texts, n_bytes, 1);
}

static void load(struct fixture *fixture)
{
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    assert_int_equal(archive_writer_finish(fixture->writer, "{}", &fixture->error), 0);
    assert_int_equal(archive_reader_open(fixture->path, &reader, &fixture->error), 0);
    assert_int_equal(run_symbols_read(reader, &fixture->symbols, &fixture->damage, &fixture->error),
                     0);
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (uint64_t)usage.ru_maxrss * 1024;
}

#define SYMBOLS_AND_CODE (SYMBOL_GROUP_HAS_SYMBOLS | SYMBOL_GROUP_HAS_CODE)
#define MANY_FRAMES 200u

static void load_many(struct fixture *fixture)
{
    uint64_t before_bytes = peak_bytes();
    load(fixture);
    assert_true(fixture->damage.n_members > 0);
    assert_true(peak_bytes() - before_bytes < 3 * SYMBOL_READING_MAX_BYTES);
}

static void groups_that_are_alike_take_bounded_memory(void **state)
{
    static struct symbol_group rows[COLUMN_FRAME_ROWS];
    for (size_t i = 0; i < COLUMN_FRAME_ROWS; i++) {
        rows[i].flags = SYMBOLS_AND_CODE;
    }
    put(*state, SYMBOL_TABLE_GROUPS, rows, COLUMN_FRAME_ROWS, MANY_FRAMES);
    load_many(*state);
}

static void long_names_take_bounded_memory(void **state)
{
    static struct symbol_function rows[COLUMN_FRAME_ROWS];
    static char texts[COLUMN_FRAME_ROWS];
    struct symbol_group group = {.flags = SYMBOL_GROUP_HAS_SYMBOLS};
    memset(texts + 1, 'x', sizeof(texts) - 2);
    for (size_t i = 0; i < COLUMN_FRAME_ROWS; i++) {
        rows[i].name = 1;
    }
    put_texts(*state, texts, sizeof(texts));
    put(*state, SYMBOL_TABLE_GROUPS, &group, 1, 1);
    put(*state, SYMBOL_TABLE_FUNCTIONS, rows, COLUMN_FRAME_ROWS, 2);
    load_many(*state);
}

static void made_code_takes_bounded_memory(void **state)
{
    static struct symbol_made_body rows[COLUMN_FRAME_ROWS];
    put(*state, SYMBOL_TABLE_MADE_BODIES, rows, COLUMN_FRAME_ROWS, MANY_FRAMES);
    load_many(*state);
}

static void many_sources_end(void **state)
{
    static struct symbol_source_file rows[COLUMN_FRAME_ROWS];
    put(*state, SYMBOL_TABLE_SOURCES, rows, COLUMN_FRAME_ROWS, MANY_FRAMES);
    load_many(*state);
}

/* One image with a function of 16 bytes at 0x1000 and one at 0x2000, and their code. */
static void put_two(struct fixture *fixture, const struct symbol_group *group, const char *texts,
                    size_t n_text_bytes)
{
    static const struct symbol_function functions[] = {
        {.name = 1, .image = 3, .start_addr = 0x1000, .n_bytes = 16},
        {.name = 2, .image = 3, .start_addr = 0x2000, .n_bytes = 16},
    };
    static const struct symbol_image image = {.image = 5, .group = 0};
    put_texts(fixture, texts, n_text_bytes);
    put(fixture, SYMBOL_TABLE_GROUPS, group, 1, 1);
    put(fixture, SYMBOL_TABLE_IMAGES, &image, 1, 1);
    put(fixture, SYMBOL_TABLE_FUNCTIONS, functions, 2, 1);
}

static const char texts_of_two[] = "\0one\0two\0image";

static const char *name_at(const struct fixture *fixture, uint64_t offset)
{
    const struct image image = {.id = 5};
    const struct kept_run kept = run_symbols_kept(fixture->symbols);
    struct kept_symbols *symbols = kept.find_symbols(kept.userdata, &image);
    uint64_t image_addr;
    const struct symbol *symbol = symbols ? kept_symbols_find(symbols, offset, &image_addr) : NULL;
    return symbol ? symbol->name : "(none)";
}

static const struct kept_piece *piece_at(const struct fixture *fixture, uint64_t addr)
{
    const struct image image = {.id = 5};
    const struct kept_run kept = run_symbols_kept(fixture->symbols);
    const struct kept_code *code = kept.find_code(kept.userdata, &image);
    assert_non_null(code);
    return kept_code_find(code, 0, addr);
}

static void names_that_are_there_are_found(void **state)
{
    const struct symbol_group group = {.flags = SYMBOL_GROUP_HAS_SYMBOLS};
    put_two(*state, &group, texts_of_two, sizeof(texts_of_two));
    load(*state);
    const struct fixture *fixture = *state;
    assert_int_equal(fixture->damage.n_members + fixture->damage.n_rows, 0);
    assert_string_equal(name_at(*state, 0x1004), "one");
    assert_string_equal(name_at(*state, 0x2004), "two");
}

static void a_name_that_is_lost_is_none(void **state)
{
    const struct symbol_group group = {.flags = SYMBOL_GROUP_HAS_SYMBOLS};
    put_two(*state, &group, texts_of_two, 7); /* "two" lacks its end */
    load(*state);
    assert_string_equal(name_at(*state, 0x1004), "one");
    assert_string_equal(name_at(*state, 0x2004), "(none)");
}

/* Offsets in a file are not the addresses that names have. */
static void without_a_layout_there_are_no_names(void **state)
{
    const struct symbol_group group = {.flags =
                                           SYMBOL_GROUP_HAS_SYMBOLS | SYMBOL_GROUP_NAMES_BY_LAYOUT};
    put_two(*state, &group, texts_of_two, sizeof(texts_of_two));
    load(*state);
    const struct fixture *fixture = *state;
    assert_string_equal(name_at(*state, 0x1004), "(none)");
    assert_true(fixture->damage.n_rows > 0);
}

/* The bytes of the first piece are cut: what is left is not the second one's. */
static void code_that_is_lost_is_not_anothers(void **state)
{
    static const struct symbol_piece pieces[] = {
        {.start_addr = 0x1000, .n_bytes = 16, .n_read_bytes = 16},
        {.start_addr = 0x2000, .n_bytes = 4, .n_read_bytes = 4},
    };
    const struct symbol_group group = {.flags = SYMBOLS_AND_CODE};
    uint8_t code[10];
    memset(code, 0x90, sizeof(code));
    put_two(*state, &group, texts_of_two, sizeof(texts_of_two));
    put(*state, SYMBOL_TABLE_PIECES, pieces, 2, 1);
    put(*state, SYMBOL_TABLE_CODE, code, sizeof(code), 1);
    load(*state);
    const struct fixture *fixture = *state;
    assert_int_equal(fixture->damage.n_rows, 2);
    assert_null(piece_at(*state, 0x1000));
    assert_null(piece_at(*state, 0x2000));
}

/* The numbers of those behind it would be others. */
static void frames_of_a_later_version_end_a_table(void **state)
{
    struct fixture *fixture = *state;
    const struct symbol_table_info *info = symbol_table(SYMBOL_TABLE_FUNCTIONS);
    const struct symbol_group group = {.flags = SYMBOL_GROUP_HAS_SYMBOLS};
    const struct symbol_image image = {.image = 5, .group = 0};
    const struct symbol_function function = {.name = 1, .start_addr = 0x1000, .n_bytes = 16};
    struct column_table later = info->columns;
    struct column_buffer buffer = {0};
    later.version++;
    put_texts(fixture, texts_of_two, sizeof(texts_of_two));
    put(fixture, SYMBOL_TABLE_GROUPS, &group, 1, 1);
    put(fixture, SYMBOL_TABLE_IMAGES, &image, 1, 1);
    assert_int_equal(column_append(&buffer, &later, &function, 1), 0);
    assert_int_equal(column_append(&buffer, &info->columns, &function, 1), 0);
    assert_int_equal(archive_writer_add(fixture->writer, info->member, buffer.bytes, buffer.n_bytes,
                                        &fixture->error),
                     0);
    column_buffer_release(&buffer);
    load(fixture);
    assert_string_equal(name_at(fixture, 0x1004), "(none)");
    assert_int_equal(fixture->damage.n_members, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_that_are_there_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_is_lost_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_layout_there_are_no_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(code_that_is_lost_is_not_anothers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_of_a_later_version_end_a_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(groups_that_are_alike_take_bounded_memory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(long_names_take_bounded_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(made_code_takes_bounded_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_sources_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
