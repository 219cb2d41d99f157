/* SPDX-License-Identifier: MIT */
#include "archive/archive_directory.h"

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

#include "archive/archive_file.h"
#include "base/fd.h"

static char folder[300];
static int folder_fd = -1;

static int set_up(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/directory-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder)) {
        return -1;
    }
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder_fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    folder_fd = fd_close(folder_fd);
    return archive_directory_remove(AT_FDCWD, folder);
}

static int read_member(const char *name, size_t max_bytes, char *ret_text, size_t size)
{
    _cleanup_(freep) void *bytes = NULL;
    size_t n_bytes = 0;
    uint64_t file_bytes = 0;
    int r = archive_directory_read(folder_fd, name, max_bytes, &bytes, &n_bytes, &file_bytes);
    if (r == 0) {
        assert_true(n_bytes < size);
        (void)snprintf(ret_text, size, "%.*s of %d", (int)n_bytes, (const char *)bytes,
                       (int)file_bytes);
    }
    return r;
}

static void members_are_files(void **state)
{
    (void)state;
    char text[40];
    assert_int_equal(archive_directory_write(folder_fd, "a/b/c", "12345", 5), 0);
    assert_int_equal(archive_directory_write(folder_fd, "a/b/d", "6", 1), 0);
    assert_int_equal(archive_directory_write(folder_fd, "a/b/d", "7", 1), -EEXIST);
    assert_int_equal(archive_directory_write(folder_fd, "a/b", "7", 1), -EEXIST);
    assert_int_equal(archive_directory_write(folder_fd, "a/b/c/d", "7", 1), -ENOTDIR);
    assert_int_equal(archive_directory_sync(folder_fd), 0);
    assert_int_equal(read_member("a/b/c", 100, text, sizeof(text)), 0);
    assert_string_equal(text, "12345 of 5");
    assert_int_equal(read_member("a/b/c", 2, text, sizeof(text)), 0);
    assert_string_equal(text, "12 of 5");
    assert_int_equal(read_member("a/b/e", 100, text, sizeof(text)), -ENOENT);
    assert_int_equal(read_member("a/b", 100, text, sizeof(text)), -EINVAL);
    assert_int_equal(read_member("a/b/c/d", 100, text, sizeof(text)), -EINVAL);
}

static void nothing_leads_out(void **state)
{
    (void)state;
    static const char *const names[] = {"../x", "/etc/hostname", "a/../../x", ".", "", "./a"};
    char text[40];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(archive_directory_write(folder_fd, names[i], "x", 1), -EINVAL);
        assert_int_equal(read_member(names[i], 100, text, sizeof(text)), -EINVAL);
    }
    assert_int_equal(symlinkat("/etc", folder_fd, "etc"), 0);
    assert_int_equal(symlinkat("/etc/hostname", folder_fd, "host"), 0);
    assert_int_equal(read_member("etc/hostname", 100, text, sizeof(text)), -EINVAL);
    assert_int_equal(read_member("host", 100, text, sizeof(text)), -EINVAL);
    assert_true(archive_directory_write(folder_fd, "etc/stax-was-here", "x", 1) < 0);
    assert_int_not_equal(access("/etc/stax-was-here", F_OK), 0);
}

static void what_could_be_a_member_is_found(void **state)
{
    (void)state;
    _cleanup_(archive_members_releasep) struct archive_members members;
    archive_members_init(&members);
    assert_int_equal(archive_directory_write(folder_fd, "found/one", "12", 2), 0);
    assert_int_equal(archive_directory_write(folder_fd, "manifest.json", "{}", 2), 0);
    assert_int_equal(mkfifoat(folder_fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(folder_fd, ".hidden", 0700), 0);
    assert_int_equal(mkdirat(folder_fd, "Capital", 0700), 0);
    assert_int_equal(archive_directory_find(folder_fd, &members), 0);
    const struct archive_listed *one = archive_members_find(&members, "found/one");
    assert_non_null(one);
    assert_int_equal(one->n_bytes, 2);
    assert_false(one->has_crc32);
    assert_null(archive_members_find(&members, "fifo"));
    assert_null(archive_members_find(&members, "manifest.json"));
    for (size_t i = 0; i < members.n_members; i++) {
        assert_non_null(strchr("af", members.listed[i].name[0])); /* of this test and the first */
    }
}

static void links_are_removed_and_not_what_they_lead_to(void **state)
{
    (void)state;
    assert_int_equal(archive_directory_write(folder_fd, "kept/file", "x", 1), 0);
    assert_int_equal(archive_directory_write(folder_fd, "gone/a/b/c", "x", 1), 0);
    char link[400];
    (void)snprintf(link, sizeof(link), "%s/kept", folder);
    assert_int_equal(symlinkat(link, folder_fd, "gone/link"), 0);
    assert_int_equal(archive_directory_remove(folder_fd, "gone"), 0);
    char text[40];
    assert_int_equal(read_member("kept/file", 10, text, sizeof(text)), 0);
    assert_int_equal(faccessat(folder_fd, "gone", F_OK, 0), -1);
    assert_int_equal(archive_directory_remove(folder_fd, "gone"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_files),
        cmocka_unit_test(nothing_leads_out),
        cmocka_unit_test(what_could_be_a_member_is_found),
        cmocka_unit_test(links_are_removed_and_not_what_they_lead_to),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
