/* SPDX-License-Identifier: MIT */
/* Members that are gone, cut or changed, and such as nobody has written: what is read of them is
 * sound, or nothing is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>

#include "archive/history_damage_test.h"

/* ---- whatever was read ---- */

static void assert_sound_tables(const struct snapshot *snapshot)
{
    for (image_id i = 0; i < snapshot->n_images; i++) {
        const struct image *image = snapshot_image(snapshot, i);
        assert_true(image->kind <= IMAGE_KIND_ANONYMOUS && image->path[0] != '\0');
        assert_true(image->build_id_bytes <= LIMIT_BUILD_ID_BYTES);
    }
    for (frame_id i = 0; i < snapshot->n_frames; i++) {
        struct frame frame = snapshot_frame(snapshot, i);
        assert_true(frame.image < snapshot->n_images);
        assert_true(frame.code_epoch == 0 || frame.code_epoch < snapshot->n_code_epochs);
        if (frame.image == IMAGE_ID_NAMED) {
            assert_non_null(snapshot_named_place(snapshot, frame.offset));
        }
    }
    for (stack_id i = 1; i < snapshot->n_stacks; i++) {
        assert_true(snapshot_stack(snapshot, i).parent < i);
        assert_true(snapshot_stack(snapshot, i).frame < snapshot->n_frames);
    }
    for (size_t i = 0; i < snapshot->n_threads; i++) {
        const struct thread_totals *totals = &snapshot->threads[i];
        assert_true(totals->phase <= THREAD_PHASE_GONE && strlen(totals->name) < LIMIT_NAME_BYTES);
        assert_true(totals->start_ns >= snapshot->start_ns && totals->start_ns <= snapshot->now_ns);
        assert_true(totals->waited_since_ns <= totals->phase_since_ns);
        assert_true(totals->wait_stack < snapshot->n_stacks);
        assert_true(totals->wait_object < snapshot->n_wait_objects);
    }
    for (size_t i = 0; i < snapshot->n_pairs; i++) {
        struct sample_pair pair = snapshot_pair(snapshot, i);
        assert_true(pair.thread < snapshot->n_threads && pair.stack < snapshot->n_stacks);
        assert_true(pair.slice_class < SLICE_CLASS_N);
    }
}

static bool is_waker(const struct snapshot *snapshot, waker_id waker)
{
    bool is_thread = waker < snapshot->n_threads;
    bool is_outsider =
        waker >= WAKER_ID_OUTSIDER && (waker & ~WAKER_ID_OUTSIDER) < snapshot->n_outsiders;
    return is_thread || is_outsider || waker == WAKER_ID_UNKNOWN || waker == WAKER_ID_NONE;
}

static void assert_sound_records(const struct snapshot *snapshot)
{
    uint64_t last_ns = snapshot->start_ns;
    uint64_t *ends_ns = calloc(snapshot->n_threads + 1, sizeof(*ends_ns));
    assert_non_null(ends_ns);
    for (uint64_t i = snapshot->first_sample; i < snapshot->n_samples; i++) {
        const struct stored_sample *sample = snapshot_sample(snapshot, i);
        assert_true(sample->time_ns >= last_ns && sample->time_ns <= snapshot->now_ns);
        assert_true(sample->thread < snapshot->n_threads && sample->stack < snapshot->n_stacks);
        assert_true(sample->slice_class < SLICE_CLASS_N);
        last_ns = sample->time_ns;
    }
    last_ns = 0;
    for (uint64_t i = snapshot->first_slice; i < snapshot->n_slices; i++) {
        const struct stored_slice *slice = snapshot_slice(snapshot, i);
        assert_true(slice->thread < snapshot->n_threads);
        assert_true(slice->start_ns >= ends_ns[slice->thread] && slice->start_ns <= slice->end_ns);
        assert_true(slice->end_ns >= last_ns && slice->end_ns <= snapshot->now_ns);
        last_ns = ends_ns[slice->thread] = slice->end_ns;
    }
    memset(ends_ns, 0, (snapshot->n_threads + 1) * sizeof(*ends_ns));
    for (uint64_t i = snapshot->first_wait; i < snapshot->n_waits; i++) {
        const struct stored_wait *wait = snapshot_wait(snapshot, i);
        assert_true(wait->thread < snapshot->n_threads && wait->stack < snapshot->n_stacks);
        assert_true(wait->start_ns >= ends_ns[wait->thread] && wait->start_ns <= wait->wake_ns);
        assert_true(wait->wake_ns <= wait->end_ns && wait->end_ns <= snapshot->now_ns);
        assert_true(is_waker(snapshot, wait->waker) && wait->object < snapshot->n_wait_objects);
        ends_ns[wait->thread] = wait->end_ns;
    }
    free(ends_ns);
    for (size_t i = 0; i < snapshot->n_wake_sums; i++) {
        assert_true(is_waker(snapshot, snapshot->wake_sums[i].waker));
    }
    assert_same_waits_in(snapshot, snapshot, snapshot->start_ns, snapshot->now_ns);
}

/* Reads it, looks at all of it, and saves it: that can be read without a loss. */
static void read_and_check(const struct member *changed, struct run_history_damage *damage,
                           bool *ret_is_read)
{
    struct error error = {0};
    struct aggregate *aggregate = read_with(changed, damage, &error);
    *ret_is_read = aggregate != NULL;
    if (!aggregate) {
        assert_string_equal(error.code, "archive_invalid");
        return;
    }
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_non_null(snapshot);
    assert_sound_tables(snapshot);
    assert_sound_records(snapshot);
    assert_sound_spans(snapshot);
    struct archive_reader *reader = history_save(&fixture.folder, "resaved", snapshot);
    const struct aggregate_config config = {0};
    struct run_history_damage none;
    struct aggregate *again = NULL;
    assert_int_equal(run_history_read(reader, &config, &again, &none, &error), 0);
    assert_int_equal(none.n_losses + none.n_rows_refused + none.n_rows_mended, 0);
    archive_reader_free(reader);
    aggregate_free(again);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static bool is_needed(enum history_kind kind)
{
    return kind == HISTORY_RUN || kind == HISTORY_IMAGES || kind == HISTORY_FRAMES ||
           kind == HISTORY_STACKS || kind == HISTORY_THREADS;
}

/* ---- tests ---- */

static void nothing_is_lost_of_what_is_whole(void **state)
{
    (void)state;
    struct run_history_damage damage;
    struct error error = {0};
    struct aggregate *aggregate = read_with(&fixture.members[0], &damage, &error);
    assert_non_null(aggregate);
    assert_int_equal(damage.n_losses + damage.n_rows_refused + damage.n_rows_mended, 0);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_sound_tables(snapshot);
    assert_sound_records(snapshot);
    assert_same_snapshot(fixture.snapshot, snapshot);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
}

static void a_member_that_is_missing(void **state)
{
    (void)state;
    for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
        const char *name = history_table((enum history_kind)kind)->member;
        struct member changed = {0};
        struct run_history_damage damage;
        struct error error = {0};
        snprintf(changed.name, sizeof(changed.name), "%s", name);
        struct aggregate *aggregate = read_with(&changed, &damage, &error);
        if (is_needed((enum history_kind)kind)) {
            assert_null(aggregate);
            assert_string_equal(error.code, "archive_invalid");
            assert_non_null(strstr(error.message, name));
            assert_non_null(strstr(error.message, "is missing"));
            continue;
        }
        assert_non_null(aggregate);
        assert_true(damage.n_losses >= 1);
        bool is_told = false;
        for (size_t i = 0; i < damage.n_losses; i++) {
            const struct run_history_loss *loss = &damage.losses[i];
            is_told = is_told || (strcmp(loss->member, name) == 0 && loss->is_missing);
            assert_true(loss->n_rows > 0);
        }
        assert_true(is_told);
        aggregate_free(aggregate);
    }
}

/* The records are gone, and all that was summed is there. */
static void sums_answer_without_records(void **state)
{
    (void)state;
    const enum history_kind kinds[] = {HISTORY_SAMPLES, HISTORY_SLICES, HISTORY_WAITS,
                                       HISTORY_READINGS};
    for (size_t i = 0; i < 4; i++) {
        struct member changed = {0};
        struct run_history_damage damage;
        struct error error = {0};
        snprintf(changed.name, sizeof(changed.name), "%s", history_table(kinds[i])->member);
        struct aggregate *aggregate = read_with(&changed, &damage, &error);
        assert_non_null(aggregate);
        /* Slices tell when most waits were. */
        bool has_waits = kinds[i] != HISTORY_SLICES;
        assert_int_equal(damage.n_losses, has_waits ? 1 : 2);
        assert_int_equal(damage.n_rows_mended, 0);
        assert_int_equal(damage.n_rows_refused, has_waits ? 0 : 1);
        struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
        assert_same_tables(fixture.snapshot, snapshot);
        assert_same_threads(fixture.snapshot, snapshot);
        assert_same_sums(fixture.snapshot, snapshot);
        snapshot_unref(snapshot);
        aggregate_free(aggregate);
    }
}

static void a_member_that_is_cut(void **state)
{
    (void)state;
    size_t n_read = 0;
    for (size_t i = 0; i < fixture.n_members; i++) {
        const struct member *whole = &fixture.members[i];
        for (size_t part = 0; part < 4; part++) {
            struct member changed = *whole;
            struct run_history_damage damage;
            bool is_read;
            changed.n_bytes = part * whole->n_bytes / 4;
            read_and_check(&changed, &damage, &is_read);
            n_read += is_read;
            if (is_read) {
                assert_true(damage.n_losses > 0);
                assert_true(damage.losses[0].n_rows > 0);
            }
        }
    }
    /* All of these have one frame, so that those that are needed are gone as a whole. */
    assert_int_equal(n_read, 4 * (HISTORY_KIND_N - 5));
}

static void bytes_that_are_changed(void **state)
{
    (void)state;
    uint64_t random = 1;
    size_t n_read = 0;
    for (unsigned int i = 0; i < 400; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const struct member *whole = &fixture.members[(random >> 33) % fixture.n_members];
        struct member changed = *whole;
        struct run_history_damage damage;
        bool is_read;
        changed.bytes = malloc(whole->n_bytes);
        assert_non_null(changed.bytes);
        memcpy(changed.bytes, whole->bytes, whole->n_bytes);
        changed.bytes[(random >> 20) % whole->n_bytes] ^= (uint8_t)(1 + (random >> 50) % 255);
        read_and_check(&changed, &damage, &is_read);
        n_read += is_read;
        free(changed.bytes);
    }
    assert_true(n_read > 150);
}

/* What is left of the waits are those that there were, with their times. */
static void a_frame_that_is_lost_in_between(void **state)
{
    (void)state;
    const enum history_kind kinds[] = {HISTORY_SLICES, HISTORY_WAITS, HISTORY_SAMPLES,
                                       HISTORY_STACKS, HISTORY_PAIRS, HISTORY_NAMES};
    for (size_t i = 0; i < 6; i++) {
        struct member changed = fixture.members[member_of(kinds[i])];
        struct column_buffer buffer = {0};
        struct run_history_damage damage;
        struct error error = {0};
        bool is_read;
        put_damaged(kinds[i], kinds[i] == HISTORY_NAMES ? 1 : 4, &buffer);
        changed.bytes = buffer.bytes;
        changed.n_bytes = buffer.n_bytes;
        read_and_check(&changed, &damage, &is_read);
        assert_true(is_read && damage.n_losses > 0);
        struct aggregate *aggregate = read_with(&changed, &damage, &error);
        struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
        bool costs_waits = kinds[i] == HISTORY_SLICES || kinds[i] == HISTORY_WAITS;
        assert_true(snapshot->n_waits > 50);
        assert_int_equal(snapshot->n_waits < fixture.snapshot->n_waits, costs_waits);
        for (uint64_t k = 0; k < snapshot->n_waits; k++) {
            const struct stored_wait *wait = snapshot_wait(snapshot, k);
            const struct stored_wait *before = snapshot_wait(fixture.snapshot, k);
            assert_int_equal(wait->start_ns, before->start_ns);
            assert_int_equal(wait->wake_ns, before->wake_ns);
            assert_int_equal(wait->end_ns, before->end_ns);
            assert_int_equal(wait->thread, before->thread);
        }
        assert_int_equal(snapshot->n_samples < fixture.snapshot->n_samples,
                         kinds[i] == HISTORY_SAMPLES || kinds[i] == HISTORY_PAIRS);
        snapshot_unref(snapshot);
        aggregate_free(aggregate);
        column_buffer_release(&buffer);
    }
}

/* Each frame of samples stands for itself: those before and behind one that is lost are as they
 * were. */
static void samples_around_a_frame_that_is_lost(void **state)
{
    (void)state;
    const struct aggregate_config config = {0};
    struct fixture kept = fixture;
    struct random_life life = {.state = 6, .n_threads = 9, .sample_pct = 50, .has_switches = true};
    struct run_history_damage damage;
    struct error error = {0};
    struct aggregate *whole = NULL;
    assert_int_equal(aggregate_new(&config, &whole), 0);
    random_life_play(&life, whole, 600000);
    struct snapshot *snapshot = aggregate_snapshot(whole, life.now_ns);
    assert_true(snapshot->n_samples > 2 * COLUMN_FRAME_ROWS + 1000);
    assert_true(snapshot->n_slices > COLUMN_FRAME_ROWS && snapshot->n_waits > COLUMN_FRAME_ROWS);
    struct archive_reader *saved = history_save(&fixture.folder, "long", snapshot);
    fixture.n_members = 0;
    for (size_t i = 0; i < archive_reader_count(saved); i++) {
        struct member *member = &fixture.members[fixture.n_members++];
        struct archive_bytes bytes;
        snprintf(member->name, sizeof(member->name), "%s", archive_reader_member(saved, i).name);
        assert_int_equal(archive_reader_read(saved, member->name, &bytes), 0);
        member->bytes = bytes.bytes;
        member->n_bytes = bytes.n_bytes;
    }
    archive_reader_free(saved);
    struct aggregate *read = read_with(&fixture.members[0], &damage, &error);
    assert_non_null(read);
    struct snapshot *again = aggregate_snapshot(read, 0);
    assert_same_snapshot(snapshot, again);
    snapshot_unref(again);
    aggregate_free(read);
    static uint8_t rows[COLUMN_FRAME_ROWS * HISTORY_ROW_BYTES];
    struct member *samples = &fixture.members[member_of(HISTORY_SAMPLES)];
    struct column_reader reader = column_reader_begin(samples->bytes, samples->n_bytes);
    size_t n_rows;
    assert_int_equal(
        column_reader_next(&reader, &history_table(HISTORY_SAMPLES)->columns, rows, &n_rows), 1);
    samples->bytes[reader.at + 100] ^= 1;
    struct aggregate *aggregate = read_with(samples, &damage, &error);
    assert_non_null(aggregate);
    assert_int_equal(damage.n_losses, 1);
    assert_int_equal(damage.losses[0].n_rows, COLUMN_FRAME_ROWS);
    assert_int_equal(damage.n_rows_refused + damage.n_rows_mended, 0);
    struct snapshot *left = aggregate_snapshot(aggregate, 0);
    assert_int_equal(left->n_samples, snapshot->n_samples - COLUMN_FRAME_ROWS);
    for (uint64_t i = 0; i < left->n_samples; i++) {
        uint64_t at = i < COLUMN_FRAME_ROWS ? i : i + COLUMN_FRAME_ROWS;
        const struct stored_sample *a = snapshot_sample(left, i);
        const struct stored_sample *b = snapshot_sample(snapshot, at);
        assert_int_equal(a->time_ns, b->time_ns);
        assert_int_equal(a->thread, b->thread);
        assert_int_equal(a->stack, b->stack);
        assert_int_equal(a->slice_class, b->slice_class);
    }
    assert_same_sums(snapshot, left);
    snapshot_unref(left);
    aggregate_free(aggregate);
    for (size_t i = 0; i < fixture.n_members; i++) {
        free(fixture.members[i].bytes);
    }
    fixture = kept;
    snapshot_unref(snapshot);
    aggregate_free(whole);
}

/* ---- rows that nobody has written, in frames that are right ---- */

static uint64_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return *random >> 16;
}

static void change_rows(uint8_t *rows, size_t n_rows, const struct column_table *table,
                        uint64_t *random)
{
    for (uint64_t i = 0, n = 1 + next_random(random) % 20; i < n; i++) {
        const struct column *column = &table->columns[next_random(random) % table->n_columns];
        uint8_t *field = rows + next_random(random) % n_rows * table->row_bytes + column->offset;
        uint64_t value = next_random(random) >> next_random(random) % 48;
        uint64_t before = 0;
        memcpy(&before, field, column->n_bytes);
        value = next_random(random) % 3 == 0 ? before + value % 100 - 50 : value;
        value = next_random(random) % 9 == 0 ? UINT64_MAX : value;
        memcpy(field, &value, column->n_bytes);
    }
}

static void lie(enum history_kind kind, uint64_t *random, size_t *n_read, uint64_t *n_bad)
{
    static uint8_t rows[COLUMN_FRAME_ROWS * HISTORY_ROW_BYTES];
    const struct history_table *table = history_table(kind);
    struct member changed = fixture.members[member_of(kind)];
    struct column_reader reader = column_reader_begin(changed.bytes, changed.n_bytes);
    struct column_buffer buffer = {0};
    struct run_history_damage damage;
    size_t n_rows;
    bool is_read;
    while (column_reader_next(&reader, &table->columns, rows, &n_rows) > 0) {
        change_rows(rows, n_rows, &table->columns, random);
        assert_int_equal(column_append(&buffer, &table->columns, rows, n_rows), 0);
        if (next_random(random) % 8 == 0) { /* once more than there ever was */
            assert_int_equal(column_append(&buffer, &table->columns, rows, n_rows), 0);
        }
    }
    changed.bytes = buffer.bytes;
    changed.n_bytes = buffer.n_bytes;
    read_and_check(&changed, &damage, &is_read);
    *n_read += is_read;
    *n_bad += damage.n_rows_mended + damage.n_rows_refused;
    column_buffer_release(&buffer);
}

static void rows_that_are_lies(void **state)
{
    (void)state;
    uint64_t random = 77, n_bad = 0;
    size_t n_read = 0;
    for (unsigned int i = 0; i < 12; i++) {
        for (int kind = 0; kind < HISTORY_KIND_N; kind++) {
            lie((enum history_kind)kind, &random, &n_read, &n_bad);
        }
    }
    assert_true(n_read > 150);
    assert_true(n_bad > 300);
}

/* What a later version adds is passed over. */
static void frames_of_other_kinds_are_passed_over(void **state)
{
    (void)state;
    struct member changed = fixture.members[member_of(HISTORY_SAMPLES)];
    struct column_buffer buffer = {0};
    struct column_table later = history_table(HISTORY_SAMPLES)->columns;
    const struct history_sample sample = {.time_ns = 1};
    struct run_history_damage damage;
    struct error error = {0};
    later.version = 2;
    assert_int_equal(column_append(&buffer, &later, &sample, 1), 0);
    size_t n_bytes = buffer.n_bytes + changed.n_bytes;
    uint8_t *bytes = malloc(n_bytes);
    assert_non_null(bytes);
    memcpy(bytes, buffer.bytes, buffer.n_bytes);
    memcpy(bytes + buffer.n_bytes, changed.bytes, changed.n_bytes);
    changed.bytes = bytes;
    changed.n_bytes = n_bytes;
    struct aggregate *aggregate = read_with(&changed, &damage, &error);
    assert_non_null(aggregate);
    assert_int_equal(damage.n_losses, 0);
    struct snapshot *snapshot = aggregate_snapshot(aggregate, 0);
    assert_same_snapshot(fixture.snapshot, snapshot);
    snapshot_unref(snapshot);
    aggregate_free(aggregate);
    column_buffer_release(&buffer);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_of_what_is_whole),
        cmocka_unit_test(a_member_that_is_missing),
        cmocka_unit_test(sums_answer_without_records),
        cmocka_unit_test(a_member_that_is_cut),
        cmocka_unit_test(a_frame_that_is_lost_in_between),
        cmocka_unit_test(samples_around_a_frame_that_is_lost),
        cmocka_unit_test(bytes_that_are_changed),
        cmocka_unit_test(rows_that_are_lies),
        cmocka_unit_test(frames_of_other_kinds_are_passed_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
