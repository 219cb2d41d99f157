/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * query_test - a made-up run and whoever asks about it, for the tests of query
 *
 * Shape:   scene_begin(), tell events, scene_freeze(), ask, scene_end(). The
 *          functions of the run are real ones, those of this test program, so
 *          that they have names.
 * Owner:   the scene. Threads: one, and the symbolizer's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/aggregate_test.h"
#include "base/fd.h"
#include "images/proc_maps.h"
#include "query/attribution.h"
#include "query/query_names.h"
#include "symbols/symbolizer.h"

struct scene {
    struct symbolizer *symbolizer; /* NULL: nothing has a name */
    struct query_names *names;
    struct aggregate *aggregate;
    struct snapshot *snapshot;
    struct arena arena; /* of the answers */
    struct view view;
    struct query_context context;
    struct error error;
};

/* Room for the addresses of FUNCTION_PLACES places, whatever the processor. */
#define FUNCTION_PLACES 16
#define TEST_FUNCTION(name)                                                                        \
    __attribute__((noinline, used)) static void name(void)                                         \
    {                                                                                              \
        __asm__ volatile(".rept 32\n nop\n .endr");                                                \
    }

TEST_FUNCTION(walk_tree)
TEST_FUNCTION(visit_node)
TEST_FUNCTION(hash_key)
TEST_FUNCTION(copy_bytes)
TEST_FUNCTION(run_worker)

/* The address of a place inside a function, as a sample of it or as a return into it. */
static inline uint64_t place_in(void (*function)(void), unsigned int place)
{
    return (uint64_t)(uintptr_t)function + 4 + place % FUNCTION_PLACES;
}

static inline void scene_on_image(void *userdata, const struct image *image)
{
    const struct scene *scene = userdata;
    query_names_on_image(scene->names, image);
}

static inline void scene_on_image_seen(void *userdata, image_id image)
{
    const struct scene *scene = userdata;
    query_names_on_image_seen(scene->names, image);
}

/* The code of this program becomes the code of the run. */
static inline void scene_map_self(const struct scene *scene, uint64_t time_ns)
{
    _cleanup_(freep) char *maps = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/maps", 1 << 22, &maps, &n_bytes), 0);
    char *at = maps;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        if (line.is_executable) {
            tell_image(scene->aggregate, time_ns, TEST_PID, line.image);
        }
    }
}

static inline void scene_begin(struct scene *scene, bool has_symbols, bool has_no_switches)
{
    *scene = (struct scene){0};
    if (has_symbols) {
        assert_int_equal(symbolizer_new(&scene->symbolizer), 0);
    }
    assert_int_equal(query_names_new(scene->symbolizer, &scene->names), 0);
    struct aggregate_config config = {.has_no_switches = has_no_switches};
    if (has_symbols) {
        config.listener = (struct aggregate_listener){
            .userdata = scene,
            .on_image = scene_on_image,
            .on_image_seen = scene_on_image_seen,
        };
    }
    assert_int_equal(aggregate_new(&config, &scene->aggregate), 0);
    if (has_symbols) {
        scene_map_self(scene, 1);
    }
    arena_init(&scene->arena, 0);
}

/* Takes the snapshot that is asked from here on; waits until names are known. */
static inline void scene_freeze(struct scene *scene, uint64_t now_ns)
{
    snapshot_unref(scene->snapshot);
    scene->snapshot = aggregate_snapshot(scene->aggregate, now_ns);
    assert_non_null(scene->snapshot);
    if (scene->symbolizer) {
        assert_true(symbolizer_wait_idle(scene->symbolizer, 20000));
    }
    scene->context = (struct query_context){
        .snapshot = scene->snapshot,
        .names = scene->names,
        .view = &scene->view,
        .run = 7,
        .state = RUN_STATE_STOPPED,
        .arena = &scene->arena,
    };
}

/* A new question: earlier answers are gone, the view is that of everything. */
static inline void scene_ask_anew(struct scene *scene)
{
    arena_release(&scene->arena);
    arena_init(&scene->arena, 0);
    scene->view = (struct view){0};
    scene->error = (struct error){0};
}

static inline void scene_end(struct scene *scene)
{
    arena_release(&scene->arena);
    snapshot_unref(scene->snapshot);
    scene->names = query_names_free(scene->names);
    scene->aggregate = aggregate_free(scene->aggregate);
    scene->symbolizer = symbolizer_free(scene->symbolizer);
}

/* Whose code a stack ends in and runs through, decided frame by frame from the sample itself. */
static inline bool scene_stack_has(const struct scene *scene, stack_id stack,
                                   const struct symbol *symbol)
{
    for (; stack != STACK_ID_EMPTY; stack = snapshot_stack(scene->snapshot, stack).parent) {
        frame_id frame = snapshot_stack(scene->snapshot, stack).frame;
        if (query_names_find(scene->names, scene->snapshot, frame) == symbol) {
            return true;
        }
    }
    return false;
}
