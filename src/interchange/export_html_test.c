/* SPDX-License-Identifier: MIT */
#include "interchange/export_test.h"

/* What the page's script reads. */
static json_t *data_of(const char *page)
{
    static const char head[] = "<script type=\"application/json\" id=\"data\">";
    const char *begin = strstr(page, head);
    assert_non_null(begin);
    begin += sizeof(head) - 1;
    const char *end = strstr(begin, "</script>");
    assert_non_null(end);
    json_t *data = json_loadb(begin, (size_t)(end - begin), 0, NULL);
    assert_non_null(data);
    return data;
}

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

/* Self times of the nodes of a flamegraph; depths go down one by one. */
static uint64_t sum_flame(const json_t *data, const char *key)
{
    const json_t *flame = json_object_get(data, key);
    const json_t *depths = json_object_get(flame, "depth");
    const json_t *strings = json_object_get(data, "strings");
    uint64_t sum = 0;
    long last = -1;
    for (size_t i = 0; i < json_array_size(depths); i++) {
        long depth = (long)json_integer_value(json_array_get(depths, i));
        long name = (long)json_integer_value(json_array_get(json_object_get(flame, "name"), i));
        assert_in_range(depth, i == 0 ? 0 : 1, last + 1);
        assert_in_range(name, 0, json_array_size(strings) - 1);
        sum += (uint64_t)json_integer_value(json_array_get(json_object_get(flame, "self"), i));
        last = depth;
    }
    return sum;
}

static uint64_t sum_rows(const json_t *rows, const char *key)
{
    uint64_t sum = 0;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        sum += number(row, key);
    }
    return sum;
}

static void tables_and_flamegraphs_sum_to_the_totals(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    export_scene_small(&scene);
    _cleanup_(freep) char *page = export_read(&scene, EXPORT_FORMAT_HTML, &n_bytes);
    json_t *data = data_of(page);
    const json_t *totals = json_object_get(data, "totals");
    assert_int_equal(number(totals, "cpu_ns"), 260 * TEST_MS);
    assert_int_equal(sum_flame(data, "cpu"), 260 * TEST_MS);
    assert_int_equal(sum_flame(data, "off"), 140 * TEST_MS);
    assert_int_equal(sum_rows(json_object_get(data, "functions"), "self"), 260 * TEST_MS);
    assert_int_equal(sum_rows(json_object_get(data, "threads"), "cpu"), 260 * TEST_MS);
    assert_int_equal(sum_rows(json_object_get(data, "threads"), "off"), 140 * TEST_MS);
    assert_int_equal(sum_rows(json_object_get(data, "waits"), "ns"), 140 * TEST_MS);
    json_decref(data);
    scene_end(&scene);
}

/* It needs nothing else, and no name of a program can end its script. */
static void the_page_stands_alone(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes, n_scripts = 0;
    export_scene_small(&scene);
    scene_ask_anew(&scene);
    _cleanup_(freep) char *page = export_read(&scene, EXPORT_FORMAT_HTML, &n_bytes);
    assert_memory_equal(page, "<!doctype html>", 15);
    assert_non_null(strstr(page, "default-src 'none'"));
    assert_null(strstr(page, "http://"));
    assert_null(strstr(page, "https://"));
    assert_null(strstr(page, " src="));
    assert_null(strstr(page, "<link"));
    assert_null(strstr(page, "<fast>"));
    for (const char *at = page; (at = strstr(at, "</script>")); at++) {
        n_scripts++;
    }
    assert_int_equal(n_scripts, 2);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_and_flamegraphs_sum_to_the_totals),
        cmocka_unit_test(the_page_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
