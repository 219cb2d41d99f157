/* SPDX-License-Identifier: MIT */
#include "interchange/export.h"

#include <errno.h>
#include <fcntl.h>

#include "interchange/export_test.h"

static void formats_have_names(void **state)
{
    (void)state;
    enum export_format format;
    for (size_t i = 0; i < EXPORT_FORMAT_N; i++) {
        const char *name = export_format_name((enum export_format)i);
        assert_true(export_format_parse(name, &format));
        assert_int_equal(format, i);
        assert_non_null(strstr(export_format_list(), name));
    }
    assert_true(export_format_parse("SVG", &format));
    assert_int_equal(format, EXPORT_FORMAT_SVG);
    assert_false(export_format_parse("pdf", &format));
    assert_false(export_format_parse(NULL, &format));
    assert_string_equal(export_format_name(EXPORT_FORMAT_N), "unknown");
}

static void a_file_name_tells_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum export_format format;
    } cases[] = {
        {"run.json", EXPORT_FORMAT_FIREFOX},
        {"/tmp/a.b/run.speedscope.json", EXPORT_FORMAT_SPEEDSCOPE},
        {"run.pb.gz", EXPORT_FORMAT_PPROF},
        {"run.pprof", EXPORT_FORMAT_PPROF},
        {"run.folded", EXPORT_FORMAT_FOLDED},
        {"run.TXT", EXPORT_FORMAT_FOLDED},
        {"run.pftrace", EXPORT_FORMAT_PERFETTO},
        {"run.perfetto-trace", EXPORT_FORMAT_PERFETTO},
        {"/x/callgrind.out.4711", EXPORT_FORMAT_CALLGRIND},
        {"run.svg", EXPORT_FORMAT_SVG},
        {"run.html", EXPORT_FORMAT_HTML},
    };
    static const char *const none[] = {"run", ".svg", "run.stax", "run.json.gz", "", "a.svg/run"};
    enum export_format format;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_true(export_format_of(cases[i].path, &format));
        assert_int_equal(format, cases[i].format);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        assert_false(export_format_of(none[i], &format));
    }
}

static void all_formats_tell_what_they_hold(void **state)
{
    (void)state;
    struct scene scene;
    export_scene_small(&scene);
    for (size_t i = 0; i < EXPORT_FORMAT_N; i++) {
        _cleanup_(fd_closep) int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct export_tally tally;
        scene_ask_anew(&scene);
        assert_int_equal(export_to(&scene, (enum export_format)i, fd, &tally), 0);
        assert_int_equal(tally.n_threads, 2);
        assert_int_equal(tally.n_samples, 240);
        assert_int_equal(tally.n_waits, 2);
        assert_int_equal(tally.cpu_ns, 260 * TEST_MS);
        assert_int_equal(tally.off_cpu_ns, 140 * TEST_MS);
        assert_true(tally.n_bytes > 100);
    }
    scene_end(&scene);
}

static void an_empty_run_is_a_file_too(void **state)
{
    (void)state;
    struct scene scene;
    scene_begin(&scene, false, false);
    scene_freeze(&scene, TEST_MS);
    for (size_t i = 0; i < EXPORT_FORMAT_N; i++) {
        _cleanup_(fd_closep) int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        const struct export_source source = {.query = &scene.context};
        assert_int_equal(export_write(&source, (enum export_format)i, fd, NULL, &scene.error), 0);
    }
    scene_end(&scene);
}

static void what_goes_wrong_is_told(void **state)
{
    (void)state;
    struct scene scene;
    int64_t nobody = 4711;
    export_scene_random(&scene, 20000);
    for (size_t i = 0; i < EXPORT_FORMAT_N; i++) {
        _cleanup_(fd_closep) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        scene_ask_anew(&scene);
        assert_int_equal(export_to(&scene, (enum export_format)i, full, NULL), -ENOSPC);
        assert_false(error_is_set(&scene.error));
        scene_ask_anew(&scene);
        scene.view = (struct view){.n_tids = 1, .tids = &nobody};
        assert_int_equal(export_to(&scene, (enum export_format)i, full, NULL), -EINVAL);
        assert_string_equal(scene.error.code, "not_found");
    }
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(a_file_name_tells_the_format),
        cmocka_unit_test(all_formats_tell_what_they_hold),
        cmocka_unit_test(an_empty_run_is_a_file_too),
        cmocka_unit_test(what_goes_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
