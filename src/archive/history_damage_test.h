/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * history_damage_test - the members of one run, to be read with one of them changed
 *
 * Owner:   the fixture of the program: set_up(), tear_down(). Threads: one.
 */

#include <errno.h>

#include "archive/history_tables.h"
#include "archive/run_history_test.h"

#define N_MEMBERS 48

struct member {
    char name[64];
    uint8_t *bytes;
    size_t n_bytes;
};

/* What a run has written; tests change a copy of one member and put them together again. */
struct fixture {
    struct history_folder folder;
    struct aggregate *aggregate;
    struct snapshot *snapshot;
    struct member members[N_MEMBERS];
    size_t n_members;
};

static struct fixture fixture;

static inline int set_up(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct history_world world = {
        .life = {.state = 23,
                 .n_threads = 7,
                 .sample_pct = 40,
                 .has_switches = true,
                 .has_wakers = true},
        .has_lag = true,
    };
    fixture = (struct fixture){0};
    history_folder_make(&fixture.folder);
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 1500);
    fixture.aggregate = world.aggregate;
    fixture.snapshot = aggregate_snapshot(world.aggregate, world.life.now_ns);
    struct archive_reader *reader = history_save(&fixture.folder, "whole", fixture.snapshot);
    for (size_t i = 0; i < archive_reader_count(reader); i++) {
        const char *name = archive_reader_member(reader, i).name;
        struct archive_bytes bytes;
        if (strncmp(name, "records/", 8) != 0) {
            continue;
        }
        assert_int_equal(archive_reader_read(reader, name, &bytes), 0);
        struct member *member = &fixture.members[fixture.n_members++];
        snprintf(member->name, sizeof(member->name), "%s", name);
        member->bytes = bytes.bytes;
        member->n_bytes = bytes.n_bytes;
    }
    archive_reader_free(reader);
    assert_int_equal(fixture.n_members, HISTORY_KIND_N);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < fixture.n_members; i++) {
        free(fixture.members[i].bytes);
    }
    snapshot_unref(fixture.snapshot);
    aggregate_free(fixture.aggregate);
    history_folder_remove(&fixture.folder);
    return 0;
}

static inline size_t member_of(enum history_kind kind)
{
    size_t i = 0;
    while (strcmp(fixture.members[i].name, history_table(kind)->member) != 0) {
        assert_true(++i < fixture.n_members);
    }
    return i;
}

/* Reads the archive with `changed` instead of the member of its name (without bytes: without it);
 * NULL where nothing could be read. */
static inline struct aggregate *read_with(const struct member *changed,
                                          struct run_history_damage *damage, struct error *error)
{
    char path[128];
    struct archive_writer *writer = NULL;
    const struct aggregate_config config = {0};
    struct aggregate *aggregate = NULL;
    snprintf(path, sizeof(path), "%s/changed", fixture.folder.path);
    assert_int_equal(archive_writer_new(path, &writer, error), 0);
    for (size_t i = 0; i < fixture.n_members; i++) {
        const struct member *member = &fixture.members[i];
        member = strcmp(member->name, changed->name) == 0 ? changed : member;
        if (member->bytes) {
            assert_int_equal(
                archive_writer_add(writer, member->name, member->bytes, member->n_bytes, error), 0);
        }
    }
    assert_int_equal(archive_writer_add(writer, "records/of-tomorrow", "?", 1, error), 0);
    assert_int_equal(archive_writer_finish(writer, "{}", error), 0);
    archive_writer_free(writer);
    struct archive_reader *reader = history_open(&fixture.folder, "changed");
    int r = run_history_read(reader, &config, &aggregate, damage, error);
    assert_true(r == 0 || r == -EBADMSG);
    assert_int_equal(r == 0, aggregate != NULL);
    assert_int_equal(r == 0, !error_is_set(error));
    archive_reader_free(reader);
    return aggregate;
}

/* The rows of a kind in frames of few rows each, one of which is damaged. */
static inline void put_damaged(enum history_kind kind, size_t n_bad, struct column_buffer *buffer)
{
    static uint8_t rows[COLUMN_FRAME_ROWS * HISTORY_ROW_BYTES];
    const struct column_table *table = &history_table(kind)->columns;
    const struct member *whole = &fixture.members[member_of(kind)];
    struct column_reader reader = column_reader_begin(whole->bytes, whole->n_bytes);
    size_t n_rows, n_frames = 0;
    while (column_reader_next(&reader, table, rows, &n_rows) > 0) {
        for (size_t at = 0; at < n_rows; at += 64, n_frames++) {
            size_t n = n_rows - at < 64 ? n_rows - at : 64;
            assert_int_equal(column_append(buffer, table, rows + at * table->row_bytes, n), 0);
            if (n_frames == n_bad) {
                buffer->bytes[buffer->n_bytes - 1] ^= 1;
            }
        }
    }
    assert_true(n_frames > n_bad);
}
