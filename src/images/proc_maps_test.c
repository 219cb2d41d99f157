/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "images/proc_maps.h"

static void test_lines_as_the_kernel_writes_them(void **state)
{
    (void)state;
    char text[] =
        "55d0e0a00000-55d0e0a2c000 r-xp 00002000 fe:01 1234567                    /usr/bin/cat\n"
        "7f00-7f80 rw-s 00000000 00:05 9 /tmp/a file  with spaces (deleted)\n"
        "7ffd1000-7ffd2000 r--p 00000000 00:00 0                          [vdso]\n"
        "7ffe1000-7ffe2000 -w-p 00000000 00:00 0 \n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]";
    char *at = text;
    struct proc_maps_line line;

    assert_true(proc_maps_next(&at, &line));
    assert_int_equal(line.image.change, EVENT_IMAGE_MAPPED);
    assert_int_equal(line.image.start_ip, 0x55d0e0a00000);
    assert_int_equal(line.image.end_ip, 0x55d0e0a2c000);
    assert_int_equal(line.image.file_offset, 0x2000);
    assert_int_equal(line.image.device_major, 0xfe);
    assert_int_equal(line.image.device_minor, 1);
    assert_int_equal(line.image.inode, 1234567);
    assert_string_equal(line.image.path, "/usr/bin/cat");
    assert_true(line.is_readable && line.is_executable && !line.is_writable);

    assert_true(proc_maps_next(&at, &line));
    assert_string_equal(line.image.path, "/tmp/a file  with spaces (deleted)");
    assert_true(line.is_readable && line.is_writable && !line.is_executable);

    assert_true(proc_maps_next(&at, &line));
    assert_string_equal(line.image.path, "[vdso]");
    assert_int_equal(line.image.inode, 0);

    assert_true(proc_maps_next(&at, &line));
    assert_string_equal(line.image.path, "//anon");
    assert_true(!line.is_readable && line.is_writable);

    assert_true(proc_maps_next(&at, &line));
    assert_int_equal(line.image.end_ip, 0xffffffffff601000);
    assert_string_equal(line.image.path, "[vsyscall]");
    assert_false(proc_maps_next(&at, &line));
    assert_false(proc_maps_next(&at, &line));
}

static void test_nonsense_is_skipped(void **state)
{
    (void)state;
    char text[] = "\n"
                  "garbage\n"
                  "2000-1000 r-xp 00000000 00:00 0 /backwards\n"
                  "1000-1000 r-xp 00000000 00:00 0 /empty\n"
                  "1000-fffffffffffffffff r-xp 00000000 00:00 0 /too-wide\n"
                  "1000-2000 r-x 00000000 00:00 0 /short-permissions\n"
                  "1000-2000 r-xp 00000000 100000000:00 0 /wide-device\n"
                  "1000-2000 r-xp 00000000 00:00 99999999999999999999 /wide-inode\n"
                  "1000-2000 r-xp 00000000 00:00 12x /bad-inode\n"
                  "1000-2000 r-xp\n"
                  "1000-2000 r-xp 00000000 00:00 12 /good\n"
                  "1000-";
    char *at = text;
    struct proc_maps_line line;
    assert_true(proc_maps_next(&at, &line));
    assert_string_equal(line.image.path, "/good");
    assert_false(proc_maps_next(&at, &line));
}

static void test_own_maps(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    assert_int_equal(fd_read_file("/proc/self/maps", 1 << 20, &text, &n_bytes), 0);
    size_t n_newlines = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        n_newlines += text[i] == '\n';
    }
    uint64_t code_ip = (uintptr_t)&test_own_maps;
    size_t n_lines = 0;
    size_t n_hits = 0;
    uint64_t last_end_ip = 0;
    char *at = text;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        n_lines++;
        assert_true(line.image.start_ip >= last_end_ip);
        last_end_ip = line.image.end_ip;
        if (code_ip >= line.image.start_ip && code_ip < line.image.end_ip) {
            n_hits++;
            assert_true(line.is_executable);
            assert_non_null(strstr(line.image.path, "proc_maps"));
        }
    }
    assert_int_equal(n_lines, n_newlines);
    assert_int_equal(n_hits, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_as_the_kernel_writes_them),
        cmocka_unit_test(test_nonsense_is_skipped),
        cmocka_unit_test(test_own_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
