/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "target_ring/tables.h"

static struct target_ring_tables tables;
static int memory_fd;

static int make(void **state)
{
    void *memory;
    (void)state;
    memset(&tables, 0, sizeof(tables));
    if (target_ring_memory_new(&memory, &memory_fd) < 0) {
        return -1;
    }
    target_ring_tables_init(&tables, memory);
    return 0;
}

static int end(void **state)
{
    (void)state;
    munmap(tables.memory, TARGET_RING_BYTES);
    close(memory_fd);
    return 0;
}

static uint32_t add(uint32_t parent, const char *text)
{
    return target_ring_name_add(&tables, parent, text, target_ring_name_length(text));
}

static uint32_t find(uint32_t parent, const char *text)
{
    return target_ring_name_find(&tables, parent, text, target_ring_name_length(text));
}

static const struct target_ring_state *words(void)
{
    return target_ring_state(tables.memory);
}

static void a_name_is_its_parent_and_its_text(void **state)
{
    (void)state;
    uint32_t a = add(0, "a"), b = add(0, "b");
    assert_int_equal(a, 2);
    assert_int_equal(b, 3);
    assert_int_equal(add(0, "a"), a);
    uint32_t inner = add(a, "b");
    assert_int_not_equal(inner, b);
    assert_int_equal(add(a, "b"), inner);
    assert_int_equal(find(b, "b"), 0);
    assert_int_equal(find(0, "(other)"), TARGET_RING_NAME_OTHER);
    assert_int_equal(target_ring_names(tables.memory)[inner].parent, a);
    assert_int_equal(words()->n_names, 4);
    assert_int_equal(words()->n_text_bytes, strlen("(other)abb"));
}

static void a_long_name_is_cut_between_characters(void **state)
{
    (void)state;
    char text[400];
    memset(text, 'x', sizeof(text));
    text[399] = '\0';
    assert_int_equal(target_ring_name_length(text), 255);
    memcpy(text + 254, "\xc3\xa4", 2);
    assert_int_equal(target_ring_name_length(text), 254);
    memcpy(text + 252, "\xf0\x9f\x98\x80", 4);
    assert_int_equal(target_ring_name_length(text), 252);
    memset(text, '\x80', 399);
    assert_int_equal(target_ring_name_length(text), 255);
    text[255] = '\0';
    assert_int_equal(target_ring_name_length(text), 255);
}

/* A million distinct names: the table is full, what is in it stays to be found. */
static void names_that_are_too_many_are_other(void **state)
{
    (void)state;
    char text[32];
    for (uint32_t i = 0; i < 1000000; i++) {
        snprintf(text, sizeof(text), "%u", i);
        uint32_t id = add(0, text);
        assert_int_equal(id, i < 65534 ? i + 2 : TARGET_RING_NAME_OTHER);
    }
    assert_int_equal(words()->n_names, TARGET_RING_NAMES - 1);
    assert_int_equal(words()->n_names_refused, 1000000 - 65534);
    assert_int_equal(find(0, "65533"), 65535);
    assert_int_equal(find(0, "65534"), 0);
}

static void text_that_is_too_much_is_other(void **state)
{
    (void)state;
    char text[300];
    uint32_t n_kept = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(text, sizeof(text), "%0255d", i);
        n_kept += add(0, text) != TARGET_RING_NAME_OTHER;
    }
    assert_int_equal(n_kept, (TARGET_RING_TEXT_BYTES - 7) / 255);
    assert_true(words()->n_text_bytes <= TARGET_RING_TEXT_BYTES);
    assert_int_equal(words()->n_names_refused, 10000 - n_kept);
}

static void lanes_that_are_too_many_are_one(void **state)
{
    (void)state;
    char text[32];
    for (uint32_t i = 1; i <= 5000; i++) {
        snprintf(text, sizeof(text), "lane %u", i);
        uint32_t id = target_ring_lane_add(&tables, add(0, text), 1);
        assert_int_equal(id, i < TARGET_RING_LANE_OTHER ? i : TARGET_RING_LANE_OTHER);
    }
    const struct target_ring_lane *last = &target_ring_lanes(tables.memory)[TARGET_RING_LANE_OTHER];
    assert_int_equal(last->is_set, 1);
    assert_int_equal(last->name, TARGET_RING_NAME_OTHER);
    assert_int_equal(words()->n_lanes, TARGET_RING_LANES - 1);
    assert_int_equal(words()->n_lanes_refused, 5000 - 1022);
    assert_int_equal(target_ring_lane_add(&tables, add(0, "lane 7"), 1), 7);
}

static void a_lane_of_another_kind_is_another(void **state)
{
    (void)state;
    uint32_t name = add(0, "GPU 0");
    assert_int_equal(target_ring_lane_add(&tables, name, 1), 1);
    assert_int_equal(target_ring_lane_add(&tables, name, 2), 2);
    assert_int_equal(target_ring_lane_add(&tables, name, 1), 1);
}

static void *look_all_the_time(void *stop)
{
    uintptr_t n_wrong = 0;
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
        char text[32];
        uint32_t n_names = __atomic_load_n(&tables.extent.n_names, __ATOMIC_ACQUIRE);
        /* The newest may not be in the index yet. */
        if (n_names > 2) {
            snprintf(text, sizeof(text), "name %u", n_names - 1);
            n_wrong += find(0, text) != n_names - 1;
        }
    }
    return (void *)n_wrong;
}

static void readers_need_no_lock(void **state)
{
    (void)state;
    pthread_t reader;
    bool stop = false;
    void *n_wrong;
    assert_int_equal(pthread_create(&reader, NULL, look_all_the_time, &stop), 0);
    for (uint32_t i = 2; i < 20000; i++) {
        char text[32];
        snprintf(text, sizeof(text), "name %u", i);
        assert_int_equal(add(0, text), i);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(reader, &n_wrong);
    assert_null(n_wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_is_its_parent_and_its_text, make, end),
        cmocka_unit_test_setup_teardown(a_long_name_is_cut_between_characters, make, end),
        cmocka_unit_test_setup_teardown(names_that_are_too_many_are_other, make, end),
        cmocka_unit_test_setup_teardown(text_that_is_too_much_is_other, make, end),
        cmocka_unit_test_setup_teardown(lanes_that_are_too_many_are_one, make, end),
        cmocka_unit_test_setup_teardown(a_lane_of_another_kind_is_another, make, end),
        cmocka_unit_test_setup_teardown(readers_need_no_lock, make, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
