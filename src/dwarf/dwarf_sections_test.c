/* SPDX-License-Identifier: MIT */
#include "dwarf/own_dwarf_test.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
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

/* A section of nothing takes no room on disk, and as much memory as it says. */
static void test_a_budget(void **state)
{
    (void)state;
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *sections =
        open_sections("/proc/self/exe");
    uint64_t n_bytes = dwarf_sections_n_bytes(sections, DWARF_INFO);
    struct dwarf_budget budget = {.max_bytes = n_bytes - 1};
    dwarf_sections_set_budget(sections, &budget);
    struct bytes bytes;
    assert_int_equal(dwarf_sections_whole(sections, DWARF_INFO, &bytes), -EFBIG);
    assert_int_equal(dwarf_budget_n_refusals(&budget), 1);
    assert_int_equal(dwarf_sections_memory_bytes(sections), 0);
    struct dwarf_window window;
    assert_int_equal(dwarf_sections_read(sections, DWARF_INFO, 0, 100, &window), 0);
    dwarf_window_release(&window);
    budget.max_bytes = n_bytes;
    assert_int_equal(dwarf_sections_whole(sections, DWARF_INFO, &bytes), 0);
    assert_int_equal(budget.n_bytes, n_bytes);
    assert_int_equal(dwarf_sections_whole(sections, DWARF_LINE, &bytes), -EFBIG);
    dwarf_sections_drop(sections);
    assert_int_equal(budget.n_bytes, 0);
    assert_int_equal(dwarf_sections_whole(sections, DWARF_LINE, &bytes), 0);
    dwarf_sections_drop(sections);
    dwarf_sections_set_deadline(sections, 1);
    assert_int_equal(dwarf_sections_read(sections, DWARF_INFO, 0, 100, &window), 0);
    dwarf_window_release(&window);
}

/* A file whose .debug_info is a hole of 3 MiB. */
static void test_large_windows(void **state)
{
    (void)state;
    static const char names[] = "\0.debug_info\0.shstrtab";
    uint64_t n_bytes = UINT64_C(3) << 20;
    Elf64_Shdr headers[3] = {
        [1] = {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 4096, .sh_size = n_bytes},
        [2] = {.sh_name = 13, .sh_type = SHT_STRTAB, .sh_offset = 512, .sh_size = sizeof(names)},
    };
    Elf64_Ehdr header = {.e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = EM_X86_64};
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(header);
    header.e_shoff = 1024;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 3;
    header.e_shstrndx = 2;
    int fd = memfd_create("holes", MFD_CLOEXEC);
    assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(pwrite(fd, names, sizeof(names), 512), sizeof(names));
    assert_int_equal(pwrite(fd, headers, sizeof(headers), 1024), sizeof(headers));
    assert_int_equal(ftruncate(fd, (off_t)(4096 + n_bytes)), 0);
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *sections = NULL;
    assert_int_equal(dwarf_sections_open(fd, NULL, &sections), 0);
    struct dwarf_budget budget = {.max_bytes = UINT64_C(2) << 20};
    dwarf_sections_set_budget(sections, &budget);
    struct dwarf_window window;
    assert_int_equal(dwarf_sections_read(sections, DWARF_INFO, 0, UINT64_MAX, &window), -EFBIG);
    assert_int_equal(dwarf_sections_read(sections, DWARF_INFO, 7, budget.max_bytes, &window), 0);
    assert_int_equal(budget.n_bytes, budget.max_bytes);
    dwarf_window_release(&window);
    assert_int_equal(budget.n_bytes, 0);
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
        cmocka_unit_test(test_windows_and_whole), cmocka_unit_test(test_compressed),
        cmocka_unit_test(test_a_budget),          cmocka_unit_test(test_large_windows),
        cmocka_unit_test(test_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
