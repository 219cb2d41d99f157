/* SPDX-License-Identifier: MIT */
#include "disasm/code_targets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/fd.h"
#include "images/elf_file.h"

#define MAX_TARGETS ((size_t)1 << 20)

struct targets {
    size_t n;
    uint64_t *addresses;
};

static void on_target(void *userdata, uint64_t address)
{
    struct targets *targets = userdata;
    assert_true(targets->n < MAX_TARGETS);
    targets->addresses[targets->n++] = address;
}

static struct targets scan(enum disasm_machine machine, const uint8_t *code, size_t n_bytes,
                           uint64_t address)
{
    struct targets targets = {.addresses = malloc(MAX_TARGETS * sizeof(uint64_t))};
    assert_non_null(targets.addresses);
    code_targets_scan(machine, code, n_bytes, address, on_target, &targets);
    return targets;
}

static int by_value(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void assert_targets(enum disasm_machine machine, const uint8_t *code, size_t n_bytes,
                           const uint64_t *wanted, size_t n_wanted)
{
    struct targets targets = scan(machine, code, n_bytes, 0x1000);
    assert_int_equal(targets.n, n_wanted);
    assert_memory_equal(targets.addresses, wanted, n_wanted * sizeof(*wanted));
    free(targets.addresses);
}

static void jumps_of_x86_64(void **state)
{
    (void)state;
    static const uint8_t code[] = {
        0xe8, 0x00, 0x01, 0x00, 0x00,       /* call 0x1105 */
        0xe8, 0xf6, 0xff, 0xff, 0xff,       /* call 0x1000: itself */
        0xe9, 0xf1, 0xff, 0xff, 0xff,       /* jmp 0x1000: within */
        0x0f, 0x84, 0xeb, 0xfe, 0xff, 0xff, /* je 0x0f00 */
        0xeb, 0x60,                         /* jmp 0x1077 */
        0x74, 0xfe,                         /* je 0x1017: within */
        0xe8, 0x00, 0x01, 0x00,             /* cut off */
    };
    static const uint64_t wanted[] = {0x1105, 0x1000, 0xf00, 0x1077};
    assert_targets(DISASM_MACHINE_X86_64, code, sizeof(code), wanted, 4);
}

static void jumps_of_aarch64(void **state)
{
    (void)state;
    static const uint8_t code[] = {
        0x40, 0x00, 0x00, 0x94, /* bl 0x1100 */
        0xff, 0xff, 0xff, 0x97, /* bl 0x1000: itself */
        0xfe, 0xff, 0xff, 0x17, /* b 0x1000: within */
        0x80, 0xf7, 0xff, 0x54, /* b.eq 0x0efc */
        0x00, 0x08, 0x00, 0xb4, /* cbz x0, 0x1110 */
        0x60, 0x08, 0x00, 0x37, /* tbnz w0, #0, 0x1120 */
        0x1f, 0x20, 0x03, 0xd5, /* nop */
        0x40, 0x00, 0x00,       /* cut off */
    };
    static const uint64_t wanted[] = {0x1100, 0x1000, 0xefc, 0x1110, 0x1120};
    assert_targets(DISASM_MACHINE_AARCH64, code, sizeof(code), wanted, 5);
}

/* Among what is told of this program's own code is all that the disassembler finds. */
static void nothing_that_is_decoded_is_missed(void **state)
{
    (void)state;
    _cleanup_(fd_closep) int fd = fd_open_regular("/proc/self/exe");
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    struct elf_section section;
    struct bytes bytes;
    assert_int_equal(elf_file_open_descriptor(fd, &elf, NULL), 0);
    assert_true(elf_file_section_named(elf, ".text", &section));
    assert_true(elf_file_section_bytes(elf, section.index, &bytes));
    enum disasm_machine machine = disasm_own_machine();
    struct targets targets = scan(machine, bytes.at, bytes_left(&bytes), section.image_addr);
    qsort(targets.addresses, targets.n, sizeof(*targets.addresses), by_value);
    _cleanup_(disassembler_freep) struct disassembler *disassembler = NULL;
    if (disassembler_new(machine, &disassembler, NULL) != 0) {
        free(targets.addresses);
        skip(); /* no disassembler of this machine is installed */
    }
    size_t n_decoded = 0;
    for (size_t at = 0; at < bytes_left(&bytes);) {
        struct disasm_instruction instruction;
        disassembler_decode(disassembler, bytes.at + at, bytes_left(&bytes) - at,
                            section.image_addr + at, &instruction);
        at += instruction.n_bytes;
        uint64_t target = instruction.target_address;
        bool is_outside = target - section.image_addr >= bytes_left(&bytes);
        if (instruction.has_target && (is_outside || instruction.flow == DISASM_FLOW_CALL)) {
            n_decoded++;
            assert_non_null(bsearch(&target, targets.addresses, targets.n,
                                    sizeof(*targets.addresses), by_value));
        }
    }
    assert_true(n_decoded > 20);
    free(targets.addresses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumps_of_x86_64),
        cmocka_unit_test(jumps_of_aarch64),
        cmocka_unit_test(nothing_that_is_decoded_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
