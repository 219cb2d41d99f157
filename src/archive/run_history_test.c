/* SPDX-License-Identifier: MIT */
/* Runs by chance that are saved, read and saved again: each time they are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "archive/history_tables.h"
#include "archive/run_history_test.h"

struct listened {
    size_t n_images, n_seen;
    bool is_seen[4096];
};

static void on_image(void *userdata, const struct image *image)
{
    struct listened *listened = userdata;
    assert_non_null(image->path);
    listened->n_images++;
}

static void on_image_seen(void *userdata, image_id image)
{
    struct listened *listened = userdata;
    assert_true(image < 4096);
    assert_false(listened->is_seen[image]);
    listened->is_seen[image] = true;
    listened->n_seen++;
}

static struct aggregate_config config_of(struct listened *listened, uint64_t max_memory_bytes)
{
    return (struct aggregate_config){
        .max_memory_bytes = max_memory_bytes,
        .listener = {listened, on_image, on_image_seen},
    };
}

static void assert_same_members(struct archive_reader *one, struct archive_reader *other)
{
    size_t n_records = 0;
    assert_int_equal(archive_reader_count(one), archive_reader_count(other));
    for (size_t i = 0; i < archive_reader_count(one); i++) {
        const char *name = archive_reader_member(one, i).name;
        if (strncmp(name, "records/", 8) != 0) {
            continue;
        }
        struct archive_bytes a, b;
        assert_int_equal(archive_reader_read(one, name, &a), 0);
        assert_int_equal(archive_reader_read(other, name, &b), 0);
        assert_int_equal(a.state, ARCHIVE_WHOLE);
        assert_int_equal(b.state, ARCHIVE_WHOLE);
        assert_int_equal(a.n_bytes, b.n_bytes);
        assert_memory_equal(a.bytes, b.bytes, a.n_bytes);
        free(a.bytes);
        free(b.bytes);
        n_records++;
    }
    assert_true(n_records >= 3);
}

static struct aggregate *read_whole(struct archive_reader *reader, struct listened *listened)
{
    const struct aggregate_config config = config_of(listened, 0);
    struct run_history_damage damage;
    struct aggregate *aggregate = NULL;
    struct error error = {0};
    assert_int_equal(run_history_read(reader, &config, &aggregate, &damage, &error), 0);
    assert_int_equal(damage.n_losses, 0);
    assert_int_equal(damage.n_rows_refused, 0);
    assert_int_equal(damage.n_rows_mended, 0);
    return aggregate;
}

/* Saves the instant, reads it and saves that; all three are one. */
static void check_instant(struct history_world *world, const struct history_folder *folder,
                          const struct listened *live, const char *name)
{
    static struct listened listened;
    listened = (struct listened){0};
    struct snapshot *snapshot = aggregate_snapshot(world->aggregate, world->life.now_ns);
    assert_non_null(snapshot);
    struct archive_reader *saved = history_save(folder, name, snapshot);
    struct aggregate *read = read_whole(saved, &listened);
    struct snapshot *again = aggregate_snapshot(read, 0);
    assert_non_null(again);
    assert_same_snapshot(snapshot, again);
    assert_int_equal(listened.n_images, live->n_images);
    assert_int_equal(listened.n_seen, live->n_seen);
    assert_memory_equal(listened.is_seen, live->is_seen, sizeof(live->is_seen));
    struct archive_reader *resaved = history_save(folder, "again", again);
    assert_same_members(saved, resaved);
    archive_reader_free(resaved);
    archive_reader_free(saved);
    snapshot_unref(again);
    snapshot_unref(snapshot);
    aggregate_free(read);
}

static void check_world(uint64_t seed, uint64_t max_memory_bytes, const char *name)
{
    static struct listened live;
    live = (struct listened){0};
    struct history_folder folder;
    history_folder_make(&folder);
    const struct aggregate_config config = config_of(&live, max_memory_bytes);
    struct history_world world = {
        .life = {.state = seed,
                 .n_threads = 3 + (unsigned int)seed % 8,
                 .sample_pct = 40,
                 .has_switches = true,
                 .has_wakers = seed % 3 != 0},
        .has_lag = seed % 2 == 0,
    };
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    for (int part = 0; part < 3; part++) {
        world_play(&world, 1500);
        check_instant(&world, &folder, &live, name);
    }
    aggregate_end(world.aggregate, world.life.now_ns + 70 * TEST_MS);
    check_instant(&world, &folder, &live, name);
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

static void saved_while_recording_and_after(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        check_world(seed, 0, seed % 2 == 0 ? "run" : "run.stax");
    }
}

/* Sums over the whole run reach back to where no record is left. */
static void saved_after_folding(void **state)
{
    (void)state;
    static struct listened live;
    live = (struct listened){0};
    struct history_folder folder;
    history_folder_make(&folder);
    const struct aggregate_config config = config_of(&live, 3u << 20);
    struct history_world world = {
        .life = {.state = 11,
                 .n_threads = 9,
                 .sample_pct = 60,
                 .has_switches = true,
                 .has_wakers = true},
        .has_lag = true,
    };
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 20000);
    struct snapshot *snapshot = aggregate_snapshot(world.aggregate, world.life.now_ns);
    assert_true(snapshot->folded_until_ns > snapshot->start_ns);
    assert_true(snapshot->first_sample > 0 && snapshot->first_wait > 0);
    assert_true(snapshot->n_long_waits > 0 && snapshot->switch_lag_ns > 0);
    assert_true(snapshot->n_counter_sums > 0 && snapshot->n_outsiders > 10);
    assert_true(snapshot->n_wait_objects > 100 && snapshot->n_code_epochs > 2);
    assert_true(snapshot->first_span > 0 && snapshot->n_longest_spans > 50);
    assert_true(snapshot->linked_distance.n > 0 && snapshot->n_span_wait_sums > 0);
    snapshot_unref(snapshot);
    check_instant(&world, &folder, &live, "folded");
    aggregate_end(world.aggregate, world.life.now_ns);
    check_instant(&world, &folder, &live, "folded");
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

static void saved_without_switches(void **state)
{
    (void)state;
    static struct listened live;
    live = (struct listened){0};
    struct history_folder folder;
    history_folder_make(&folder);
    struct aggregate_config config = config_of(&live, 0);
    config.has_no_switches = true;
    struct history_world world = {.life = {.state = 4, .n_threads = 4, .sample_pct = 60}};
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 800);
    check_instant(&world, &folder, &live, "estimated");
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

/* A run in which nothing has happened yet has no threads, no frames and no stacks. */
static void saved_before_anything_happened(void **state)
{
    (void)state;
    static struct listened live;
    live = (struct listened){0};
    struct history_folder folder;
    history_folder_make(&folder);
    const struct aggregate_config config = config_of(&live, 0);
    struct history_world world = {.life = {.now_ns = 77}};
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    aggregate_begin(world.aggregate, 50);
    check_instant(&world, &folder, &live, "empty.stax");
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

/* What stands behind the tables costs itself when it is cut off, and it is told. */
static void a_cut_behind_the_tables_leaves_them(void **state)
{
    (void)state;
    struct history_folder folder;
    history_folder_make(&folder);
    struct history_world world = {
        .life = {.state = 29,
                 .n_threads = 7,
                 .sample_pct = 40,
                 .has_switches = true,
                 .has_wakers = true},
    };
    enum { FILLER_BYTES = 300000 };
    static uint8_t filler[FILLER_BYTES];
    const struct aggregate_config config = {0};
    _cleanup_(run_history_writing_freep) struct run_history_writing *writing = NULL;
    struct archive_writer *writer = NULL;
    struct error error = {0};
    char path[128];
    uint64_t random = 1;
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 1500);
    struct snapshot *whole = aggregate_snapshot(world.aggregate, world.life.now_ns);
    for (size_t i = 0; i < FILLER_BYTES; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        filler[i] = (uint8_t)(random >> 33);
    }
    snprintf(path, sizeof(path), "%s/behind.stax", folder.path);
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    assert_int_equal(run_history_write_tables(whole, writer, &writing, &error), 0);
    assert_int_equal(archive_writer_add(writer, "symbols/filler", filler, FILLER_BYTES, &error), 0);
    assert_int_equal(run_history_write_records(writing, writer, &error), 0);
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
    uint64_t n_bytes = archive_writer_bytes(writer);
    archive_writer_free(writer);
    for (uint64_t n_cut = n_bytes - 4096; n_cut > n_bytes - FILLER_BYTES; n_cut -= 10007) {
        struct aggregate *aggregate = NULL;
        struct run_history_damage damage;
        assert_int_equal(truncate(path, (off_t)n_cut), 0);
        struct archive_reader *reader = history_open(&folder, "behind.stax");
        assert_non_null(archive_reader_damage(reader));
        assert_int_equal(run_history_read(reader, &config, &aggregate, &damage, &error), 0);
        assert_true(damage.n_losses > 0);
        struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
        assert_same_tables(whole, snapshot);
        assert_same_threads(whole, snapshot);
        assert_same_sums(whole, snapshot);
        assert_same_lanes(whole, snapshot);
        assert_same_span_sums(whole, snapshot);
        snapshot_unref(snapshot);
        aggregate_free(aggregate);
        archive_reader_free(reader);
    }
    snapshot_unref(whole);
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

/* Rows that are alike take next to nothing in a file: few bytes do not become gigabytes. */
static void rows_that_are_alike_take_bounded_memory(void **state)
{
    (void)state;
    enum { N_FRAMES = 2000 };
    static struct history_thread threads[COLUMN_FRAME_ROWS];
    const struct history_table *table = history_table(HISTORY_THREADS);
    const struct history_value values[] = {
        {HISTORY_KEY_NOW_NS, 1000},
        {(uint16_t)(HISTORY_KEY_ROWS + table->columns.kind), UINT64_MAX},
    };
    const struct aggregate_config config = {0};
    struct history_folder folder;
    struct column_buffer run = {0}, rows = {0};
    struct archive_writer *writer = NULL;
    struct aggregate *aggregate = NULL;
    struct run_history_damage damage;
    struct error error = {0};
    char path[128];
    history_folder_make(&folder);
    snprintf(path, sizeof(path), "%s/alike", folder.path);
    const struct column_table *columns = &history_table(HISTORY_RUN)->columns;
    assert_int_equal(column_append(&run, columns, values, 2), 0);
    assert_int_equal(column_append(&rows, &table->columns, threads, COLUMN_FRAME_ROWS), 0);
    uint8_t *bytes = malloc(N_FRAMES * rows.n_bytes);
    assert_non_null(bytes);
    for (size_t i = 0; i < N_FRAMES; i++) {
        memcpy(bytes + i * rows.n_bytes, rows.bytes, rows.n_bytes);
    }
    assert_int_equal(archive_writer_new(path, &writer, &error), 0);
    assert_int_equal(archive_writer_add(writer, "records/run", run.bytes, run.n_bytes, &error), 0);
    assert_int_equal(
        archive_writer_add(writer, table->member, bytes, N_FRAMES * rows.n_bytes, &error), 0);
    assert_int_equal(archive_writer_finish(writer, "{}", &error), 0);
    archive_writer_free(writer);
    struct archive_reader *reader = history_open(&folder, "alike");
    assert_int_equal(run_history_read(reader, &config, &aggregate, &damage, &error), 0);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_true(snapshot->n_threads > COLUMN_FRAME_ROWS);
    assert_true(snapshot->n_threads * sizeof(struct thread_totals) < (size_t)512 << 20);
    assert_true(damage.n_rows_refused > 0);
    for (size_t i = 0; i < damage.n_losses; i++) { /* what nobody can know is not told */
        assert_true(damage.losses[i].n_rows < UINT32_MAX);
    }
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
    archive_reader_free(reader);
    column_buffer_release(&run);
    column_buffer_release(&rows);
    free(bytes);
    history_folder_remove(&folder);
}

struct saving {
    const struct snapshot *snapshot;
    struct archive_writer *writer;
    struct error error;
    int r;
};

static void *save_beside(void *userdata)
{
    struct saving *saving = userdata;
    saving->r = run_history_write(saving->snapshot, saving->writer, &saving->error);
    return NULL;
}

/* Another thread writes an instant while the run goes on, and grows, and folds. */
static void saved_while_events_come_in(void **state)
{
    (void)state;
    struct history_folder folder;
    history_folder_make(&folder);
    static struct listened listened;
    listened = (struct listened){0};
    const struct aggregate_config config = {.max_memory_bytes = 4u << 20};
    struct history_world world = {
        .life = {.state = 31,
                 .n_threads = 8,
                 .sample_pct = 50,
                 .has_switches = true,
                 .has_wakers = true},
    };
    char path[128];
    struct saving saving = {0};
    pthread_t thread;
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 12000);
    struct snapshot *snapshot = aggregate_snapshot(world.aggregate, world.life.now_ns);
    saving.snapshot = snapshot;
    snprintf(path, sizeof(path), "%s/beside", folder.path);
    assert_int_equal(archive_writer_new(path, &saving.writer, &saving.error), 0);
    assert_int_equal(pthread_create(&thread, NULL, save_beside, &saving), 0);
    world_play(&world, 12000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(saving.r, 0);
    assert_int_equal(archive_writer_finish(saving.writer, "{}", &saving.error), 0);
    archive_writer_free(saving.writer);
    struct archive_reader *reader = history_open(&folder, "beside");
    struct aggregate *read = read_whole(reader, &listened);
    struct snapshot *again = aggregate_snapshot(read, 0);
    assert_same_tables(snapshot, again);
    assert_same_threads(snapshot, again);
    assert_same_sums(snapshot, again);
    assert_same_records(snapshot, again);
    assert_same_spans(snapshot, again);
    assert_int_equal(snapshot->n_outsiders, again->n_outsiders);
    struct snapshot *later = aggregate_snapshot(world.aggregate, world.life.now_ns);
    assert_true(later->sequence > snapshot->sequence);
    assert_true(later->folded_until_ns > snapshot->folded_until_ns);
    snapshot_unref(later);
    snapshot_unref(again);
    aggregate_free(read);
    archive_reader_free(reader);
    snapshot_unref(snapshot);
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

/* With less memory than there is history, the newest is kept, and all sums. */
static void read_with_little_memory(void **state)
{
    (void)state;
    struct history_folder folder;
    history_folder_make(&folder);
    const struct aggregate_config config = {0}, bounded = {.max_memory_bytes = 10u << 20};
    struct history_world world = {
        .life = {.state = 5, .n_threads = 6, .sample_pct = 60, .has_switches = true}};
    assert_int_equal(aggregate_new(&config, &world.aggregate), 0);
    world_play(&world, 40000);
    struct snapshot *snapshot = aggregate_snapshot(world.aggregate, world.life.now_ns);
    struct archive_reader *reader = history_save(&folder, "run", snapshot);
    struct run_history_damage damage;
    struct aggregate *read = NULL;
    struct error error = {0};
    assert_int_equal(run_history_read(reader, &bounded, &read, &damage, &error), 0);
    assert_int_equal(damage.n_losses + damage.n_rows_refused + damage.n_rows_mended, 0);
    struct snapshot *left = aggregate_snapshot(read, 0);
    assert_true(left->memory_bytes <= bounded.max_memory_bytes);
    assert_true(left->folded_until_ns > left->start_ns);
    assert_int_equal(left->n_samples, snapshot->n_samples);
    assert_int_equal(left->n_slices, snapshot->n_slices);
    assert_true(left->first_sample > 0 || left->first_slice > 0);
    assert_same_tables(snapshot, left);
    assert_same_threads(snapshot, left);
    assert_same_sums(snapshot, left);
    assert_same_lanes(snapshot, left);
    assert_same_span_sums(snapshot, left);
    assert_true(left->first_span > 0 && left->spans_folded_until_ns > left->start_ns);
    for (size_t i = 0; i < left->n_longest_spans; i++) {
        assert_same_span(snapshot, &snapshot->longest_spans[i], left, &left->longest_spans[i]);
    }
    assert_int_equal(snapshot_slice(left, left->n_slices - 1)->end_ns,
                     snapshot_slice(snapshot, left->n_slices - 1)->end_ns);
    snapshot_unref(left);
    aggregate_free(read);
    archive_reader_free(reader);
    snapshot_unref(snapshot);
    aggregate_free(world.aggregate);
    history_folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_while_recording_and_after),
        cmocka_unit_test(saved_after_folding),
        cmocka_unit_test(saved_without_switches),
        cmocka_unit_test(a_cut_behind_the_tables_leaves_them),
        cmocka_unit_test(rows_that_are_alike_take_bounded_memory),
        cmocka_unit_test(saved_while_events_come_in),
        cmocka_unit_test(saved_before_anything_happened),
        cmocka_unit_test(read_with_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
