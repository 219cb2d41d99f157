/* SPDX-License-Identifier: MIT */
#include "dwarf/own_dwarf_test.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"

static struct dwarf_sections *open_sections(const char *path)
{
    struct dwarf_sections *sections = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (dwarf_sections_open(fd, NULL, &sections) < 0) {
        fd_close(fd);
        skip();
    }
    return sections;
}

static void test_windows_and_whole(void **state)
{
    (void)state;
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *sections =
        open_sections("/proc/self/exe");
    uint64_t n_bytes = dwarf_sections_n_bytes(sections, DWARF_LINE);
    assert_true(n_bytes > 100);
    struct dwarf_window window;
    assert_int_equal(dwarf_sections_read(sections, DWARF_LINE, n_bytes - 7, 100, &window), 0);
    assert_int_equal(window.n_bytes, 7);
    struct bytes whole;
    assert_int_equal(dwarf_sections_whole(sections, DWARF_LINE, &whole), 0);
    assert_int_equal(bytes_left(&whole), n_bytes);
    assert_memory_equal(whole.end - 7, window.at, 7);
    dwarf_window_release(&window);
    assert_int_equal(dwarf_sections_read(sections, DWARF_LINE, n_bytes, 1, &window), -ENOENT);
    assert_int_equal(dwarf_sections_read(sections, DWARF_CU_INDEX, 0, 1, &window), -ENOENT);
    assert_true(dwarf_sections_memory_bytes(sections) >= n_bytes);
    dwarf_sections_drop(sections);
    assert_int_equal(dwarf_sections_memory_bytes(sections), 0);
    assert_true(
        dwarf_sections_has_code_at(sections, own_address((const void *)test_windows_and_whole)));
    assert_false(dwarf_sections_has_code_at(sections, 0));
    assert_false(dwarf_sections_has_code_at(sections, UINT64_MAX));
}

/* Compressed in all ways that binutils knows, the bytes are the same. */
static void test_compressed(void **state)
{
    (void)state;
    if (system("command -v objcopy >/dev/null") != 0) {
        print_message("objcopy is not installed\n");
        skip();
    }
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *plain = open_sections("/proc/self/exe");
    struct bytes expected;
    assert_int_equal(dwarf_sections_whole(plain, DWARF_INFO, &expected), 0);
    static const char *const kinds[] = {"zlib-gabi", "zlib-gnu", "zstd"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char path[] = "/tmp/stax-sections-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        fd_close(fd);
        char command[256];
        snprintf(command, sizeof(command), "objcopy --compress-debug-sections=%s /proc/%d/exe %s",
                 kinds[i], (int)getpid(), path);
        if (system(command) != 0) {
            print_message("objcopy knows no %s\n", kinds[i]);
            unlink(path);
            continue;
        }
        _cleanup_(dwarf_sections_freep) struct dwarf_sections *packed = open_sections(path);
        unlink(path);
        struct bytes bytes;
        int r = dwarf_sections_whole(packed, DWARF_INFO, &bytes);
        if (r == -ENOTSUP) {
            print_message("built without %s\n", kinds[i]);
            continue;
        }
        assert_int_equal(r, 0);
        assert_int_equal(bytes_left(&bytes), bytes_left(&expected));
        assert_memory_equal(bytes.at, expected.at, bytes_left(&expected));
        struct dwarf_window window;
        assert_int_equal(dwarf_sections_read(packed, DWARF_INFO, 5, 10, &window), 0);
        assert_null(window.owned); /* there is nothing to read it from but the whole */
        assert_memory_equal(window.at, expected.at + 5, 10);
    }
}

static void test_a_deadline(void **state)
{
    (void)state;
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *sections =
        open_sections("/proc/self/exe");
    assert_false(dwarf_sections_is_cancelled(sections));
    dwarf_sections_set_deadline(sections, 1);
    assert_true(dwarf_sections_is_cancelled(sections));
    dwarf_sections_set_deadline(sections, 0);
    assert_false(dwarf_sections_is_cancelled(sections));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_and_whole),
        cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
