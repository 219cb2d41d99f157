/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "inject/itt_functions.h"
#include "inject/test_target.h"

static const struct itt_id none;

static struct itt_id id_of(unsigned long long number)
{
    return (struct itt_id){.words = {number, 0, 0}};
}

static int setup(void **state)
{
    (void)state;
    test_target_record(true);
    return 0;
}

static const struct test_span *find(const char *path)
{
    size_t n;
    const struct test_span *span = test_target_find(path, &n);
    assert_int_equal(n, 1);
    return span;
}

/* The program's side: a list of functions as its part of ITT has it. */
static void *task_begin, *domain_create, *sync_create, *pause_place, *strange;
static char programs_domain_create, programs_pause, first;

static struct itt_function functions[] = {
    {"__itt_domain_create", &domain_create, &first, &programs_domain_create, 0},
    {"__itt_pause", &pause_place, &first, &programs_pause, 0},
    {"__itt_task_begin", &task_begin, &first, NULL, 0},
    {"__itt_sync_create", &sync_create, &first, NULL, 0},
    {"elsewhere_task_begin", &strange, &first, NULL, 0},
    {"__itt_task_end", NULL, &first, NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

static struct itt_global make_global(void)
{
    task_begin = domain_create = sync_create = pause_place = strange = &first;
    return (struct itt_global){
        .magic = ITT_MAGIC, .version_major = 3, .version_build = 20180723, .functions = functions};
}

static void every_place_of_the_programs_list_is_written(void **state)
{
    (void)state;
    struct itt_global global = make_global();
    itt_api_init(&global, -1);
    void (*own)(const struct itt_domain *, struct itt_id, struct itt_id, struct itt_string *) =
        itt_task_begin;
    assert_memory_equal(&task_begin, &own, sizeof(own));
    assert_ptr_not_equal(domain_create, &programs_domain_create);
    assert_ptr_not_equal(domain_create, &first);
    assert_ptr_not_equal(pause_place, &programs_pause);
    assert_ptr_not_equal(pause_place, &first);
    assert_null(sync_create);
    assert_null(strange);
}

static void what_is_not_known_is_left_alone(void **state)
{
    (void)state;
    itt_api_init(NULL, -1);
    struct itt_global globals[4];
    for (int i = 0; i < 4; i++) {
        globals[i] = make_global();
    }
    globals[0].magic[7] ^= 1;
    globals[1].version_major = 4;
    globals[2].version_build = 20101001;
    globals[3].functions = NULL;
    for (int i = 0; i < 4; i++) {
        itt_api_init(&globals[i], -1);
        assert_ptr_equal(task_begin, &first);
        assert_ptr_equal(sync_create, &first);
    }
}

static void tasks_nest_on_their_thread(void **state)
{
    (void)state;
    /* As the program's own part makes them. */
    struct itt_domain domain = {.flags = 1, .name = "org.example.render"};
    struct itt_string frame = {.text = "frame"}, draw = {.text = "draw"}, hit = {.text = "hit"};
    struct itt_string size = {.text = "triangles"};
    char lane[96];
    snprintf(lane, sizeof(lane), "org.example.render: thread %d", gettid());
    uint32_t triangles = 300;
    double ratio = 0.5;
    itt_task_begin(&domain, id_of(1), none, &frame);
    itt_task_begin(&domain, id_of(2), none, &draw);
    itt_metadata_add(&domain, none, &size, ITT_NUMBER_U32, 1, &triangles);
    itt_metadata_add(&domain, id_of(1), &size, ITT_NUMBER_DOUBLE, 1, &ratio);
    itt_metadata_add(&domain, id_of(2), &size, ITT_NUMBER_DOUBLE, 1, &ratio);
    itt_metadata_add(&domain, none, &size, 77, 1, &ratio);
    itt_metadata_add(&domain, none, NULL, ITT_NUMBER_DOUBLE, 1, &ratio);
    itt_metadata_add(&domain, none, &size, ITT_NUMBER_DOUBLE, 0, NULL);
    itt_metadata_str_add(&domain, none, &size, "secret", 6);
    itt_marker(&domain, none, &hit, 0);
    itt_task_end(&domain);
    itt_task_end(&domain);
    itt_task_end(&domain);
    const struct test_span *inner = find("frame/draw");
    assert_string_equal(inner->lane, lane);
    assert_int_equal(inner->n_counters, 2);
    assert_string_equal(inner->counter, "triangles");
    assert_true(inner->values[0] == 300.0 && inner->values[1] == 0.5);
    assert_string_equal(find("frame")->lane, lane);
    assert_int_equal(find("frame")->n_counters, 0);
    find("frame/draw/hit");
    assert_int_equal(test_target_n_spans(), 3);
}

static void the_other_ways_to_begin_a_task(void **state)
{
    (void)state;
    struct itt_domain *domain = itt_domain_create("other ways");
    struct itt_string *name = itt_string_handle_create("named");
    assert_ptr_equal(itt_domain_create("other ways"), domain);
    assert_ptr_equal(itt_string_handle_create("named"), name);
    assert_int_equal(domain->flags, 1);
    void *function;
    void (*puts_function)(void) = (void (*)(void))puts;
    memcpy(&function, &puts_function, sizeof(function));
    itt_task_begin_fn(domain, none, none, function);
    itt_task_begin_fn_ex(domain, NULL, 5, none, none, &first);
    itt_task_begin_ex(domain, NULL, 5, none, none, name);
    itt_task_group(domain, none, none, name);
    itt_id_create(domain, none);
    itt_id_destroy(domain, none);
    itt_task_end_ex(domain, NULL, 9);
    itt_task_end(domain);
    itt_task_end(domain);
    assert_string_equal(test_target_span(2)->path, "puts");
    assert_non_null(strstr(test_target_span(1)->path, "puts/test_inject_itt+0x"));
    assert_non_null(strstr(test_target_span(0)->path, "/named"));
    itt_task_begin(NULL, none, none, NULL);
    itt_task_end(NULL);
    assert_memory_equal(find("(unnamed)")->lane, "ITT: ", 5);
}

static void what_overlaps_is_found_by_its_id(void **state)
{
    (void)state;
    struct itt_domain *domain = itt_domain_create("overlap");
    struct itt_string *a = itt_string_handle_create("a"), *b = itt_string_handle_create("b");
    itt_task_begin_overlapped(domain, id_of(1), none, a);
    itt_task_begin_overlapped_ex(domain, NULL, 0, id_of(2), none, b);
    itt_region_begin(domain, id_of(1), none, itt_string_handle_create("region"));
    itt_task_end_overlapped(domain, id_of(1));
    itt_task_end_overlapped_ex(domain, NULL, 0, id_of(2));
    itt_task_end_overlapped(domain, id_of(3));
    itt_region_end(domain, id_of(1));
    assert_string_equal(find("a")->lane, "overlap ranges");
    assert_true(find("b")->start_ns <= find("a")->end_ns);
    find("region");
    assert_int_equal(test_target_n_spans(), 3);
}

static void frames_and_events_are_ranges_too(void **state)
{
    (void)state;
    struct itt_domain *domain = itt_domain_create("game");
    struct itt_id id = id_of(5);
    itt_frame_begin_v3(domain, NULL);
    itt_frame_begin_v3(domain, &id);
    itt_frame_end_v3(domain, &id);
    itt_frame_end_v3(domain, NULL);
    unsigned long long begin = itt_get_timestamp();
    itt_frame_submit_v3(domain, NULL, begin, ITT_TIMESTAMP_NONE);
    itt_frame_submit_v3(domain, NULL, begin + 1000, begin);
    itt_frame_submit_v3(domain, NULL, begin, UINT64_MAX / 2);
    void *frame = itt_frame_create("game");
    itt_frame_begin(frame);
    itt_frame_end(frame);
    itt_frame_end(NULL);
    size_t n;
    assert_string_equal(test_target_find("frame", &n)->lane, "game ranges");
    assert_int_equal(n, 4);

    int event = itt_event_create("saved", 4);
    assert_int_equal(itt_event_create("save", -1), event);
    assert_int_equal(itt_event_start(event), 0);
    assert_int_equal(itt_event_end(event), 0);
    itt_event_end(event);
    assert_true(itt_event_start(0) < 0);
    assert_true(itt_event_start(1000000) < 0);
    assert_true(itt_event_start(-5) < 0);
    assert_string_equal(find("save")->lane, "ITT ranges");
}

static void counters_are_moments_with_a_value(void **state)
{
    (void)state;
    struct itt_counter *queue = itt_counter_create("queue", "server");
    assert_ptr_equal(itt_counter_create("queue", "server"), queue);
    itt_counter_inc(queue);
    itt_counter_inc_delta(queue, 9);
    itt_counter_dec_delta(queue, 4);
    itt_counter_dec(queue);
    static const double sums[] = {1, 10, 6, 5};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(test_target_span(i)->path, "queue");
        assert_string_equal(test_target_span(i)->lane, "server counters");
        assert_true(test_target_span(i)->values[0] == sums[i]);
    }
    struct itt_counter *heat = itt_counter_create_typed("heat", NULL, ITT_NUMBER_FLOAT);
    float degrees = 36.5f;
    itt_counter_set_value(heat, &degrees);
    itt_counter_set_value_ex(heat, NULL, 0, NULL);
    assert_true(find("heat")->values[0] == 36.5);
    struct itt_domain *domain = itt_domain_create("old");
    struct itt_string *name = itt_string_handle_create("jobs");
    itt_counter_inc_v3(domain, name);
    itt_counter_dec_v3(domain, name);
    itt_counter_inc_delta_v3(domain, name, 5);
    itt_counter_dec_delta_v3(domain, name, 7);
    assert_true(test_target_span(test_target_n_spans() - 1)->values[0] == -2.0);
    itt_counter_destroy(queue);
    /* Made before the library came: the program's own. */
    char strange_counter[64] = "";
    itt_counter_inc((struct itt_counter *)(void *)strange_counter);
    itt_counter_inc(NULL);
    assert_int_equal(test_target_n_spans(), 9);
}

static void numbers_of_every_kind_are_read(void **state)
{
    (void)state;
    uint64_t u64 = 1u << 20;
    int64_t s64 = -8;
    int32_t s32 = -9;
    uint16_t u16 = 60000;
    int16_t s16 = -10;
    double value;
    assert_true(itt_read_number(ITT_NUMBER_U64, &u64, &value) && value == 1048576.0);
    assert_true(itt_read_number(ITT_NUMBER_S64, &s64, &value) && value == -8.0);
    assert_true(itt_read_number(ITT_NUMBER_S32, &s32, &value) && value == -9.0);
    assert_true(itt_read_number(ITT_NUMBER_U16, &u16, &value) && value == 60000.0);
    assert_true(itt_read_number(ITT_NUMBER_S16, &s16, &value) && value == -10.0);
    assert_false(itt_read_number(ITT_NUMBER_NONE, &u64, &value));
    assert_false(itt_read_number(-1, &u64, &value));
    assert_false(itt_read_number(ITT_NUMBER_DOUBLE, NULL, &value));
}

static void a_thread_is_called_by_its_name(void **state)
{
    (void)state;
    struct itt_domain *domain = itt_domain_create("named");
    struct itt_string *name = itt_string_handle_create("work");
    itt_thread_set_name("render");
    itt_task_begin(domain, none, none, name);
    itt_task_end(domain);
    itt_thr_name_set("painter", 5);
    itt_task_begin(domain, none, none, itt_string_handle_create("more"));
    itt_task_end(domain);
    itt_thread_set_name(NULL);
    itt_thread_set_name("");
    assert_string_equal(find("work")->lane, "named: render");
    assert_string_equal(find("more")->lane, "named: paint");
    itt_pause();
    itt_resume();
    itt_thread_ignore();
    itt_detach();
    assert_non_null(itt_api_version());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_not_known_is_left_alone, setup),
        cmocka_unit_test_setup(every_place_of_the_programs_list_is_written, setup),
        cmocka_unit_test_setup(tasks_nest_on_their_thread, setup),
        cmocka_unit_test_setup(the_other_ways_to_begin_a_task, setup),
        cmocka_unit_test_setup(what_overlaps_is_found_by_its_id, setup),
        cmocka_unit_test_setup(frames_and_events_are_ranges_too, setup),
        cmocka_unit_test_setup(counters_are_moments_with_a_value, setup),
        cmocka_unit_test_setup(numbers_of_every_kind_are_read, setup),
        cmocka_unit_test_setup(a_thread_is_called_by_its_name, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
