/* SPDX-License-Identifier: MIT */
/* The rules are those of the format's types: columns of one length, numbers within their tables. */
#include "interchange/export_test.h"

struct column {
    const char *name;
    const json_t *of; /* the table whose rows it numbers; NULL: none */
    bool may_be_null;
};

static void check_table(const json_t *table, const struct column *columns, size_t n_columns)
{
    size_t length = (size_t)json_integer_value(json_object_get(table, "length"));
    for (size_t i = 0; i < n_columns; i++) {
        const json_t *cells = json_object_get(table, columns[i].name);
        size_t j, n_rows = 0;
        json_t *cell;
        if (!json_is_array(cells) || json_array_size(cells) != length) {
            fail_msg("column %s has %zu cells, not %zu", columns[i].name, json_array_size(cells),
                     length);
        }
        if (columns[i].of) {
            n_rows = json_is_array(columns[i].of)
                         ? json_array_size(columns[i].of)
                         : (size_t)json_integer_value(json_object_get(columns[i].of, "length"));
        }
        json_array_foreach(cells, j, cell)
        {
            assert_true(columns[i].may_be_null || !json_is_null(cell));
            if (columns[i].of && !json_is_null(cell) && json_integer_value(cell) != -1) {
                assert_in_range(json_integer_value(cell), 0, n_rows - 1);
            }
        }
    }
}

#define CHECK_TABLE(table, columns)                                                                \
    check_table(table, columns, sizeof(columns) / sizeof(*(columns)))

static void check_thread(const json_t *profile, const json_t *thread)
{
    const json_t *strings = json_object_get(json_object_get(profile, "shared"), "stringArray");
    const json_t *categories = json_object_get(json_object_get(profile, "meta"), "categories");
    const json_t *stacks = json_object_get(thread, "stackTable");
    const json_t *frames = json_object_get(thread, "frameTable");
    const json_t *functions = json_object_get(thread, "funcTable");
    const json_t *resources = json_object_get(thread, "resourceTable");
    const struct column of_samples[] = {
        {"stack", stacks, true},
        {"time", NULL, false},
        {"weight", NULL, false},
        {"threadCPUDelta", NULL, false},
    };
    const struct column of_markers[] = {
        {"data", NULL, false},    {"name", strings, false}, {"startTime", NULL, false},
        {"endTime", NULL, false}, {"phase", NULL, false},   {"category", categories, false},
    };
    const struct column of_stacks[] = {{"prefix", stacks, true}, {"frame", frames, false}};
    const struct column of_frames[] = {
        {"address", NULL, false},        {"inlineDepth", NULL, false},
        {"category", categories, false}, {"subcategory", NULL, false},
        {"func", functions, false},      {"nativeSymbol", NULL, true},
        {"innerWindowID", NULL, true},   {"line", NULL, true},
        {"column", NULL, true},
    };
    const struct column of_functions[] = {
        {"name", strings, false},       {"isJS", NULL, false},       {"relevantForJS", NULL, false},
        {"resource", resources, false}, {"fileName", strings, true}, {"lineNumber", NULL, true},
        {"columnNumber", NULL, true},
    };
    const struct column of_resources[] = {
        {"lib", json_object_get(profile, "libs"), true},
        {"name", strings, false},
        {"host", strings, true},
        {"type", NULL, false},
    };
    const struct column of_symbols[] = {
        {"libIndex", NULL, false},
        {"address", NULL, false},
        {"name", NULL, false},
        {"functionSize", NULL, true},
    };
    CHECK_TABLE(json_object_get(thread, "samples"), of_samples);
    CHECK_TABLE(json_object_get(thread, "markers"), of_markers);
    CHECK_TABLE(stacks, of_stacks);
    CHECK_TABLE(frames, of_frames);
    CHECK_TABLE(functions, of_functions);
    CHECK_TABLE(resources, of_resources);
    CHECK_TABLE(json_object_get(thread, "nativeSymbols"), of_symbols);
    assert_true(json_is_string(json_object_get(thread, "pid")));
    assert_true(json_is_string(json_object_get(thread, "name")));
}

static long cell(const json_t *table, const char *column, size_t row)
{
    return (long)json_integer_value(json_array_get(json_object_get(table, column), row));
}

/* The category of the innermost frame of a sample. */
static long category_of(const json_t *thread, size_t sample)
{
    long stack = cell(json_object_get(thread, "samples"), "stack", sample);
    long frame = cell(json_object_get(thread, "stackTable"), "frame", (size_t)stack);
    return cell(json_object_get(thread, "frameTable"), "category", (size_t)frame);
}

struct sums {
    uint64_t cpu_ns, off_cpu_ns, delta_ns;
};

static struct sums sum_thread(const json_t *thread)
{
    const json_t *samples = json_object_get(thread, "samples");
    size_t n = (size_t)json_integer_value(json_object_get(samples, "length"));
    struct sums sums = {0};
    double last_ms = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *weight = json_array_get(json_object_get(samples, "weight"), i);
        double time_ms = json_number_value(json_array_get(json_object_get(samples, "time"), i));
        uint64_t weight_ns = (uint64_t)(json_number_value(weight) * 1e6 + 0.5);
        bool is_wait = category_of(thread, i) == 3;
        assert_true(time_ms >= last_ms);
        last_ms = time_ms;
        sums.cpu_ns += is_wait ? 0 : weight_ns;
        sums.off_cpu_ns += is_wait ? weight_ns : 0;
        sums.delta_ns += (uint64_t)cell(samples, "threadCPUDelta", i);
    }
    return sums;
}

static void tables_and_sums_are_right(void **state)
{
    (void)state;
    for (unsigned int is_random = 0; is_random < 2; is_random++) {
        struct scene scene;
        struct attribution attribution;
        struct sums all = {0};
        size_t i;
        json_t *thread;
        if (is_random) {
            export_scene_random(&scene, 20000);
        } else {
            export_scene_small(&scene);
        }
        export_attribution(&scene, &attribution);
        json_t *profile = export_read_json(&scene, EXPORT_FORMAT_FIREFOX);
        const json_t *meta = json_object_get(profile, "meta");
        assert_int_equal(json_integer_value(json_object_get(meta, "preprocessedProfileVersion")),
                         57);
        json_array_foreach(json_object_get(profile, "threads"), i, thread)
        {
            check_thread(profile, thread);
            struct sums sums = sum_thread(thread);
            all.cpu_ns += sums.cpu_ns;
            all.off_cpu_ns += sums.off_cpu_ns;
            assert_int_equal(sums.delta_ns, sums.cpu_ns);
        }
        assert_int_equal(all.cpu_ns, attribution.totals.cpu_ns);
        assert_int_equal(all.off_cpu_ns, attribution.totals.off_cpu_ns);
        json_decref(profile);
        scene_end(&scene);
    }
}

static void names_lines_and_waits_are_there(void **state)
{
    (void)state;
    struct scene scene;
    export_scene_small(&scene);
    json_t *profile = export_read_json(&scene, EXPORT_FORMAT_FIREFOX);
    const json_t *strings = json_object_get(json_object_get(profile, "shared"), "stringArray");
    const json_t *thread = json_array_get(json_object_get(profile, "threads"), 0);
    const json_t *functions = json_object_get(thread, "funcTable");
    const json_t *markers = json_object_get(thread, "markers");
    bool has_worker = false;
    for (size_t i = 0; i < (size_t)json_integer_value(json_object_get(functions, "length")); i++) {
        long name = cell(functions, "name", i);
        const char *text = json_string_value(json_array_get(strings, (size_t)name));
        has_worker = has_worker || strcmp(text, "run_worker") == 0;
    }
    assert_true(has_worker);
    assert_string_equal(json_string_value(json_object_get(thread, "name")), "main");
    assert_int_equal(json_integer_value(json_object_get(markers, "length")), 1);
    const json_t *wait = json_array_get(json_object_get(markers, "data"), 0);
    assert_string_equal(json_string_value(json_object_get(wait, "reason")), "ready");
    assert_string_equal(json_string_value(json_object_get(wait, "site")), "epoll_wait");
    json_decref(profile);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_sums_are_right),
        cmocka_unit_test(names_lines_and_waits_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
