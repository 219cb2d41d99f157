/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "symbols/elf_symbols.h"

/* Functions with more than one name, and with none that says how long they are. */
int decorated_name(void) __asm__("__decorated_name");
__attribute__((noinline)) int decorated_name(void)
{
    return 1;
}
int plain_name(void) __attribute__((alias("__decorated_name")));
int a(void) __attribute__((weak, alias("__decorated_name")));

void assembled_without_size(void);
__asm__(".pushsection .text.elf_symbols_test, \"ax\"\n"
        ".global assembled_without_size\n"
        ".type assembled_without_size, @function\n"
        "assembled_without_size:\n"
        ".skip 32\n"
        "unsized_label:\n"
        ".skip 16\n"
        ".popsection\n");

static char *own_program;
static size_t own_program_bytes;
static uint64_t bias;

static int take_bias(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size;
    *(uint64_t *)userdata = info->dlpi_addr;
    return 1; /* the program itself comes first */
}

static int read_own_program(void **state)
{
    (void)state;
    dl_iterate_phdr(take_bias, &bias);
    return fd_read_file("/proc/self/exe", 64 << 20, &own_program, &own_program_bytes);
}

static int free_own_program(void **state)
{
    (void)state;
    free(own_program);
    return 0;
}

static struct function_table *load(struct elf_file *file, const char *expected_origin)
{
    struct function_table *table = NULL;
    assert_int_equal(function_table_new("x", FRAME_KIND_USER, &table), 0);
    const char *origin = NULL;
    assert_int_equal(elf_symbols_load(file, table, &origin), 0);
    if (expected_origin) {
        assert_string_equal(origin, expected_origin);
    }
    return table;
}

static struct function_table *load_memory(const void *data, size_t n_bytes,
                                          const char *expected_origin)
{
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    assert_int_equal(elf_file_open_memory(data, n_bytes, &file, NULL), 0);
    return load(file, expected_origin);
}

static struct function_table *load_path(const char *path, const char *expected_origin)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    assert_int_equal(elf_file_open_descriptor(fd, &file, NULL), 0);
    return load(file, expected_origin);
}

static void assert_name(struct function_table *table, uint64_t image_addr, const char *name)
{
    const struct symbol *symbol = function_table_find(table, image_addr);
    assert_non_null(symbol);
    assert_string_equal(symbol->name, name);
}

static void test_own_program(void **state)
{
    (void)state;
    _cleanup_(function_table_freep) struct function_table *table =
        load_path("/proc/self/exe", ".symtab");
    assert_name(table, (uintptr_t)&test_own_program - bias + 3, "test_own_program");
    assert_name(table, (uintptr_t)&load_path - bias, "load_path");
    /* A global without underscores, although the weak one is shorter. */
    assert_name(table, (uintptr_t)&decorated_name - bias, "plain_name");
    uint64_t unsized_addr = (uintptr_t)&assembled_without_size - bias;
    assert_name(table, unsized_addr + 31, "assembled_without_size");
    assert_name(table, unsized_addr + 32, "unsized_label");
    assert_null(function_table_find(table, 1));
    /* Data has no function. */
    assert_null(function_table_find(table, (uintptr_t)&own_program - bias));
}

static void test_libc(void **state)
{
    (void)state;
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    struct link_map *map = NULL;
    if (!libc || dlinfo(libc, RTLD_DI_LINKMAP, (void *)&map) != 0) {
        skip();
    }
    _cleanup_(function_table_freep) struct function_table *table = load_path(map->l_name, NULL);
    assert_true(function_table_count(table) > 1000);
    /* "__strdup" is a global and "strdup" a weak name of the same function. */
    static const char *const functions[] = {"qsort", "strdup", "malloc", "read", "pthread_create"};
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        uint64_t ip = (uintptr_t)dlsym(libc, functions[i]);
        assert_name(table, ip - map->l_addr + 1, functions[i]);
    }
    dlclose(libc);
}

/* Makes every section of a type unreadable, as strip(1) would by removing it. */
static void hide_sections(char *data, uint32_t type)
{
    const Elf64_Ehdr *header = (const void *)data;
    Elf64_Shdr *sections = (void *)(data + header->e_shoff);
    for (size_t i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type == type) {
            sections[i].sh_type = SHT_NULL;
        }
    }
}

static void test_stripped_copies(void **state)
{
    (void)state;
    _cleanup_(freep) char *copy = malloc(own_program_bytes);
    memcpy(copy, own_program, own_program_bytes);
    hide_sections(copy, SHT_SYMTAB);
    _cleanup_(function_table_freep) struct function_table *dynamic =
        load_memory(copy, own_program_bytes, NULL);
    assert_null(function_table_find(dynamic, (uintptr_t)&load_path - bias));

    hide_sections(copy, SHT_DYNSYM);
    _cleanup_(function_table_freep) struct function_table *none =
        load_memory(copy, own_program_bytes, "none");
    assert_int_equal(function_table_count(none), 0);
}

static void test_vdso(void **state)
{
    (void)state;
    const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!vdso) {
        skip();
    }
    /* Section headers lie behind the code: the size comes from them. */
    const Elf64_Ehdr *header = (const void *)vdso;
    size_t n_bytes = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    _cleanup_(function_table_freep) struct function_table *table =
        load_memory(vdso, n_bytes, ".dynsym");
    assert_true(function_table_count(table) > 0);
}

/* A big file whose cost would be felt: skipped where it is not installed. */
static void test_a_big_program_loads_soon(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = open("/usr/bin/node", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        skip();
    }
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    uint64_t start_ns = clock_now_ns();
    assert_int_equal(elf_file_open_descriptor(fd, &file, NULL), 0);
    _cleanup_(function_table_freep) struct function_table *table = load(file, NULL);
    print_message("%zu functions in %.1f ms\n", function_table_count(table),
                  (double)(clock_now_ns() - start_ns) / 1e6);
    assert_true(function_table_count(table) > 100);
}

static void test_damaged_copies(void **state)
{
    (void)state;
    _cleanup_(freep) char *copy = malloc(own_program_bytes);
    const Elf64_Ehdr *header = (const void *)own_program;
    const Elf64_Shdr *sections = (const void *)(own_program + header->e_shoff);
    srand(11);
    for (int round = 0; round < 200; round++) {
        memcpy(copy, own_program, own_program_bytes);
        size_t index = (size_t)rand() % header->e_shnum;
        for (int i = 0; i < 16; i++) {
            /* Half of the damage in a section's header, half in what it holds. */
            size_t at =
                header->e_shoff + index * sizeof(*sections) + (size_t)rand() % sizeof(*sections);
            if (i % 2 == 0 && sections[index].sh_size > 0 &&
                sections[index].sh_type != SHT_NOBITS) {
                at = sections[index].sh_offset + (size_t)rand() % sections[index].sh_size;
            }
            copy[at] = (char)(rand() % 2 == 0 ? 0xff : rand());
        }
        _cleanup_(elf_file_freep) struct elf_file *file = NULL;
        if (elf_file_open_memory(copy, own_program_bytes, &file, NULL) < 0) {
            continue;
        }
        _cleanup_(function_table_freep) struct function_table *table = load(file, NULL);
        for (uint64_t image_addr = 0; image_addr < 0x10000; image_addr += 61) {
            (void)function_table_find(table, image_addr);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_program),
        cmocka_unit_test(test_libc),
        cmocka_unit_test(test_stripped_copies),
        cmocka_unit_test(test_vdso),
        cmocka_unit_test(test_a_big_program_loads_soon),
        cmocka_unit_test(test_damaged_copies),
    };
    return cmocka_run_group_tests(tests, read_own_program, free_own_program);
}
