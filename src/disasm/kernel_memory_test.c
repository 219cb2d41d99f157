/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disasm/kernel_memory.h"

#define KERNEL_ADDR UINT64_C(0xffffffff81000000)

static char path[] = "/tmp/stax-kcore-XXXXXX";

/* A core with two segments of 8 bytes, as the kernel lays it out. */
static int make_core(void **state)
{
    (void)state;
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segments[3];
        uint8_t code[16];
    } core = {
        .header = {.e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3},
        .segments = {{.p_type = PT_NOTE, .p_vaddr = KERNEL_ADDR, .p_filesz = 4096},
                     {.p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = 8},
                     {.p_type = PT_LOAD, .p_vaddr = KERNEL_ADDR, .p_filesz = 8}},
        .code = {0, 1, 2, 3, 4, 5, 6, 7, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97},
    };
    memcpy(core.header.e_ident, ELFMAG, SELFMAG);
    core.header.e_ident[EI_CLASS] = ELFCLASS64;
    core.segments[1].p_offset = offsetof(__typeof__(core), code);
    core.segments[2].p_offset = offsetof(__typeof__(core), code) + 8;
    _cleanup_(fd_closep) int fd = mkstemp(path);
    return fd < 0 ? -1 : fd_write_all(fd, &core, sizeof(core));
}

static int remove_core(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_reads_what_stands_at_an_address(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct error error = {0};
    assert_int_equal(kernel_memory_read(path, KERNEL_ADDR + 2, bytes, 4, &error), 4);
    assert_int_equal(bytes[0], 0x92);
    assert_int_equal(bytes[3], 0x95);
    /* Not past the end of the segment. */
    assert_int_equal(kernel_memory_read(path, 0x1006, bytes, sizeof(bytes), &error), 2);
    assert_int_equal(bytes[1], 7);
    assert_int_equal(kernel_memory_read(path, 0x1008, bytes, 1, &error), -EFAULT);
    assert_non_null(strstr(error.message, path));
}

static void test_says_why_not(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct error error = {0};
    assert_int_equal(kernel_memory_read("/nowhere/kcore", 0, bytes, 1, &error), -ENOENT);
    assert_non_null(strstr(error.message, "built without it"));
    assert_int_equal(kernel_memory_read("/proc/self/maps", 0, bytes, 1, &error), -ENOEXEC);
    assert_int_equal(kernel_memory_read("/dev/null", 0, bytes, 1, &error), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_stands_at_an_address),
        cmocka_unit_test(test_says_why_not),
    };
    return cmocka_run_group_tests(tests, make_core, remove_core);
}
