/* SPDX-License-Identifier: MIT */
#include "dwarf/own_dwarf_test.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dwarf/dwarf_abi.h"

static void test_own_units(void **state)
{
    (void)state;
    _cleanup_(dwarf_file_freep) struct dwarf_file *file = own_dwarf();
    assert_true(file->units.n_units > 1);
    uint64_t end = 0;
    for (size_t i = 0; i < file->units.n_units; i++) {
        const struct dwarf_unit *unit = &file->units.units[i];
        assert_int_equal(unit->offset, end);
        end = unit->end_offset;
        assert_ptr_equal(dwarf_unit_list_find(&file->units, unit->offset), unit);
        assert_ptr_equal(dwarf_unit_list_find(&file->units, unit->end_offset - 1), unit);
    }
    assert_null(dwarf_unit_list_find(&file->units, end));

    uint32_t number = dwarf_file_find_unit(file, own_address((const void *)test_own_units));
    assert_int_not_equal(number, DWARF_UNIT_NONE);
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    const struct dwarf_unit *unit = &file->units.units[number];
    const char *name = dwarf_unit_string(&file->sources, unit, unit->name, &arena);
    assert_non_null(strstr(name, "dwarf_file_test.c"));
    assert_non_null(dwarf_unit_string(&file->sources, unit, unit->comp_dir, &arena));
    assert_int_equal(dwarf_file_find_unit(file, 0), DWARF_UNIT_NONE);
    assert_int_equal(dwarf_file_find_unit(file, UINT64_MAX), DWARF_UNIT_NONE);
}

static void test_what_is_no_debug_file(void **state)
{
    (void)state;
    struct dwarf_file *file = NULL;
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    assert_true(dwarf_file_open(fd, -1, "", NULL, 0, &file) < 0);
    assert_int_equal(close(fd), -1); /* it was taken */
    assert_int_equal(errno, EBADF);
}

static void test_cancelling(void **state)
{
    (void)state;
    atomic_bool is_cancelled = true;
    struct dwarf_file *file = NULL;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int r = dwarf_file_open(fd, -1, "", &is_cancelled, 0, &file);
    assert_true(r == -ECANCELED || r == -ENOENT);
}

/* When the time is up there are fewer units, and no span of one that is not there. */
static void test_a_deadline(void **state)
{
    (void)state;
    _cleanup_(dwarf_file_freep) struct dwarf_file *whole = own_dwarf();
    _cleanup_(dwarf_file_freep) struct dwarf_file *nothing = NULL;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dwarf_file_open(fd, -1, "", NULL, 1, &nothing), 0);
    assert_int_equal(nothing->units.n_units, 0);
    assert_int_equal(nothing->n_spans, 0);
    assert_false(dwarf_sections_is_cancelled(nothing->sources.sections)); /* it was to open it */
    for (uint64_t us = 1; us < 10000; us *= 3) {
        _cleanup_(dwarf_file_freep) struct dwarf_file *part = NULL;
        fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        assert_int_equal(dwarf_file_open(fd, -1, "", NULL, clock_now_ns() + us * 1000, &part), 0);
        assert_true(part->units.n_units <= whole->units.n_units);
        for (size_t i = 0; i < part->n_spans; i++) {
            assert_true(part->spans[i].unit < part->units.n_units);
        }
    }
}

/* A debug file that is made up of these sections. */
static struct dwarf_file *open_made_up(struct bytes info, struct bytes abbrev, struct bytes line,
                                       uint64_t deadline_ns)
{
    static const char names[] = "\0.debug_info\0.debug_abbrev\0.debug_line\0.shstrtab";
    const struct bytes parts[] = {info, abbrev, line, bytes_of(names, sizeof(names))};
    static const uint32_t name_offsets[] = {1, 13, 27, 39};
    Elf64_Shdr headers[5] = {0};
    Elf64_Ehdr header = {.e_ident = ELFMAG, .e_type = ET_EXEC, .e_machine = EM_X86_64};
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof(header);
    header.e_shoff = sizeof(header);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 5;
    header.e_shstrndx = 4;
    int fd = memfd_create("made-up", MFD_CLOEXEC);
    uint64_t at = sizeof(header) + sizeof(headers);
    for (size_t i = 0; i < 4; i++) {
        size_t n_bytes = bytes_left(&parts[i]);
        headers[i + 1] = (Elf64_Shdr){.sh_name = name_offsets[i],
                                      .sh_type = i == 3 ? SHT_STRTAB : SHT_PROGBITS,
                                      .sh_offset = at,
                                      .sh_size = n_bytes};
        assert_int_equal(pwrite(fd, parts[i].at, n_bytes, (off_t)at), n_bytes);
        at += n_bytes;
    }
    assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
    assert_int_equal(pwrite(fd, headers, sizeof(headers), sizeof(header)), sizeof(headers));
    struct dwarf_file *file = NULL;
    assert_int_equal(dwarf_file_open(fd, -1, "", NULL, deadline_ns, &file), 0);
    return file;
}

#define MANY 16384u /* units, and entries of the one table that all of them begin at the end of */

static void test_units_that_share_a_table(void **state)
{
    (void)state;
    static uint8_t info[MANY * 14], abbrev[MANY * 7];
    size_t n_abbrev = 0;
    for (uint32_t i = 1; i < MANY; i++) {
        const uint8_t entry[] = {0x80 | (i & 0x7f),
                                 0x80 | (i >> 7 & 0x7f),
                                 (uint8_t)(i >> 14),
                                 DW_TAG_compile_unit,
                                 0,
                                 0,
                                 0};
        memcpy(abbrev + n_abbrev, entry, sizeof(entry));
        n_abbrev += sizeof(entry);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t code = MANY - 1 - i % 2;
        const uint8_t unit[] = {
            10, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 0x80 | (code & 0x7f), 0x80 | (code >> 7 & 0x7f), 0};
        memcpy(info + (size_t)i * sizeof(unit), unit, sizeof(unit));
    }
    _cleanup_(dwarf_file_freep) struct dwarf_file *file =
        open_made_up(bytes_of(info, sizeof(info)), bytes_of(abbrev, n_abbrev), bytes_of("", 1),
                     clock_now_ns() + 4 * NS_PER_S);
    assert_int_equal(file->units.n_units, MANY); /* in time */
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(file->units.units[i].tag, DW_TAG_compile_unit);
    }
}

/* Both claim what the lines are of, as if each had run the program itself. */
static void test_units_that_share_lines(void **state)
{
    (void)state;
    static const uint8_t abbrev[] = {
        1, DW_TAG_compile_unit, 0, DW_AT_stmt_list, DW_FORM_data4, 0, 0, 0};
    static const uint8_t info[] = {12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0,
                                   12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0, 0};
    /* One sequence from 0x1000 on of 16 bytes. */
    static const uint8_t line[] = {
        47, 0, 0, 0, 2,    0, 24, 0, 0, 0, 1, 1, 0xfb, 14,  13, /* up to the first opcode */
        0,  1, 1, 1, 1,    0, 0,  0, 1, 0, 0, 1, 0,    'a', 0,  0, 0, 0, 0, /* operands, files */
        0,  9, 2, 0, 0x10, 0, 0,  0, 0, 0, 0, 1, 2,    16,  0,  1, 1,
    };
    _cleanup_(dwarf_file_freep) struct dwarf_file *file =
        open_made_up(bytes_of(info, sizeof(info)), bytes_of(abbrev, sizeof(abbrev)),
                     bytes_of(line, sizeof(line)), 0);
    assert_int_equal(file->units.n_units, 2);
    assert_int_equal(file->n_spans, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(file->spans[i].start_addr, 0x1000);
        assert_int_equal(file->spans[i].end_addr, 0x1010);
    }
    assert_int_equal(file->spans[0].unit + file->spans[1].unit, 1);
    assert_int_equal(dwarf_file_find_unit(file, 0x1004), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_units),
        cmocka_unit_test(test_what_is_no_debug_file),
        cmocka_unit_test(test_cancelling),
        cmocka_unit_test(test_a_deadline),
        cmocka_unit_test(test_units_that_share_a_table),
        cmocka_unit_test(test_units_that_share_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
