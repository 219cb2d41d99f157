/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * export_test - a made-up run, exported and read back, for the tests of exports
 *
 * Shape:   export_scene_small() has few stacks with names, export_scene_random()
 *          many events that fit together; export_read() gives a file's bytes.
 * Owner:   bytes are malloc()ed. Threads: one.
 */

#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interchange/export.h"
#include "query/wait_test.h"

/*
 * main: 100 ms in hash_key < walk_tree < run_worker, 60 ms in copy_bytes < run_worker, then
 * epoll_wait < run_worker for 40 ms; second: 80 ms in walk_tree < walk_tree < run_worker, then a
 * lock for 100 ms in a place that only the kernel names.
 */
static inline void export_scene_small(struct scene *scene)
{
    const uint64_t deep[] = {place_in(hash_key, 1), place_in(walk_tree, 1),
                             place_in(run_worker, 2)};
    const uint64_t flat[] = {place_in(copy_bytes, 1), place_in(run_worker, 3)};
    const uint64_t twice[] = {place_in(walk_tree, 3), place_in(walk_tree, 1),
                              place_in(run_worker, 2)};
    const uint64_t ready[] = {place_in(epoll_wait, 1), place_in(run_worker, 2)};
    const int64_t second = TEST_PID + 1;
    scene_begin(scene, true, false);
    tell_start(scene, 1000 * TEST_MS, TEST_PID, "main");
    tell_start(scene, 1000 * TEST_MS, second, "sec;ond \"2\"");
    for (uint64_t i = 0; i < 160; i++) {
        uint64_t time_ns = (1000 + i) * TEST_MS + TEST_MS / 2;
        tell_sample(scene->aggregate, time_ns, TEST_PID, i < 100 ? deep : flat, i < 100 ? 3 : 2);
        if (i < 80) {
            tell_sample(scene->aggregate, time_ns, second, twice, N_IPS(twice));
        }
        if (i == 79) {
            tell_block(scene, 1080 * TEST_MS, second, NULL, 0, no_object());
            tell_seen(scene, 1085 * TEST_MS, second, "futex_wait_queue", object_of(202, 0x1000));
        }
    }
    tell_wait(scene, 1160 * TEST_MS, 1200 * TEST_MS, TEST_PID, ready, N_IPS(ready));
    tell_in(scene->aggregate, 1180 * TEST_MS, second);
    tell_out(scene->aggregate, 1200 * TEST_MS, TEST_PID, false);
    tell_out(scene->aggregate, 1200 * TEST_MS, second, false);
    tell_thread(scene->aggregate, 1200 * TEST_MS, second, EVENT_THREAD_GONE, NULL);
    tell_thread(scene->aggregate, 1200 * TEST_MS, TEST_PID, EVENT_THREAD_GONE, NULL);
    scene_freeze(scene, 1200 * TEST_MS);
}

static inline void export_scene_random(struct scene *scene, unsigned int n_steps)
{
    struct random_life life = {
        .state = 7, .n_threads = 8, .sample_pct = 60, .has_switches = true, .has_wakers = true};
    scene_begin(scene, false, false);
    random_life_play(&life, scene->aggregate, n_steps);
    scene_freeze(scene, life.now_ns);
}

static const struct run_info export_test_run = {
    .id = 7,
    .pid = TEST_PID,
    .command = "./worker --mode \"<fast>\"",
    .started_at_unix_ns = UINT64_C(1700000000123456789),
    .frequency_hz = 1000,
};

static inline int export_to(struct scene *scene, enum export_format format, int fd,
                            struct export_tally *ret_tally)
{
    const struct export_source source = {.query = &scene->context, .run = &export_test_run};
    return export_write(&source, format, fd, ret_tally, &scene->error);
}

/* The file; NUL-terminated. */
__attribute__((noinline, unused)) static char *
export_read(struct scene *scene, enum export_format format, size_t *ret_n_bytes)
{
    _cleanup_(fd_closep) int fd = memfd_create("export", MFD_CLOEXEC);
    struct export_tally tally;
    char *bytes = NULL;
    assert_true(fd >= 0);
    assert_int_equal(export_to(scene, format, fd, &tally), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(fd, (size_t)1 << 30, &bytes, ret_n_bytes), 0);
    assert_int_equal(tally.n_bytes, *ret_n_bytes);
    return bytes;
}

static inline json_t *export_read_json(struct scene *scene, enum export_format format)
{
    size_t n_bytes;
    json_error_t error;
    _cleanup_(freep) char *bytes = export_read(scene, format, &n_bytes);
    json_t *json = json_loadb(bytes, n_bytes, 0, &error);
    if (!json) {
        print_error("%s at %d:%d: %.60s\n", error.text, error.line, error.column,
                    bytes + (error.position > 30 ? error.position - 30 : 0));
    }
    assert_non_null(json);
    return json;
}

static inline void export_attribution(struct scene *scene, struct attribution *ret_attribution)
{
    const struct wait_shares *waits;
    assert_int_equal(attribution_compute(&scene->context, ret_attribution, &scene->error), 0);
    assert_int_equal(attribution_waits(&scene->context, ret_attribution, &waits), 0);
}
