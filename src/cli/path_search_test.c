/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/path_search.h"

static char folder[] = "/tmp/path-search-XXXXXX";

static void make_file(const char *name, mode_t mode)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, mode);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    make_file("program", 0755);
    make_file("data", 0644);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/sub", folder);
    return mkdir(path, 0755);
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"program", "data"};
    char path[PATH_MAX];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/sub", folder);
    rmdir(path);
    return rmdir(folder);
}

static void assert_found(const char *name, const char *expected)
{
    char path[PATH_MAX];
    assert_int_equal(path_search(name, path, sizeof(path)), 0);
    assert_string_equal(path, expected);
}

static void assert_refused(const char *name, int expected, int expected_errno)
{
    char path[PATH_MAX];
    assert_int_equal(path_search(name, path, sizeof(path)), expected);
    assert_int_equal(errno, expected_errno);
}

static void names_are_looked_up_in_path(void **state)
{
    (void)state;
    char list[PATH_MAX];
    char expected[PATH_MAX];
    snprintf(list, sizeof(list), "/nonexistent:%s/sub:%s", folder, folder);
    snprintf(expected, sizeof(expected), "%s/program", folder);
    setenv("PATH", list, 1);
    assert_found("program", expected);
    assert_refused("absent", PATH_SEARCH_E_NOT_FOUND, ENOENT);
    assert_refused("data", PATH_SEARCH_E_NOT_EXECUTABLE, EACCES);
    assert_refused("sub", PATH_SEARCH_E_NOT_EXECUTABLE, EACCES);
    assert_refused("", PATH_SEARCH_E_NOT_FOUND, ENOENT);
}

static void an_empty_folder_of_path_is_here(void **state)
{
    (void)state;
    assert_int_equal(chdir(folder), 0);
    setenv("PATH", "/nonexistent:", 1);
    assert_found("program", "./program");
    setenv("PATH", "", 1);
    assert_found("program", "./program");
    assert_int_equal(chdir("/"), 0);
}

static void without_path_there_are_the_usual_folders(void **state)
{
    (void)state;
    unsetenv("PATH");
    char path[PATH_MAX];
    assert_int_equal(path_search("sh", path, sizeof(path)), 0);
}

static void a_slash_makes_it_a_path(void **state)
{
    (void)state;
    char name[PATH_MAX];
    snprintf(name, sizeof(name), "%s/program", folder);
    setenv("PATH", "", 1);
    assert_found(name, name);
    snprintf(name, sizeof(name), "%s/data", folder);
    assert_refused(name, PATH_SEARCH_E_NOT_EXECUTABLE, EACCES);
    snprintf(name, sizeof(name), "%s/absent", folder);
    assert_refused(name, PATH_SEARCH_E_NOT_FOUND, ENOENT);
    snprintf(name, sizeof(name), "%s/program/below", folder);
    assert_refused(name, PATH_SEARCH_E_NOT_FOUND, ENOTDIR);
    char small[4];
    assert_int_equal(path_search(name, small, sizeof(small)), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_looked_up_in_path),
        cmocka_unit_test(an_empty_folder_of_path_is_here),
        cmocka_unit_test(without_path_there_are_the_usual_folders),
        cmocka_unit_test(a_slash_makes_it_a_path),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
