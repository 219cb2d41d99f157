/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/setup_files_linux.h"

static char root[64];

#define CONTENT(words)                                                                             \
    (&(const struct setup_content){.text = (words), .n_bytes = strlen(words), .fd = -1})

static const char *at(const char *path)
{
    static char whole[256];
    (void)snprintf(whole, sizeof(whole), "%s%s", root, path);
    return whole;
}

static int make_root(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/setup-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command); /* NOLINT(cert-env33-c): of a test, with a path of its own */
}

static void assert_content(const char *path, const char *expected, mode_t mode)
{
    _cleanup_(freep) char *text = NULL;
    struct stat status;
    assert_int_equal(fd_read_file(at(path), 1000, &text, NULL), 0);
    assert_string_equal(text, expected);
    assert_int_equal(stat(at(path), &status), 0);
    assert_int_equal(status.st_mode & 07777, mode);
}

static void a_file_comes_and_goes(void **state)
{
    (void)state;
    struct error error = {0};
    mode_t mask = umask(077);
    assert_int_equal(setup_files_put(root, "/usr/stax/daemon", CONTENT("one"), 0755, &error), 0);
    (void)umask(mask);
    assert_content("/usr/stax/daemon", "one", 0755);
    assert_int_equal(setup_files_put(root, "/usr/stax/daemon", CONTENT("two"), 0644, &error), 0);
    assert_content("/usr/stax/daemon", "two", 0644);
    assert_int_equal(access(at("/usr/stax/.daemon.new"), F_OK), -1);
    /* Its folder is ours and goes with it; the one above does not. */
    assert_int_equal(setup_files_remove(root, "/usr/stax/daemon", &error), 0);
    assert_int_equal(access(at("/usr/stax"), F_OK), -1);
    assert_int_equal(access(at("/usr"), F_OK), 0);
    assert_int_equal(setup_files_remove(root, "/usr/stax/daemon", &error), 0);
    assert_int_equal(setup_files_put(root, "/etc/unit", CONTENT("x"), 0644, &error), 0);
    assert_int_equal(setup_files_remove(root, "/etc/unit", &error), 0);
    assert_int_equal(access(at("/etc"), F_OK), 0);
}

static void the_content_of_a_file(void **state)
{
    (void)state;
    struct error error = {0};
    int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    const struct setup_content content = {.fd = fd};
    assert_int_equal(setup_files_put(root, "/copy", &content, 0755, &error), 0);
    fd_close(fd);
    struct stat status;
    assert_int_equal(stat(at("/copy"), &status), 0);
    assert_true(status.st_size > 1);
}

static void where_others_may_write_nothing_is_put(void **state)
{
    (void)state;
    static const mode_t modes[] = {0777, 0775, 01777, 0757};
    assert_int_equal(mkdir(at("/usr"), 0755), 0);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct error error = {0};
        assert_int_equal(chmod(at("/usr"), modes[i]), 0);
        assert_int_equal(setup_files_put(root, "/usr/stax/daemon", CONTENT("x"), 0755, &error),
                         -EPERM);
        assert_string_equal(error.code, "unsafe_folder");
        assert_int_equal(access(at("/usr/stax"), F_OK), -1);
    }
}

static void links_are_not_followed(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(mkdir(at("/elsewhere"), 0755), 0);
    assert_int_equal(symlink("elsewhere", at("/usr")), 0);
    assert_int_equal(setup_files_put(root, "/usr/daemon", CONTENT("x"), 0755, &error), -ENOTDIR);
    assert_int_equal(access(at("/elsewhere/daemon"), F_OK), -1);
    /* A link in the file's own place is replaced, and what it names stays as it is. */
    assert_int_equal(setup_files_put(root, "/elsewhere/kept", CONTENT("kept"), 0644, &error), 0);
    assert_int_equal(symlink("kept", at("/elsewhere/daemon")), 0);
    assert_int_equal(symlink("kept", at("/elsewhere/.daemon.new")), 0);
    assert_int_equal(setup_files_put(root, "/elsewhere/daemon", CONTENT("x"), 0755, &error), 0);
    assert_content("/elsewhere/kept", "kept", 0644);
    assert_content("/elsewhere/daemon", "x", 0755);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_comes_and_goes, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_content_of_a_file, make_root, remove_root),
        cmocka_unit_test_setup_teardown(where_others_may_write_nothing_is_put, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(links_are_not_followed, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
