/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/span_dialects.h"

static void known_dialects_are_taken_once(void **state)
{
    (void)state;
    struct span_dialects dialects;
    assert_int_equal(span_dialects_parse("nvtx,itt,nvtx", &dialects), 0);
    assert_int_equal(dialects.n_variables, 2);
    assert_string_equal(dialects.variables[0].name, "NVTX_INJECTION64_PATH");
    assert_string_equal(dialects.variables[1].name, "INTEL_LIBITTNOTIFY64");
    assert_int_equal(span_dialects_parse("itt", &dialects), 0);
    assert_int_equal(dialects.n_variables, 1);
}

static void others_are_refused(void **state)
{
    (void)state;
    struct span_dialects dialects;
    static const char *const wrong[] = {"", "nvt", "nvtxx", "nvtx,", ",itt", "nvtx itt", "NVTX"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(span_dialects_parse(wrong[i], &dialects), -EINVAL);
    }
}

static void make_file(const char *root, const char *folder, const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", root, folder);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    (void)mkdir(path, 0700);
    size_t length = strlen(path);
    snprintf(path + length, sizeof(path) - length, "/%s", name);
    _cleanup_(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
}

static void libraries_are_found_where_they_were_built_and_installed(void **state)
{
    (void)state;
    char root[] = "/tmp/stax-dialects-XXXXXX";
    assert_non_null(mkdtemp(root));
    char program[PATH_MAX], path[PATH_MAX], wanted[PATH_MAX];

    /* A library that no installation has. */
    snprintf(program, sizeof(program), "%s/build/stax", root);
    assert_false(span_dialects_search(program, "libstax-none.so", path));
    assert_false(span_dialects_search("stax", "libstax-none.so", path));
    make_file(root, "build/src/inject", "libstax-none.so");
    assert_true(span_dialects_search(program, "libstax-none.so", path));
    snprintf(wanted, sizeof(wanted), "%s/build/src/inject/libstax-none.so", root);
    assert_string_equal(path, wanted);

    snprintf(program, sizeof(program), "%s/bin/stax", root);
    assert_false(span_dialects_search(program, "libstax-none.so", path));
    make_file(root, "bin", "stax");
    make_file(root, "bin/" STAX_BINDIR_TO_LIBDIR, "libstax-none.so");
    assert_true(span_dialects_search(program, "libstax-none.so", path));
    assert_memory_equal(path, root, strlen(root));
    assert_null(strstr(path, ".."));

    char remove_all[PATH_MAX];
    snprintf(remove_all, sizeof(remove_all), "rm -r %s", root);
    assert_int_equal(system(remove_all), 0); /* NOLINT(cert-env33-c): our own folder */
}

static void a_variable_with_a_value_keeps_it(void **state)
{
    (void)state;
    struct span_dialects dialects;
    struct error error = {0};
    assert_int_equal(span_dialects_parse("nvtx", &dialects), 0);
    assert_int_equal(setenv("NVTX_INJECTION64_PATH", "/other/tool.so", 1), 0);
    assert_int_equal(span_dialects_find(&dialects, false, &error), 0);
    span_dialects_set(&dialects, NULL);
    assert_string_equal(getenv("NVTX_INJECTION64_PATH"), "/other/tool.so");
    assert_int_equal(unsetenv("NVTX_INJECTION64_PATH"), 0);
}

static void what_was_found_is_set(void **state)
{
    (void)state;
    struct span_dialects dialects = {.n_variables = 0};
    assert_int_equal(unsetenv("STAX_SERVER_SOCKET"), 0);
    span_dialects_set(&dialects, NULL);
    assert_null(getenv("STAX_SERVER_SOCKET"));
    /* Programs that link libstax-target look there too. */
    span_dialects_set(&dialects, "/run/stax.sock");
    assert_string_equal(getenv("STAX_SERVER_SOCKET"), "/run/stax.sock");
    assert_int_equal(span_dialects_parse("itt", &dialects), 0);
    snprintf(dialects.variables[0].path, PATH_MAX, "/lib/libstax-itt.so");
    span_dialects_set(&dialects, "/run/stax.sock");
    assert_string_equal(getenv("INTEL_LIBITTNOTIFY64"), "/lib/libstax-itt.so");
    assert_string_equal(getenv("STAX_SERVER_SOCKET"), "/run/stax.sock");
}

static void a_missing_library_is_named(void **state)
{
    (void)state;
    struct span_dialects dialects = {
        .n_variables = 1,
        .variables = {{.dialect = "none", .name = "STAX_NO_SUCH", .library = "libstax-none.so"}}};
    struct error error = {0};
    assert_int_equal(span_dialects_find(&dialects, true, &error), -ENOENT);
    assert_non_null(strstr(error.message, "libstax-none.so"));
    assert_non_null(strstr(error.hint, "--spans"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_dialects_are_taken_once),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(libraries_are_found_where_they_were_built_and_installed),
        cmocka_unit_test(a_variable_with_a_value_keeps_it),
        cmocka_unit_test(what_was_found_is_set),
        cmocka_unit_test(a_missing_library_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
