/* SPDX-License-Identifier: MIT */
/*
 * Compares rows with what libdw, an independent reader, says of the same code.
 *
 * Both answers are evaluated for made-up registers and a made-up memory, so
 * that it does not matter in which words either of them says it: the CFA, and
 * the places of the return address and of the frame pointer, must be the same.
 *
 * usage: test_unwind_cfi_peer [FILE...]; without files, a sample of rows of
 * those that are installed, with files, all of their rows.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/hash_table.h"
#include "unwind/cfi_plt.h"
#include "unwind/cfi_table.h"

#define SAMPLED_ROWS 4000
#define MAX_TOLD 20
#define MAX_STUBS 8
#define NOWHERE UINT64_MAX /* a register that is as it was */

/* Read by either side; what stands in memory depends on the address alone. */
struct world {
    uint64_t sp, fp, ip, lr;
    int sp_number, fp_number, ra_number;
};

static const struct world worlds[] = {
    [CFI_MACHINE_X86_64] = {.sp = 0x7ffd00001230,
                            .fp = 0x7ffd00045678,
                            .sp_number = 7,
                            .fp_number = 6,
                            .ra_number = 16},
    [CFI_MACHINE_AARCH64] = {.sp = 0x7ffd00001230,
                             .fp = 0x7ffd00045670,
                             .lr = 0x40001234,
                             .sp_number = 31,
                             .fp_number = 29,
                             .ra_number = 30},
};

static uint64_t memory_at(uint64_t address)
{
    return hash_u64(address) & UINT64_C(0x7ffffffffff8);
}

/* What a frame's caller is found by. */
struct answer {
    enum { ANSWER_NONE, ANSWER_END, ANSWER_SIGNAL, ANSWER_UNKNOWN, ANSWER_FRAME } kind;
    uint64_t cfa, ra_slot, fp_slot;
};

static struct answer ask_row(const struct world *world, enum cfi_machine machine,
                             const struct cfi_row *row)
{
    static const int kinds[] = {
        [CFI_NONE] = ANSWER_NONE,
        [CFI_END] = ANSWER_END,
        [CFI_SIGNAL] = ANSWER_SIGNAL,
        [CFI_UNSUPPORTED] = ANSWER_UNKNOWN,
    };
    uint8_t kind = row->kind & CFI_KIND_MASK;
    struct answer answer = {.kind = ANSWER_FRAME, .ra_slot = NOWHERE, .fp_slot = NOWHERE};
    bool counts_from_fp = kind == CFI_FP || kind == CFI_FP_DEREF;
    uint64_t base = counts_from_fp ? world->fp : world->sp;
    uint64_t counted = base + (uint64_t)((int64_t)row->cfa * 8);
    switch (kind) {
    case CFI_SP:
    case CFI_FP:
        answer.cfa = counted;
        break;
    case CFI_SP_DEREF:
    case CFI_FP_DEREF:
        answer.cfa = memory_at(counted);
        break;
    case CFI_SP_DEREF_8:
        answer.cfa = memory_at(counted) + 8;
        break;
    case CFI_PLT:
        answer.cfa = world->sp + 8 + (world->ip % 16 >= (uint64_t)row->cfa ? 8 : 0);
        break;
    default:
        answer.kind = kinds[kind];
        return answer;
    }
    uint64_t slot = row->fp > 0 ? base + (uint64_t)(row->fp - 1) * 8
                                : answer.cfa + (uint64_t)((int64_t)row->fp * 8);
    if (machine == CFI_MACHINE_X86_64) {
        answer.ra_slot = answer.cfa - 8;
    } else if ((row->kind & CFI_RA_LR) == 0) {
        answer.ra_slot = slot + ((row->kind & CFI_RA_AT_FP) != 0 ? 0 : 8);
    }
    if (row->fp != 0 && (row->kind & CFI_RA_AT_FP) == 0) {
        answer.fp_slot = slot;
    }
    return answer;
}

/* The operations that occur in unwind information; false: one that does not. */
static bool evaluate(const struct world *world, const Dwarf_Op *operations, size_t n_operations,
                     uint64_t cfa, uint64_t *ret_value)
{
    uint64_t stack[16] = {0};
    size_t depth = 0;
    for (size_t i = 0; i < n_operations; i++) {
        const Dwarf_Op *operation = &operations[i];
        uint64_t *top = depth > 0 ? &stack[depth - 1] : stack;
        uint8_t atom = operation->atom;
        if (depth >= 15) {
            return false;
        }
        if ((atom >= DW_OP_breg0 && atom <= DW_OP_breg31) || atom == DW_OP_bregx) {
            bool is_short = atom != DW_OP_bregx;
            uint64_t number = is_short ? (uint64_t)(atom - DW_OP_breg0) : operation->number;
            uint64_t offset = is_short ? operation->number : operation->number2;
            if (number == (uint64_t)world->sp_number) {
                stack[depth++] = world->sp + offset;
            } else if (number == (uint64_t)world->fp_number) {
                stack[depth++] = world->fp + offset;
            } else if (number == 16 && world->ra_number == 16) {
                stack[depth++] = world->ip + offset;
            } else {
                return false;
            }
        } else if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
            stack[depth++] = (uint64_t)(atom - DW_OP_lit0);
        } else if (atom == DW_OP_call_frame_cfa) {
            stack[depth++] = cfa;
        } else if (atom == DW_OP_plus_uconst && depth > 0) {
            *top += operation->number;
        } else if (atom == DW_OP_deref && depth > 0) {
            *top = memory_at(*top);
        } else if (depth > 1) {
            uint64_t right = *top;
            top--;
            depth--;
            switch (atom) {
            case DW_OP_and:
                *top &= right;
                break;
            case DW_OP_plus:
                *top += right;
                break;
            case DW_OP_ge:
                *top = (int64_t)*top >= (int64_t)right;
                break;
            case DW_OP_shl:
                *top <<= right & 63;
                break;
            default:
                return false;
            }
        } else {
            return false;
        }
    }
    *ret_value = stack[depth > 0 ? depth - 1 : 0];
    return depth > 0;
}

/* 0: as it was; 1: in memory at *ret_slot; 2: undefined; -1: otherwise. */
static int ask_register(const struct world *world, Dwarf_Frame *frame, int number, uint64_t cfa,
                        uint64_t *ret_slot)
{
    Dwarf_Op memory[3];
    Dwarf_Op *operations;
    size_t n_operations;
    *ret_slot = NOWHERE;
    if (dwarf_frame_register(frame, number, memory, &operations, &n_operations) != 0) {
        return -1;
    }
    if (n_operations == 0) {
        return operations == NULL ? 0 : 2;
    }
    return evaluate(world, operations, n_operations, cfa, ret_slot) ? 1 : -1;
}

static struct answer ask_peer(const struct world *world, enum cfi_machine machine, Dwarf_CFI *cfi,
                              uint64_t pc)
{
    Dwarf_Frame *frame = NULL;
    struct answer answer = {.kind = ANSWER_UNKNOWN};
    if (dwarf_cfi_addrframe(cfi, pc, &frame) != 0) {
        answer.kind = ANSWER_NONE;
        return answer;
    }
    bool is_signal = false;
    Dwarf_Op *operations = NULL;
    size_t n_operations = 0;
    dwarf_frame_info(frame, NULL, NULL, &is_signal);
    uint64_t cfa = 0;
    uint64_t ra_slot;
    uint64_t fp_slot;
    bool has_cfa = dwarf_frame_cfa(frame, &operations, &n_operations) == 0 && n_operations > 0 &&
                   evaluate(world, operations, n_operations, 0, &cfa);
    int ra = ask_register(world, frame, world->ra_number, cfa, &ra_slot);
    int fp = ask_register(world, frame, world->fp_number, cfa, &fp_slot);
    bool is_ra_usual = machine == CFI_MACHINE_AARCH64 ? ra == 0 || ra == 1 : ra == 1;
    if (ra == 2) {
        answer.kind = ANSWER_END;
    } else if (is_signal) {
        answer.kind = ANSWER_SIGNAL;
    } else if (has_cfa && is_ra_usual && fp >= 0) {
        answer = (struct answer){
            .kind = ANSWER_FRAME, .cfa = cfa, .ra_slot = ra_slot, .fp_slot = fp_slot};
    }
    free(frame);
    return answer;
}

static bool is_same(const struct answer *row, const struct answer *peer)
{
    if (row->kind == ANSWER_UNKNOWN) {
        return true; /* counted elsewhere */
    }
    if (row->kind != peer->kind) {
        return false;
    }
    return row->kind != ANSWER_FRAME || (row->cfa == peer->cfa && row->ra_slot == peer->ra_slot &&
                                         row->fp_slot == peer->fp_slot);
}

struct tally {
    struct elf_section stubs[MAX_STUBS]; /* which nobody but us may know of */
    size_t n_stubs;
    uint64_t n_compared, n_different, n_padding, unsupported_bytes, covered_bytes;
    uint64_t n_unsupported_that_peer_knows;
};

static bool is_in_stub(const struct tally *tally, uint64_t pc)
{
    for (size_t i = 0; i < tally->n_stubs; i++) {
        if (pc - tally->stubs[i].image_addr < tally->stubs[i].n_bytes) {
            return true;
        }
    }
    return false;
}

static void find_stubs(struct elf_file *file, struct tally *tally)
{
    for (size_t i = 1; i < elf_file_n_sections(file) && tally->n_stubs < MAX_STUBS; i++) {
        struct elf_section section;
        if (elf_file_section(file, i, &section) && cfi_plt_is_section(&section)) {
            tally->stubs[tally->n_stubs++] = section;
        }
    }
}

static void compare_at(const struct cfi_table *table, const struct cfi_row *row, Dwarf_CFI *cfi,
                       uint64_t pc, struct tally *tally)
{
    struct world world = worlds[table->machine];
    world.ip = pc;
    struct answer mine = ask_row(&world, table->machine, row);
    struct answer peers = ask_peer(&world, table->machine, cfi, pc);
    tally->n_compared++;
    if (mine.kind == ANSWER_UNKNOWN) {
        tally->n_unsupported_that_peer_knows += peers.kind != ANSWER_UNKNOWN;
    }
    if (is_same(&mine, &peers) || (peers.kind == ANSWER_NONE && is_in_stub(tally, pc))) {
        return;
    }
    tally->n_different++;
    if (tally->n_different <= MAX_TOLD) {
        char text[100];
        cfi_row_print(table, row, text, sizeof(text));
        fprintf(stderr,
                "at 0x%" PRIx64 ": %s: kind %d, cfa %" PRIx64 " ra %" PRIx64 " fp %" PRIx64
                "; libdw: kind %d, cfa %" PRIx64 " ra %" PRIx64 " fp %" PRIx64 "\n",
                pc, text, (int)mine.kind, mine.cfa, mine.ra_slot, mine.fp_slot, (int)peers.kind,
                peers.cfa, peers.ra_slot, peers.fp_slot);
    }
}

static void compare(const struct cfi_table *table, Dwarf_CFI *cfi, uint32_t step,
                    struct tally *tally)
{
    for (uint32_t i = 0; i + 1 < table->n_rows; i++) {
        const struct cfi_row *row = &table->rows[i];
        uint64_t start = table->base_addr + row->pc;
        uint64_t end = table->base_addr + table->rows[i + 1].pc;
        assert_true(start < end);
        if (row->kind == CFI_UNSUPPORTED) {
            tally->unsupported_bytes += end - start;
        }
        tally->covered_bytes += row->kind != CFI_NONE ? end - start : 0;
        if (i % step == 0) {
            struct cfi_row found = cfi_table_find(table, end - 1);
            assert_memory_equal(&found, row, sizeof(found));
            compare_at(table, row, cfi, start, tally);
            compare_at(table, row, cfi, end - 1, tally);
        }
    }
}

/* false: there is no such file. */
static bool compare_file(const char *path, uint32_t n_sampled)
{
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    _cleanup_(elf_file_freep) struct elf_file *file = NULL;
    _cleanup_(cfi_table_freep) struct cfi_table *table = NULL;
    struct error error = {0};
    assert_int_equal(elf_file_open_descriptor(fd, &file, &error), 0);
    uint64_t started_ns = clock_now_ns();
    if (cfi_table_build_elf(file, &table, &error) != 0) {
        fail_msg("%s: %s", path, error.message);
    }
    uint64_t build_ns = clock_now_ns() - started_ns;

    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    assert_non_null(elf);
    Dwarf *dwarf = NULL;
    Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);
    if (!cfi) {
        dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
        cfi = dwarf ? dwarf_getcfi(dwarf) : NULL;
    }
    assert_non_null(cfi);
    struct tally tally = {0};
    find_stubs(file, &tally);
    uint32_t step = n_sampled > 0 ? table->n_rows / n_sampled + 1 : 1;
    compare(table, cfi, step, &tally);
    print_message("%s: %s, %" PRIu32 " functions, %" PRIu32 " rows, %zu bytes, %.1f ms; "
                  "%" PRIu64 " compared, %" PRIu64 " differ; unsupported: %" PRIu32
                  " rows, %" PRIu64 " of %" PRIu64 " bytes, libdw knows %" PRIu64
                  "; refused: %" PRIu32 "\n",
                  path, table->origin, table->n_functions, table->n_rows,
                  cfi_table_memory_bytes(table), (double)build_ns / 1e6, tally.n_compared,
                  tally.n_different, table->n_unsupported, tally.unsupported_bytes,
                  tally.covered_bytes, tally.n_unsupported_that_peer_knows, table->n_refused);
    assert_int_equal(tally.n_different, 0);
    if (dwarf) {
        dwarf_end(dwarf);
    } else {
        dwarf_cfi_end(cfi);
    }
    elf_end(elf);
    return true;
}

static void test_installed_files(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/proc/self/exe",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "/usr/bin/python3.11",
        "/usr/bin/node",
        "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
        "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so",
        "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1",
        "/usr/aarch64-linux-gnu/lib/libc.so.6",
        "/usr/aarch64-linux-gnu/lib/libstdc++.so.6",
        "/lib/aarch64-linux-gnu/libc.so.6",
    };
    size_t n_found = 0;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        n_found += compare_file(paths[i], SAMPLED_ROWS);
    }
    assert_true(n_found > 0);
}

int main(int argc, char **argv)
{
    elf_version(EV_CURRENT);
    for (int i = 1; i < argc; i++) {
        if (!compare_file(argv[i], 0)) {
            fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
            return 1;
        }
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_installed_files)};
    return argc > 1 ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
