/* SPDX-License-Identifier: MIT */
#include "query/query_test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_SAMPLES 100

/* 60 samples in hash_key at two places, 30 in copy_bytes, 10 in walk_tree; all called by
 * run_worker. */
static void tell_hundred(struct scene *scene)
{
    tell_in(scene->aggregate, 1000, TEST_PID);
    for (uint64_t i = 0; i < N_SAMPLES; i++) {
        uint64_t place;
        if (i < 40) {
            place = place_in(hash_key, 3);
        } else if (i < 60) {
            place = place_in(hash_key, 15);
        } else if (i < 90) {
            place = place_in(copy_bytes, 1);
        } else {
            place = place_in(walk_tree, 2);
        }
        const uint64_t ips[] = {place, place_in(run_worker, 4)};
        tell_sample(scene->aggregate, 1005 + i * 9, TEST_PID, ips, 2);
    }
    tell_out(scene->aggregate, 2000, TEST_PID, false);
    scene_freeze(scene, 2000);
}

static int ask(struct scene *scene, const char *function, struct annotate_result *ret_result)
{
    const struct query_annotate_options options = {.function = function};
    scene->error = (struct error){0};
    return query_annotate(&scene->context, &options, ret_result, &scene->error);
}

static void assert_sums(const struct annotate_result *result)
{
    uint64_t samples = 0, inlined_samples = 0, ns = 0, inlined_ns = 0;
    double share = 0;
    for (size_t i = 0; i < result->n_lines; i++) {
        const struct annotate_line *line = &result->lines[i];
        *(line->inlined ? &inlined_samples : &samples) += line->samples;
        *(line->inlined ? &inlined_ns : &ns) += line->self_active_ns;
        share += line->pct;
    }
    assert_int_equal(samples, result->self_samples);
    assert_int_equal(ns, result->self_active_ns);
    assert_int_equal(inlined_samples, result->inlined_samples);
    assert_int_equal(inlined_ns, result->inlined_active_ns);
    assert_float_equal(share, samples + inlined_samples > 0 ? 100.0 : 0.0, 0.0001);
}

/* The row of `top` with this name. */
static struct top_row top_row(struct scene *scene, const char *name)
{
    const struct query_top_options options = {.sort = TOP_SORT_SELF};
    struct top_result result;
    assert_int_equal(query_top(&scene->context, &options, &result, &scene->error), 0);
    for (size_t i = 0; i < result.n_rows; i++) {
        if (strcmp(result.rows[i].name, name) == 0) {
            return result.rows[i];
        }
    }
    fail_msg("top has no %s", name);
    return (struct top_row){0};
}

static void test_samples_fall_on_their_instructions(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    assert_int_equal(ask(&scene, "hash_key", &result), 0);
    assert_string_equal(result.name, "hash_key");
    assert_null(result.choice);
    assert_int_equal(result.n_candidates, 0);
    assert_string_equal(result.origin, "file");
    assert_int_equal(result.self_samples, 60);
    assert_int_equal(result.self_active_ns, 600);
    assert_float_equal(result.self_pct, 60.0, 0.0001);
    assert_true(result.n_lines > 32); /* the body has so many instructions of one byte */
    assert_sums(&result);
    struct top_row row = top_row(&scene, "hash_key");
    assert_int_equal(result.self_samples, row.self_samples);
    assert_int_equal(result.self_active_ns, row.self_active_ns);
    assert_string_equal(result.address, row.address);
    size_t n_hot = 0;
    for (size_t i = 0; i < result.n_lines; i++) {
        const struct annotate_line *line = &result.lines[i];
        n_hot += line->samples > 0;
        assert_non_null(line->text);
        assert_non_null(line->bytes);
        if (line->samples > 0) {
            assert_true(line->samples == 40 || line->samples == 20);
        }
    }
    assert_int_equal(n_hot, 2);
    scene_end(&scene);
}

static void test_a_view_restricts_the_samples(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    scene.view = (struct view){.has_to = true, .to_ns = 1180};
    assert_int_equal(ask(&scene, "hash_key", &result), 0);
    assert_int_equal(result.self_samples, 20);
    assert_sums(&result);
    assert_int_equal(result.self_samples, top_row(&scene, "hash_key").self_samples);

    char pattern[] = "walk", *patterns[] = {pattern};
    scene.view = (struct view){.n_focus = 1, .focus = patterns};
    assert_int_equal(ask(&scene, "hash_key", &result), 0);
    assert_int_equal(result.self_samples, 0);
    assert_true(result.n_lines > 32);
    assert_sums(&result);
    scene_end(&scene);
}

static void test_by_address(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    char text[128];
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    struct top_row row = top_row(&scene, "copy_bytes");
    assert_non_null(row.address);
    if (!row.address) {
        return; /* for the analyzer */
    }
    assert_int_equal(ask(&scene, row.address, &result), 0);
    assert_string_equal(result.name, "copy_bytes");
    /* In its middle. */
    snprintf(text, sizeof(text), "0x%" PRIx64, (uint64_t)strtoull(row.address, NULL, 16) + 7);
    assert_int_equal(ask(&scene, text, &result), 0);
    assert_string_equal(result.name, "copy_bytes");
    /* Where it was at run time. */
    snprintf(text, sizeof(text), "0x%" PRIx64, (uint64_t)(uintptr_t)copy_bytes + 3);
    assert_int_equal(ask(&scene, text, &result), 0);
    assert_string_equal(result.name, "copy_bytes");
    assert_int_equal(result.self_samples, 30);
    /* A function that no sample met. */
    snprintf(text, sizeof(text), "0x%" PRIx64, (uint64_t)(uintptr_t)visit_node);
    assert_int_equal(ask(&scene, text, &result), 0);
    assert_string_equal(result.name, "visit_node");
    assert_int_equal(result.self_samples, 0);
    assert_true(result.n_lines > 32);
    /* With the image. */
    snprintf(text, sizeof(text), "%s+%s", row.image, row.address);
    assert_int_equal(ask(&scene, text, &result), 0);
    assert_string_equal(result.name, "copy_bytes");
    assert_int_equal(result.self_samples, 30);
    assert_int_equal(ask(&scene, "0x10", &result), -ENOENT);
    assert_string_equal(scene.error.code, "no_such_function");
    assert_int_equal(ask(&scene, "nowhere+0x10", &result), -ENOENT);
    scene_end(&scene);
}

static void test_ambiguous_and_unknown_names(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    assert_int_equal(ask(&scene, "_K", &result), 0);
    assert_string_equal(result.name, "hash_key");
    assert_non_null(strstr(result.choice, "_K is taken as hash_key"));

    assert_int_equal(ask(&scene, "_", &result), 0);
    assert_string_equal(result.name, "hash_key");
    assert_int_equal(result.n_candidates, 3);
    assert_string_equal(result.candidates[0].name, "copy_bytes");
    assert_int_equal(result.candidates[0].self_samples, 30);
    assert_string_equal(result.candidates[1].name, "walk_tree");
    assert_string_equal(result.candidates[2].name, "run_worker");
    assert_non_null(result.candidates[2].address);

    assert_int_equal(ask(&scene, "/^(copy|walk)_/", &result), 0);
    assert_string_equal(result.name, "copy_bytes");
    assert_int_equal(result.n_candidates, 1);
    assert_non_null(strstr(result.choice, "copy_bytes"));
    assert_int_equal(ask(&scene, "/(/", &result), -EINVAL);

    assert_int_equal(ask(&scene, "no_such_name", &result), -ENOENT);
    assert_string_equal(scene.error.code, "no_such_function");
    assert_non_null(strstr(scene.error.hint, "hash_key, copy_bytes"));
    assert_int_equal(ask(&scene, "", &result), -EINVAL);
    assert_int_equal(ask(&scene, NULL, &result), -EINVAL);
    scene_end(&scene);
}

/* Without symbols each place is a row of `top`; its surroundings hold the others. */
static void test_places_without_a_name(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    scene_begin(&scene, false, false);
    scene_map_self(&scene, 1);
    tell_hundred(&scene);
    const struct query_top_options options = {.sort = TOP_SORT_SELF};
    struct top_result top;
    assert_int_equal(query_top(&scene.context, &options, &top, &scene.error), 0);
    assert_int_equal(top.rows[0].self_samples, 40);
    assert_int_equal(ask(&scene, top.rows[0].name, &result), 0);
    assert_string_equal(result.name, top.rows[0].name);
    assert_null(result.choice);
    assert_true(result.self_samples >= 40);
    assert_sums(&result);
    /* The place whose number is the beginning of that one's is another. */
    char text[256];
    int n_bytes = snprintf(text, sizeof(text), "%s", top.rows[0].name);
    assert_true(n_bytes > 1 && (size_t)n_bytes < sizeof(text));
    text[n_bytes - 1] = '\0';
    int r = ask(&scene, text, &result);
    assert_true(r == -ENOENT || (r == 0 && strcmp(result.name, text) == 0));
    scene_end(&scene);
}

static void test_the_kernel_has_addresses_at_least(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    assert_int_equal(ask(&scene, "0xffffffff81000010", &result), 0);
    assert_string_equal(result.image, "[kernel]");
    assert_int_equal(result.self_samples, 0);
    assert_true(result.n_notes > 0 || result.n_lines > 0);
    scene_end(&scene);
}

static void test_source_maps_are_checked(void **state)
{
    (void)state;
    struct scene scene;
    struct annotate_result result;
    scene_begin(&scene, true, false);
    tell_hundred(&scene);
    char bad[] = "no equals sign", *maps[] = {bad};
    const struct query_annotate_options options = {
        .function = "hash_key", .n_source_map = 1, .source_map = maps};
    assert_int_equal(query_annotate(&scene.context, &options, &result, &scene.error), 0);
    bool is_told = false;
    for (size_t i = 0; i < result.n_notes; i++) {
        is_told = is_told || strstr(result.notes[i], "no equals sign");
    }
    assert_true(is_told);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_fall_on_their_instructions),
        cmocka_unit_test(test_a_view_restricts_the_samples),
        cmocka_unit_test(test_by_address),
        cmocka_unit_test(test_ambiguous_and_unknown_names),
        cmocka_unit_test(test_places_without_a_name),
        cmocka_unit_test(test_the_kernel_has_addresses_at_least),
        cmocka_unit_test(test_source_maps_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
