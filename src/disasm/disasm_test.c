/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "disasm/disasm.h"
#include "images/elf_file.h"

static struct disasm_instruction decode(enum disasm_machine machine, const void *code,
                                        size_t n_bytes, uint64_t address)
{
    _cleanup_(disassembler_freep) struct disassembler *disassembler = NULL;
    struct disasm_instruction instruction;
    assert_int_equal(disassembler_new(machine, &disassembler, NULL), 0);
    disassembler_decode(disassembler, code, n_bytes, address, &instruction);
    return instruction;
}

/* Bytes as binutils 2.40 assembles the text, which objdump -M intel gives back (masks without the
 * blank). */
static const struct {
    const char *text;
    uint8_t n_bytes;
    uint8_t bytes[DISASM_MAX_INSTRUCTION_BYTES];
} x86_64_cases[] = {
    {"endbr64", 4, {0xf3, 0x0f, 0x1e, 0xfa}},
    {"vpaddd zmm1 {k2} {z}, zmm3, zmm4", 6, {0x62, 0xf1, 0x65, 0xca, 0xfe, 0xcc}},
    {"vpaddd zmm1 {k2}, zmm3, zmm4", 6, {0x62, 0xf1, 0x65, 0x4a, 0xfe, 0xcc}},
    {"vpdpbusd zmm1, zmm2, zmm3", 6, {0x62, 0xf2, 0x6d, 0x48, 0x50, 0xcb}},
    {"vaddps ymm0, ymm1, ymm2", 4, {0xc5, 0xf4, 0x58, 0xc2}},
    {"tdpbssd tmm1, tmm2, tmm3", 5, {0xc4, 0xe2, 0x63, 0x5e, 0xca}},
    {"rdsspq rax", 5, {0xf3, 0x48, 0x0f, 0x1e, 0xc8}},
    {"imul rax, rcx", 4, {0x48, 0x0f, 0xaf, 0xc1}},
    {"nop", 1, {0x90}},
};

static void test_x86_64_instructions_as_the_assembler_wrote_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(x86_64_cases) / sizeof(x86_64_cases[0]); i++) {
        struct disasm_instruction instruction =
            decode(DISASM_MACHINE_X86_64, x86_64_cases[i].bytes, x86_64_cases[i].n_bytes, 0x1000);
        assert_string_equal(instruction.text, x86_64_cases[i].text);
        assert_int_equal(instruction.n_bytes, x86_64_cases[i].n_bytes);
        assert_int_equal(instruction.flow, DISASM_FLOW_NEXT);
    }
}

static void test_where_x86_64_jumps_lead(void **state)
{
    (void)state;
    const uint8_t branch[] = {0x75, 0xfe}, jump[] = {0xe9, 0x10, 0, 0, 0},
                  call[] = {0xe8, 0xfb, 0xff, 0xff, 0xff}, ret[] = {0xc3},
                  call_register[] = {0xff, 0xd0};
    struct disasm_instruction instruction = decode(DISASM_MACHINE_X86_64, branch, 2, 0x1000);
    assert_int_equal(instruction.flow, DISASM_FLOW_BRANCH);
    assert_true(instruction.has_target);
    assert_int_equal(instruction.target_address, 0x1000);
    assert_string_equal(instruction.text, "jnz 0x1000");
    instruction = decode(DISASM_MACHINE_X86_64, jump, 5, 0x1000);
    assert_int_equal(instruction.flow, DISASM_FLOW_JUMP);
    assert_int_equal(instruction.target_address, 0x1015);
    instruction = decode(DISASM_MACHINE_X86_64, call, 5, 0x1000);
    assert_int_equal(instruction.flow, DISASM_FLOW_CALL);
    assert_int_equal(instruction.target_address, 0x1000);
    assert_int_equal(decode(DISASM_MACHINE_X86_64, ret, 1, 0).flow, DISASM_FLOW_RETURN);
    instruction = decode(DISASM_MACHINE_X86_64, call_register, 2, 0);
    assert_int_equal(instruction.flow, DISASM_FLOW_CALL);
    assert_false(instruction.has_target);
}

static void test_addresses_are_absolute(void **state)
{
    (void)state;
    const uint8_t load[] = {0x48, 0x8b, 0x05, 0x10, 0, 0, 0};
    struct disasm_instruction instruction = decode(DISASM_MACHINE_X86_64, load, 7, 0x401000);
    assert_non_null(strstr(instruction.text, "0x401017"));
}

static void test_truncated_is_bytes(void **state)
{
    (void)state;
    const uint8_t call[] = {0xe8, 0xfb, 0xff};
    struct disasm_instruction instruction = decode(DISASM_MACHINE_X86_64, call, 3, 0x1000);
    assert_int_equal(instruction.flow, DISASM_FLOW_BAD);
    assert_int_equal(instruction.n_bytes, 1);
    assert_string_equal(instruction.text, ".byte 0xe8");
    instruction = decode(DISASM_MACHINE_X86_64, call, 0, 0x1000);
    assert_int_equal(instruction.flow, DISASM_FLOW_BAD);
    assert_int_equal(instruction.n_bytes, 0);
}

static void test_goes_on_behind_what_is_no_instruction(void **state)
{
    (void)state;
    /* 0x06 (push es) does not exist in 64-bit mode. */
    const uint8_t code[] = {0x06, 0x90, 0xc3};
    _cleanup_(disassembler_freep) struct disassembler *disassembler = NULL;
    assert_int_equal(disassembler_new(DISASM_MACHINE_X86_64, &disassembler, NULL), 0);
    const char *const expected[] = {".byte 0x06", "nop", "ret"};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        struct disasm_instruction instruction;
        disassembler_decode(disassembler, code + at, sizeof(code) - at, at, &instruction);
        assert_string_equal(instruction.text, expected[i]);
        assert_int_equal(instruction.address, at);
        at += instruction.n_bytes;
    }
    assert_int_equal(at, sizeof(code));
}

static struct disassembler *aarch64_or_skip(void)
{
    struct disassembler *disassembler = NULL;
    struct error error = {0};
    if (disassembler_new(DISASM_MACHINE_AARCH64, &disassembler, &error) < 0) {
        assert_string_equal(error.code, "not_supported");
        assert_non_null(strstr(error.hint, "libllvm"));
        print_message("%s\n", error.message);
        if (!disassembler) {
            skip();
        }
    }
    return disassembler;
}

static void test_aarch64_instructions(void **state)
{
    (void)state;
    _cleanup_(disassembler_freep) struct disassembler *disassembler = aarch64_or_skip();
    static const struct {
        uint32_t word;
        const char *text;
        enum disasm_flow flow;
        uint64_t target_address;
    } cases[] = {
        {0xd503233f, "paciasp", DISASM_FLOW_NEXT, 0},
        {0xd503245f, "bti c", DISASM_FLOW_NEXT, 0},
        {0xc8e07c41, "casa x0, x1, [x2]", DISASM_FLOW_NEXT, 0},
        {0x04e00000, "add z0.d, z0.d, z0.d", DISASM_FLOW_NEXT, 0},
        {0xd65f0bff, "retaa", DISASM_FLOW_RETURN, 0},
        {0xd65f03c0, "ret", DISASM_FLOW_RETURN, 0},
        {0xd61f0200, "br x16", DISASM_FLOW_JUMP, 0},
        {0xd63f0200, "blr x16", DISASM_FLOW_CALL, 0},
        {0x14000002, "b 0x1008", DISASM_FLOW_JUMP, 0x1008},
        {0x54ffffa1, "b.ne 0xff4", DISASM_FLOW_BRANCH, 0xff4},
        {0x97fffffe, "bl 0xff8", DISASM_FLOW_CALL, 0xff8},
        {0xb4000040, "cbz x0, 0x1008", DISASM_FLOW_BRANCH, 0x1008},
        {0x3607ffe0, "tbz w0, #0, 0xffc", DISASM_FLOW_BRANCH, 0xffc},
        {0xf9400001, "ldr x1, [x0]", DISASM_FLOW_NEXT, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct disasm_instruction instruction;
        uint8_t code[4];
        memcpy(code, &cases[i].word, sizeof(code));
        disassembler_decode(disassembler, code, sizeof(code), 0x1000, &instruction);
        assert_string_equal(instruction.text, cases[i].text);
        assert_int_equal(instruction.n_bytes, 4);
        assert_int_equal(instruction.flow, cases[i].flow);
        assert_int_equal(instruction.has_target, cases[i].target_address != 0);
        assert_int_equal(instruction.target_address, cases[i].target_address);
    }
    const uint8_t bad[] = {0, 0, 0, 0xff, 1};
    struct disasm_instruction instruction;
    disassembler_decode(disassembler, bad, sizeof(bad), 0, &instruction);
    assert_int_equal(instruction.flow, DISASM_FLOW_BAD);
    assert_int_equal(instruction.n_bytes, 4);
    disassembler_decode(disassembler, bad, 3, 0, &instruction);
    assert_int_equal(instruction.flow, DISASM_FLOW_BAD);
    assert_int_equal(instruction.n_bytes, 3);
}

/* An object file as gcc makes it: every word of its code is an instruction. */
static void test_aarch64_object_file(void **state)
{
    (void)state;
    _cleanup_(disassembler_freep) struct disassembler *disassembler = aarch64_or_skip();
    if (access("/usr/bin/aarch64-linux-gnu-gcc", X_OK) != 0) {
        print_message("gcc-aarch64-linux-gnu is not installed\n");
        skip();
    }
    char object[] = "/tmp/stax-disasm-XXXXXX";
    _cleanup_(fd_closep) int fd = mkstemp(object);
    assert_true(fd >= 0);
    char command[256];
    snprintf(command, sizeof(command),
             "printf 'int f(int*a,int n){int s=0;for(int i=0;i<n;i++)s+=a[i]*a[n-i];return s;}' | "
             "/usr/bin/aarch64-linux-gnu-gcc -O3 -march=armv8.5-a+sve2 -x c -c -o %s -",
             object);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): fixed words */
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    struct elf_section text;
    struct bytes bytes;
    enum disasm_machine machine;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    unlink(object);
    assert_true(disasm_machine_of_elf(elf_file_machine(elf), &machine));
    assert_int_equal(machine, DISASM_MACHINE_AARCH64);
    assert_true(elf_file_section_named(elf, ".text", &text));
    assert_true(elf_file_section_bytes(elf, text.index, &bytes));
    size_t n_returns = 0, n_instructions = 0;
    while (bytes_left(&bytes) > 0) {
        struct disasm_instruction instruction;
        disassembler_decode(disassembler, bytes.at, bytes_left(&bytes), n_instructions * 4,
                            &instruction);
        assert_int_not_equal(instruction.flow, DISASM_FLOW_BAD);
        n_returns += instruction.flow == DISASM_FLOW_RETURN;
        n_instructions++;
        bytes_skip(&bytes, instruction.n_bytes);
    }
    assert_true(n_instructions > 10);
    assert_true(n_returns > 0);
}

/* This program, instruction by instruction, beginning where objdump has them begin. */
static void test_instructions_begin_where_objdump_says(void **state)
{
    (void)state;
    const char *command =
        "/usr/bin/objdump -d -j .text --no-show-raw-insn -M intel /proc/$PPID/exe";
    bool is_there =
        access("/usr/bin/objdump", X_OK) == 0 && disasm_own_machine() == DISASM_MACHINE_X86_64;
    FILE *objdump = is_there ? popen(command, "r") : NULL; /* NOLINT(cert-env33-c): fixed words */
    if (!objdump) {
        print_message("objdump is not installed\n");
        skip();
    }
    _cleanup_(fd_closep) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    _cleanup_(disassembler_freep) struct disassembler *disassembler = NULL;
    struct elf_section text;
    struct bytes bytes;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    assert_true(elf_file_section_named(elf, ".text", &text));
    assert_true(elf_file_section_bytes(elf, text.index, &bytes));
    assert_int_equal(disassembler_new(DISASM_MACHINE_X86_64, &disassembler, NULL), 0);
    uint64_t address = text.image_addr;
    size_t n_compared = 0;
    char line[512];
    while (fgets(line, sizeof(line), objdump)) {
        char *end;
        uint64_t theirs = strtoull(line, &end, 16);
        if (line[0] != ' ' || *end != ':' || bytes_left(&bytes) == 0) {
            continue;
        }
        assert_int_equal(theirs, address);
        struct disasm_instruction instruction;
        disassembler_decode(disassembler, bytes.at, bytes_left(&bytes), address, &instruction);
        assert_int_not_equal(instruction.flow, DISASM_FLOW_BAD);
        bytes_skip(&bytes, instruction.n_bytes);
        address += instruction.n_bytes;
        n_compared++;
    }
    pclose(objdump);
    assert_true(n_compared > 1000);
}

static void test_machines(void **state)
{
    (void)state;
    enum disasm_machine machine;
    assert_true(disasm_machine_of_elf(EM_X86_64, &machine));
    assert_string_equal(disasm_machine_name(machine), "x86-64");
    assert_true(disasm_machine_of_elf(EM_AARCH64, &machine));
    assert_string_equal(disasm_machine_name(machine), "aarch64");
    assert_false(disasm_machine_of_elf(EM_PPC64, &machine));
    assert_null(disassembler_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x86_64_instructions_as_the_assembler_wrote_them),
        cmocka_unit_test(test_where_x86_64_jumps_lead),
        cmocka_unit_test(test_addresses_are_absolute),
        cmocka_unit_test(test_truncated_is_bytes),
        cmocka_unit_test(test_goes_on_behind_what_is_no_instruction),
        cmocka_unit_test(test_aarch64_instructions),
        cmocka_unit_test(test_aarch64_object_file),
        cmocka_unit_test(test_instructions_begin_where_objdump_says),
        cmocka_unit_test(test_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
