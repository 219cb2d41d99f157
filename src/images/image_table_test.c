/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "images/image_table.h"

static image_id intern(struct image_table *table, const struct event_image *mapping,
                       bool is_expected_new)
{
    image_id id = 0;
    bool is_new = !is_expected_new;
    assert_int_equal(image_table_intern(table, 42, mapping, &id, &is_new), 0);
    assert_int_equal(is_new, is_expected_new);
    return id;
}

static void test_fixed_images(void **state)
{
    (void)state;
    _cleanup_(image_table_freep) struct image_table *table = NULL;
    assert_int_equal(image_table_new(&table), 0);
    assert_int_equal(image_table_count(table), IMAGE_ID_FIRST);
    const struct image *unknown = image_table_get(table, IMAGE_ID_UNKNOWN);
    assert_int_equal(unknown->kind, IMAGE_KIND_UNKNOWN);
    assert_string_equal(unknown->path, "[unknown]");
    const struct image *kernel = image_table_get(table, IMAGE_ID_KERNEL);
    assert_int_equal(kernel->kind, IMAGE_KIND_KERNEL);
    assert_string_equal(kernel->name, "[kernel]");
    assert_int_equal(kernel->id, IMAGE_ID_KERNEL);
    const struct image *named = image_table_get(table, IMAGE_ID_NAMED);
    assert_int_equal(named->kind, IMAGE_KIND_KERNEL);
    assert_string_equal(named->path, "[kernel]");
    assert_int_equal(named->id, IMAGE_ID_NAMED);
}

static void test_identity_is_path_device_inode_and_build_id(void **state)
{
    (void)state;
    _cleanup_(image_table_freep) struct image_table *table = NULL;
    assert_int_equal(image_table_new(&table), 0);
    struct event_image libc = {
        .start_ip = 0x7000,
        .end_ip = 0x9000,
        .path = "/usr/lib/libc.so.6",
        .inode = 77,
        .device_major = 8,
        .device_minor = 1,
    };
    image_id first = intern(table, &libc, true);
    assert_int_equal(first, IMAGE_ID_FIRST);
    struct event_image elsewhere = libc;
    elsewhere.start_ip = 0x17000;
    elsewhere.end_ip = 0x19000;
    assert_int_equal(intern(table, &elsewhere, false), first);
    const struct image *image = image_table_get(table, first);
    assert_int_equal(image->start_ip, 0x7000);
    assert_int_equal(image->pid, 42);
    assert_string_equal(image->name, "libc.so.6");
    assert_int_equal(image->kind, IMAGE_KIND_FILE);

    struct event_image other = libc;
    other.inode = 78;
    image_id other_inode = intern(table, &other, true);
    assert_int_not_equal(other_inode, first);
    other = libc;
    other.device_minor = 2;
    intern(table, &other, true);
    other = libc;
    other.path = "/lib/libc.so.6";
    intern(table, &other, true);
    other = libc;
    other.build_id_bytes = 20;
    memset(other.build_id, 0xaa, 20);
    image_id with_id = intern(table, &other, true);
    assert_int_equal(image_table_get(table, with_id)->build_id_bytes, 20);
    assert_int_equal(image_table_get(table, with_id)->build_id[19], 0xaa);
    other.build_id[19] = 0xab;
    intern(table, &other, true);
    assert_int_equal(image_table_count(table), IMAGE_ID_FIRST + 6);
}

static void test_kinds_come_from_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum image_kind kind;
        const char *shown_path, *name;
    } cases[] = {
        {"/usr/bin/my program", IMAGE_KIND_FILE, "/usr/bin/my program", "my program"},
        {"/tmp/gone.so (deleted)", IMAGE_KIND_FILE, "/tmp/gone.so (deleted)", "gone.so"},
        {"/memfd:jit (deleted)", IMAGE_KIND_FILE, "/memfd:jit (deleted)", "memfd:jit"},
        {"[vdso]", IMAGE_KIND_VDSO, "[vdso]", "[vdso]"},
        {"//anon", IMAGE_KIND_ANONYMOUS, "[anon]", "[anon]"},
        {"[heap]", IMAGE_KIND_ANONYMOUS, "[heap]", "[heap]"},
        {"[anon:a/b]", IMAGE_KIND_ANONYMOUS, "[anon:a/b]", "[anon:a/b]"},
        {"[vsyscall]", IMAGE_KIND_ANONYMOUS, "[vsyscall]", "[vsyscall]"},
        {"anon_inode:[perf_event]", IMAGE_KIND_ANONYMOUS, "anon_inode:[perf_event]",
         "anon_inode:[perf_event]"},
        {"/", IMAGE_KIND_FILE, "/", "/"},
    };
    _cleanup_(image_table_freep) struct image_table *table = NULL;
    assert_int_equal(image_table_new(&table), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct event_image mapping = {.path = cases[i].path, .start_ip = 1, .end_ip = 2};
        const struct image *image = image_table_get(table, intern(table, &mapping, true));
        assert_int_equal(image->kind, cases[i].kind);
        assert_string_equal(image->path, cases[i].shown_path);
        assert_string_equal(image->name, cases[i].name);
    }
    /* All that has no name is one image, and the kernel's is always there. */
    struct event_image mapping = {.path = "/dev/zero (deleted)", .inode = 5};
    intern(table, &mapping, false);
    mapping.path = NULL;
    intern(table, &mapping, false);
    mapping.path = "[kernel.kallsyms]_text";
    assert_int_equal(intern(table, &mapping, false), IMAGE_ID_KERNEL);
}

static void test_nothing_moves_and_excess_build_ids_are_cut(void **state)
{
    (void)state;
    _cleanup_(image_table_freep) struct image_table *table = NULL;
    assert_int_equal(image_table_new(&table), 0);
    struct event_image mapping = {.path = "/many", .build_id_bytes = 255};
    image_id first = intern(table, &mapping, true);
    const struct image *image = image_table_get(table, first);
    assert_int_equal(image->build_id_bytes, LIMIT_BUILD_ID_BYTES);
    mapping.build_id_bytes = 0;
    for (uint64_t inode = 1; inode <= 5000; inode++) {
        mapping.inode = inode;
        assert_int_equal(intern(table, &mapping, true), first + inode);
    }
    assert_ptr_equal(image_table_get(table, first), image);
    assert_int_equal(image_table_get(table, first + 4321)->inode, 4321);
    assert_int_equal(image_table_count(table), first + 5001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_images),
        cmocka_unit_test(test_identity_is_path_device_inode_and_build_id),
        cmocka_unit_test(test_kinds_come_from_the_path),
        cmocka_unit_test(test_nothing_moves_and_excess_build_ids_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
