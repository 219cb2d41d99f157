/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* The frame of a sample at this address. */
static frame_id frame_at(struct scene *scene, uint64_t ip)
{
    tell_sample(scene->aggregate, 10, TEST_PID, &ip, 1);
    scene_freeze(scene, 10);
    const struct stored_sample *sample =
        snapshot_sample(scene->snapshot, scene->snapshot->n_samples - 1);
    return snapshot_stack(scene->snapshot, sample->stack).frame;
}

static const struct symbol *find(struct scene *scene, frame_id frame)
{
    const struct symbol *symbol = query_names_find(scene->names, scene->snapshot, frame);
    assert_non_null(symbol);
    return symbol;
}

static void functions_have_their_names(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    frame_id frame = frame_at(&scene, place_in(walk_tree, 0));
    const struct symbol *symbol = find(&scene, frame);
    assert_string_equal(symbol->name, "walk_tree");
    assert_int_equal(symbol->kind, FRAME_KIND_USER);
    assert_non_null(strstr(symbol->image, "query_names"));
    /* Another place in it is the same function, the same pointer. */
    frame_id other = frame_at(&scene, place_in(walk_tree, 7));
    assert_int_not_equal(frame, other);
    assert_ptr_equal(find(&scene, other), symbol);
    assert_ptr_not_equal(find(&scene, frame_at(&scene, place_in(visit_node, 0))), symbol);

    struct frame place = snapshot_frame(scene.snapshot, frame);
    struct symbol_source_info info;
    query_names_describe(scene.names, place.image, &info);
    assert_int_equal(info.state, SYMBOL_STATE_LOADED);
    assert_true(info.n_functions > 10);
    query_names_describe(scene.names, IMAGE_ID_UNKNOWN, &info);
    assert_int_equal(info.state, SYMBOL_STATE_IDLE);
    query_names_describe(scene.names, 4000000000u, &info);
    assert_string_equal(info.origin, "none");
    scene_end(&scene);
}

static void places_without_a_name_are_told_by_address(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_mapped(scene.aggregate, 2, 0x400000, 0x500000, 0x3000, "/no/such/file.so");
    tell_mapped(scene.aggregate, 2, 0x600000, 0x700000, 0, "//anon");
    const struct {
        uint64_t ip;
        const char *name, *image;
        enum frame_kind kind;
    } cases[] = {
        {0x400123, "file.so+0x3123", "file.so", FRAME_KIND_USER},
        {0x600042, "[anon]+0x600042", "[anon]", FRAME_KIND_JIT},
        {0x10, "[unknown]+0x10", "[unknown]", FRAME_KIND_USER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        frame_id frame = frame_at(&scene, cases[i].ip);
        const struct symbol *symbol = find(&scene, frame);
        assert_string_equal(symbol->name, cases[i].name);
        assert_string_equal(symbol->image, cases[i].image);
        assert_int_equal(symbol->kind, cases[i].kind);
        char address[32];
        (void)snprintf(address, sizeof(address), "+0x%" PRIx64, symbol->start_address);
        assert_non_null(strstr(symbol->name, address));
        /* Asked again it is the same pointer, so that answers can be compared. */
        assert_ptr_equal(find(&scene, frame), symbol);
    }
    scene_end(&scene);
}

/* What is provisional stays the same pointer until the name is known. */
static void names_come_when_they_are_loaded(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    assert_int_equal(symbolizer_new(&scene.symbolizer), 0);
    query_names_free(scene.names);
    assert_int_equal(query_names_new(scene.symbolizer, &scene.names), 0);
    scene_map_self(&scene, 1);
    frame_id frame = frame_at(&scene, place_in(hash_key, 3));
    const struct frame place = snapshot_frame(scene.snapshot, frame);
    const struct image *image = snapshot_image(scene.snapshot, place.image);

    /* Announced, and not wanted by anybody yet. */
    query_names_on_image(scene.names, image);
    const struct symbol *stand_in = find(&scene, frame);
    assert_non_null(strstr(stand_in->name, "+0x"));
    assert_string_equal(stand_in->image, image->name);
    assert_ptr_equal(find(&scene, frame), stand_in);
    assert_true(symbolizer_wait_idle(scene.symbolizer, 20000));
    assert_ptr_equal(find(&scene, frame), stand_in);

    query_names_on_image_seen(scene.names, image->id);
    assert_true(symbolizer_wait_idle(scene.symbolizer, 20000));
    const struct symbol *symbol = find(&scene, frame);
    assert_string_equal(symbol->name, "hash_key");
    assert_ptr_equal(find(&scene, frame), symbol);
    /* An earlier answer can still be read. */
    assert_non_null(strstr(stand_in->name, "+0x"));
    query_names_retire(scene.names);
    assert_ptr_equal(find(&scene, frame), symbol);
    scene_end(&scene);
}

/* ---- many askers at once, while the loader works ---- */

#define N_ASKERS 4
#define N_PLACES 3000

struct asker {
    struct scene *scene;
    pthread_t thread;
    const struct symbol *found[N_PLACES];
    unsigned int n_wrong;
};

static void *ask_all(void *userdata)
{
    struct asker *asker = userdata;
    const struct snapshot *snapshot = asker->scene->snapshot;
    for (int round = 0; round < 20; round++) {
        for (frame_id frame = 0; frame < snapshot->n_frames && frame < N_PLACES; frame++) {
            const struct symbol *symbol = query_names_find(asker->scene->names, snapshot, frame);
            asker->n_wrong += !symbol || symbol->name[0] == '\0' || symbol->image[0] == '\0';
            asker->found[frame] = symbol;
        }
    }
    return NULL;
}

static void all_askers_get_the_same_answer(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    tell_mapped(scene.aggregate, 2, 0x400000, 0x500000, 0, "/no/such/file.so");
    for (uint64_t i = 0; i < N_PLACES; i++) {
        uint64_t ip = i % 2 ? 0x400000 + i * 16 : place_in(copy_bytes, 0) + i;
        tell_sample(scene.aggregate, 10, TEST_PID, &ip, 1);
    }
    snapshot_unref(scene.snapshot);
    scene.snapshot = aggregate_snapshot(scene.aggregate, 10); /* names may still be on their way */
    static struct asker askers[N_ASKERS];
    for (int i = 0; i < N_ASKERS; i++) {
        askers[i] = (struct asker){.scene = &scene};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_all, &askers[i]), 0);
    }
    for (int i = 0; i < N_ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].n_wrong, 0);
    }
    assert_true(symbolizer_wait_idle(scene.symbolizer, 20000));
    for (int i = 0; i < N_ASKERS; i++) {
        ask_all(&askers[i]);
        assert_memory_equal(askers[i].found, askers[0].found, sizeof(askers[0].found));
    }
    assert_string_equal(askers[0].found[0]->name, "copy_bytes");
    scene_end(&scene);
}

/* What somebody brought for the image of this program. */
static struct kept_symbols *brought(void *userdata, const struct image *image)
{
    return strstr(image->name, "query_names") ? userdata : NULL;
}

/* Names of the run as another query_names has them, which knows only what it was brought. */
static struct query_names *names_of_kept(struct scene *scene, const struct kept_run *kept)
{
    struct query_names *names;
    assert_int_equal(query_names_new(scene->symbolizer, &names), 0);
    query_names_set_kept(names, kept);
    for (image_id id = 0; id < scene->snapshot->n_images; id++) {
        query_names_on_image(names, snapshot_image(scene->snapshot, id));
        query_names_on_image_seen(names, id);
    }
    return names;
}

static void names_can_come_with_the_run(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    frame_id frame = frame_at(&scene, place_in(walk_tree, 0));
    struct frame place = snapshot_frame(scene.snapshot, frame);
    struct kept_symbols *kept;
    uint32_t function;
    assert_int_equal(kept_symbols_new(&kept), 0);
    const struct symbol symbol = {
        .name = "as_it_was",
        .image = "prog",
        .start_address = place.offset - 4,
        .size_bytes = 8,
    };
    assert_int_equal(kept_symbols_add_function(kept, &symbol, false, &function), 0);
    struct kept_run run = {.userdata = kept, .find_symbols = brought};
    _cleanup_(query_names_freep) struct query_names *names = names_of_kept(&scene, &run);
    assert_true(query_names_is_kept_only(names));
    /* They may come a little later. */
    const struct symbol *found = query_names_find(names, scene.snapshot, frame);
    assert_non_null(strstr(found->name, "+0x"));
    assert_int_equal(kept_symbols_finish(kept), 0);
    found = query_names_find(names, scene.snapshot, frame);
    assert_string_equal(found->name, "as_it_was");
    assert_ptr_equal(found, kept_symbols_function(kept, function));
    struct name_chain chain;
    assert_true(query_names_find_chain(names, scene.snapshot, frame, &chain));
    assert_ptr_equal(chain.entries[0].symbol, found);
    query_names_retire(names);
    kept_symbols_unref(kept);
    scene_end(&scene);
}

static struct kept_symbols *brought_none(void *userdata, const struct image *image)
{
    (void)userdata;
    (void)image;
    return NULL;
}

static void files_are_looked_at_only_where_that_is_allowed(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, true, false);
    frame_id frame = frame_at(&scene, place_in(walk_tree, 0));
    struct kept_run run = {.find_symbols = brought_none};
    struct query_names *names = names_of_kept(&scene, &run);
    assert_null(query_names_source(names, snapshot_frame(scene.snapshot, frame).image));
    assert_non_null(strstr(query_names_find(names, scene.snapshot, frame)->name, "+0x"));
    query_names_free(names);
    run.may_look_at_files = true;
    names = names_of_kept(&scene, &run);
    assert_false(query_names_is_kept_only(names));
    assert_true(symbolizer_wait_idle(scene.symbolizer, 20000));
    assert_string_equal(query_names_find(names, scene.snapshot, frame)->name, "walk_tree");
    assert_null(query_names_kept_code(names, snapshot_image(scene.snapshot, IMAGE_ID_KERNEL)));
    query_names_free(names);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_can_come_with_the_run),
        cmocka_unit_test(files_are_looked_at_only_where_that_is_allowed),
        cmocka_unit_test(functions_have_their_names),
        cmocka_unit_test(places_without_a_name_are_told_by_address),
        cmocka_unit_test(names_come_when_they_are_loaded),
        cmocka_unit_test(all_askers_get_the_same_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
