/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "model/lane.h"
#include "server/target_tables.h"

static struct run_ingest *ingest;
static struct target_tables *tables;
static uint32_t n_told;
static char last_text[LIMIT_SPAN_NAME_BYTES];
static int64_t last_pid;

static int set_up(void **state)
{
    (void)state;
    const struct run_ingest_config config = {.n_slabs = 4};
    n_told = 0;
    return run_ingest_new(&config, &ingest) < 0 || target_tables_new(1, ingest, &tables) < 0 ? -1
                                                                                             : 0;
}

static int tear_down(void **state)
{
    (void)state;
    tables = target_tables_free(tables);
    ingest = run_ingest_free(ingest);
    return 0;
}

static void drain(void)
{
    struct run_slab *slab;
    run_ingest_flush(ingest);
    while ((slab = run_ingest_next(ingest))) {
        for (size_t i = 0; i < event_batch_count(slab->batch); i++) {
            const struct event *event = event_batch_get(slab->batch, i);
            bool is_lane = event->kind == EVENT_LANE;
            assert_true(is_lane || event->kind == EVENT_SPAN_NAME);
            snprintf(last_text, sizeof(last_text), "%s",
                     is_lane ? event->lane.name : event->span_name.text);
            last_pid = event->pid;
            n_told++;
        }
        run_ingest_return(ingest, slab);
    }
}

static uint32_t lane(int64_t pid, uint32_t kind, const char *name)
{
    struct target_ring_text told = {.kind = kind, .n_bytes = strlen(name)};
    memcpy(told.text, name, told.n_bytes + 1);
    uint32_t number = target_tables_lane(tables, pid, &told);
    drain();
    return number;
}

static uint32_t name(uint32_t parent, const char *text)
{
    uint32_t number = target_tables_name(tables, parent, text, strlen(text));
    drain();
    return number;
}

static void test_one_number_for_one_lane(void **state)
{
    (void)state;
    assert_int_equal(lane(1, LANE_KIND_GPU, "a"), 0);
    assert_int_equal(lane(1, LANE_KIND_GPU, "b"), 1);
    assert_int_equal(lane(1, LANE_KIND_IO, "a"), 2);
    assert_int_equal(lane(2, LANE_KIND_GPU, "a"), 3);
    assert_int_equal(lane(1, LANE_KIND_GPU, "a"), 0);
    assert_int_equal(lane(1, 77, "odd"), 4);
    assert_int_equal(lane(1, LANE_KIND_GENERIC, "odd"), 4);
    assert_int_equal(n_told, 5);
    assert_int_equal(target_tables_count_lanes(tables), 5);
}

static void test_one_number_for_one_name(void **state)
{
    (void)state;
    assert_int_equal(name(0, "a"), 1);
    assert_int_equal(name(1, "a"), 2);
    assert_int_equal(name(1, ""), 3);
    assert_int_equal(name(0, "a"), 1);
    assert_int_equal(name(1, "a"), 2);
    assert_int_equal(n_told, 3);
    assert_int_equal(target_tables_count_names(tables), 3);
}

static void test_too_many_lanes(void **state)
{
    (void)state;
    char text[16];
    for (uint32_t i = 0; i < LIMIT_LANES - 1; i++) {
        snprintf(text, sizeof(text), "%u", i);
        assert_int_equal(lane(5, 0, text), i);
    }
    assert_int_equal(lane(5, LANE_KIND_GPU, "x"), LIMIT_LANES - 1);
    assert_string_equal(last_text, "(other)");
    assert_int_equal(last_pid, 1); /* the run's */
    assert_int_equal(lane(5, LANE_KIND_GPU, "y"), LIMIT_LANES - 1);
    assert_int_equal(lane(5, 0, "7"), 7);
    assert_int_equal(n_told, LIMIT_LANES);
}

/* A number is given when it could be told, and not before. */
static void test_no_room_to_tell(void **state)
{
    (void)state;
    char text[16];
    uint32_t number = 0, n_given = 0;
    for (uint32_t i = 0; number != TARGET_TABLES_NONE; i++) {
        n_given = i;
        snprintf(text, sizeof(text), "%u", i);
        number = target_tables_name(tables, 0, text, strlen(text));
    }
    assert_true(n_given > 0);
    assert_int_equal(target_tables_count_names(tables), n_given);
    assert_int_equal(target_tables_name(tables, 0, text, strlen(text)), TARGET_TABLES_NONE);
    drain();
    assert_int_equal(target_tables_name(tables, 0, text, strlen(text)), n_given + 1);
    drain();
    assert_int_equal(n_told, n_given + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_number_for_one_lane),
        TEST(test_one_number_for_one_name),
        TEST(test_too_many_lanes),
        TEST(test_no_room_to_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
