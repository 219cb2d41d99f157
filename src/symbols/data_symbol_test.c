/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

#include "base/fd.h"
#include "symbols/data_symbol.h"

/* Of this program: with a value of its own, and in .bss. */
struct pair {
    uint64_t first, second;
};
static volatile struct pair told = {1, 2};
static volatile struct pair empty[3];

static int take_bias(struct dl_phdr_info *info, size_t n_bytes, void *userdata)
{
    (void)n_bytes;
    *(uint64_t *)userdata = info->dlpi_addr; /* the program itself comes first */
    return 1;
}

static void variables_have_names_and_offsets(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    struct error error;
    uint64_t bias = 0, offset;
    char name[64];
    dl_iterate_phdr(take_bias, &bias);
    assert_int_equal(elf_file_open_descriptor(fd, &file, &error), 0);
    assert_true(data_symbol_find(file, (uint64_t)(uintptr_t)&told.second - bias, name, sizeof(name),
                                 &offset));
    assert_string_equal(name, "told");
    assert_int_equal(offset, 8);
    assert_true(data_symbol_find(file, (uint64_t)(uintptr_t)&empty[2].first - bias, name,
                                 sizeof(name), &offset));
    assert_string_equal(name, "empty");
    assert_int_equal(offset, 32);
    assert_true(data_symbol_find(file, (uint64_t)(uintptr_t)empty - bias, name, 3, &offset));
    assert_string_equal(name, "em");
    /* A function is no variable, and nothing is at 0. */
    assert_false(
        data_symbol_find(file, (uint64_t)(uintptr_t)take_bias - bias, name, sizeof(name), &offset));
    assert_false(data_symbol_find(file, 0, name, sizeof(name), &offset));
}

/* A header and nothing behind it. */
static void files_without_tables_have_no_variables(void **state)
{
    (void)state;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_DYN,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_ehsize = sizeof(header)};
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    struct error error;
    uint64_t offset;
    char name[64];
    assert_int_equal(elf_file_open_memory(&header, sizeof(header), &file, &error), 0);
    assert_false(data_symbol_find(file, 64, name, sizeof(name), &offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_have_names_and_offsets),
        cmocka_unit_test(files_without_tables_have_no_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
