/* SPDX-License-Identifier: MIT */
#include "symbols/built_program_test.h"

#include "symbols/debug_links.h"

/* A copy of the program whose section `name` has these bytes. */
static struct opened with_section(const struct built *built, const char *name, const void *data,
                                  size_t n_bytes)
{
    built_write(built, "bytes", data, n_bytes);
    assert_int_equal(built_run(built,
                               "objcopy --remove-section %s --add-section %s=bytes prog changed",
                               name, name),
                     0);
    return built_open(built, "changed");
}

static bool reads_link(const struct built *built, const void *data, size_t n_bytes)
{
    struct opened file = with_section(built, ".gnu_debuglink", data, n_bytes);
    struct debug_link link;
    bool is_link = debug_link_read(file.elf, &link);
    opened_release(&file);
    return is_link;
}

static void test_link_as_objcopy_writes_it(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_int_equal(built_run(built, "objcopy --only-keep-debug prog a.debug && "
                                      "objcopy --add-gnu-debuglink=a.debug prog linked"),
                     0);
    struct opened file = built_open(built, "linked");
    struct opened debug = built_open(built, "a.debug");
    struct debug_link link;
    uint32_t checksum;
    assert_true(debug_link_read(file.elf, &link));
    assert_string_equal(link.name, "a.debug");
    struct debug_checksum_effort effort = {.n_left_bytes = 100};
    assert_int_equal(debug_link_checksum(debug.fd, &effort, &checksum), -EFBIG);
    assert_int_equal(effort.n_left_bytes, 100); /* its size told */
    atomic_bool is_cancelled = true;
    effort = (struct debug_checksum_effort){.n_left_bytes = 1 << 24, .is_cancelled = &is_cancelled};
    assert_int_equal(debug_link_checksum(debug.fd, &effort, &checksum), -ECANCELED);
    is_cancelled = false;
    assert_int_equal(debug_link_checksum(debug.fd, &effort, &checksum), 0);
    assert_int_equal(link.checksum, checksum);
    assert_int_equal(effort.n_left_bytes, (1 << 24) - elf_file_n_bytes(debug.elf));
    /* It is known by now: nothing is left, and nothing is read. */
    effort = (struct debug_checksum_effort){.n_left_bytes = 0};
    checksum = 0;
    assert_int_equal(debug_link_checksum(debug.fd, &effort, &checksum), 0);
    assert_int_equal(checksum, link.checksum);
    assert_int_equal(debug_link_checksum(-1, &effort, &checksum), -EBADF);
    /* Until it is another. */
    assert_int_equal(built_run(built, "echo >> a.debug"), 0);
    effort = (struct debug_checksum_effort){.n_left_bytes = 1 << 24};
    assert_int_equal(debug_link_checksum(debug.fd, &effort, &checksum), 0);
    assert_int_not_equal(checksum, link.checksum);
    assert_false(debug_link_read(debug.elf, &link));
    opened_release(&file);
    opened_release(&debug);
}

static void test_links_of_strangers(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    assert_true(reads_link(built, "abc\0\1\2\3\4", 8));
    assert_true(reads_link(built, "a\0\0\0\1\2\3\4", 8));
    assert_false(reads_link(built, "abc\0\1\2\3", 7));
    assert_false(reads_link(built, "abcdefgh", 8));
    assert_false(reads_link(built, "\0\0\0\0\1\2\3\4", 8));
    assert_false(reads_link(built, "..\0\0\1\2\3\4", 8));
    assert_false(reads_link(built, "../secret\0\0\0\1\2\3\4", 16));
    assert_false(reads_link(built, "/etc/file\0\0\0\1\2\3\4", 16));
}

static void test_alternate_links(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    struct debug_alternate_link link;
    struct opened file =
        with_section(built, ".gnu_debugaltlink", "../x.dwz\0ABCDEFGHIJKLMNOPQRST", 29);
    assert_true(debug_alternate_link_read(file.elf, &link));
    assert_string_equal(link.path, "../x.dwz");
    assert_int_equal(link.build_id_bytes, 20);
    assert_memory_equal(link.build_id, "ABCDEFGHIJKLMNOPQRST", 20);
    opened_release(&file);

    /* Too long an id, none, no NUL, an empty path. */
    static const struct {
        const char *bytes;
        size_t n_bytes;
    } bad[] = {{"x\0ABCDEFGHIJKLMNOPQRSTU", 23}, {"x\0", 2}, {"xyz", 3}, {"\0AB", 3}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        file = with_section(built, ".gnu_debugaltlink", bad[i].bytes, bad[i].n_bytes);
        assert_false(debug_alternate_link_read(file.elf, &link));
        opened_release(&file);
    }

    file = with_section(built, ".debug_sup", "\5\0\0dwz\0\4ABCD", 12);
    assert_true(debug_alternate_link_read(file.elf, &link));
    assert_string_equal(link.path, "dwz");
    assert_int_equal(link.build_id_bytes, 4);
    opened_release(&file);
    /* It is the shared file itself; its id is cut off. */
    file = with_section(built, ".debug_sup", "\5\0\1dwz\0\4ABCD", 12);
    assert_false(debug_alternate_link_read(file.elf, &link));
    opened_release(&file);
    file = with_section(built, ".debug_sup", "\5\0\0dwz\0\xff\xff\xff\xff\xff\xff", 13);
    assert_false(debug_alternate_link_read(file.elf, &link));
    opened_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_link_as_objcopy_writes_it, built_new, built_free),
        cmocka_unit_test_setup_teardown(test_links_of_strangers, built_new, built_free),
        cmocka_unit_test_setup_teardown(test_alternate_links, built_new, built_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
