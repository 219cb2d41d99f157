/* SPDX-License-Identifier: MIT */
#include "interchange/export_test.h"

static void lines_are_stacks_with_ns(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    export_scene_small(&scene);
    _cleanup_(freep) char *cpu = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_string_equal(cpu, "main-100;run_worker;walk_tree;hash_key 100000000\n"
                             "main-100;run_worker;copy_bytes 60000000\n"
                             "sec_ond \"2\"-101;run_worker;walk_tree;walk_tree 100000000\n");
    scene_ask_anew(&scene);
    scene.view.mode = VIEW_MODE_OFF_CPU;
    _cleanup_(freep) char *off = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_string_equal(off,
                        "main-100;run_worker;epoll_wait;[off-CPU: ready] 40000000\n"
                        "sec_ond \"2\"-101;run_worker;walk_tree;walk_tree;futex_wait_queue_[k];"
                        "[off-CPU: idle] 100000000\n");
    scene_ask_anew(&scene);
    scene.view.mode = VIEW_MODE_WALL;
    _cleanup_(freep) char *wall = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_int_equal(n_bytes, strlen(cpu) + strlen(off));
    assert_non_null(strstr(wall, "copy_bytes 60000000\n"));
    assert_non_null(strstr(wall, "[off-CPU: ready] 40000000\n"));
    scene_end(&scene);
}

/* Numbers behind the last space of all lines. */
static uint64_t sum_of(char *text)
{
    uint64_t sum = 0;
    for (char *line = text; *line != '\0';) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        char *space = strrchr(line, ' ');
        assert_non_null(space);
        sum += strtoull(space + 1, NULL, 10);
        line = end + 1;
    }
    return sum;
}

static void lines_sum_to_the_totals(void **state)
{
    (void)state;
    struct scene scene;
    struct attribution attribution;
    size_t n_bytes;
    export_scene_random(&scene, 20000);
    export_attribution(&scene, &attribution);
    _cleanup_(freep) char *cpu = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_int_equal(sum_of(cpu), attribution.totals.cpu_ns);
    scene.view.mode = VIEW_MODE_WALL;
    _cleanup_(freep) char *wall = export_read(&scene, EXPORT_FORMAT_FOLDED, &n_bytes);
    assert_int_equal(sum_of(wall), attribution.totals.cpu_ns + attribution.totals.off_cpu_ns);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_stacks_with_ns),
        cmocka_unit_test(lines_sum_to_the_totals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
