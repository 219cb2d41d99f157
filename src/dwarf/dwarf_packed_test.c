/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "dwarf/dwarf_packed.h"

#define N_BYTES 1000000u /* several steps of input and of output */

static uint8_t expected[N_BYTES];
static uint8_t stored[N_BYTES * 2];
static int n_asked;

static bool never(const void *userdata)
{
    (void)userdata;
    n_asked++;
    return false;
}

static bool always(const void *userdata)
{
    (void)userdata;
    return true;
}

/* Hard to pack at first, then easy. Returns the size of what is stored with its header. */
static size_t pack(enum dwarf_packed_header header)
{
    unsigned seed = 3;
    for (size_t i = 0; i < N_BYTES; i++) {
        expected[i] = i < N_BYTES / 2 ? (uint8_t)rand_r(&seed) : (uint8_t)(i % 7);
    }
    size_t header_bytes = 12;
    memset(stored, 0, sizeof(Elf64_Chdr));
    if (header == DWARF_PACKED_HEADER_64) {
        header_bytes = sizeof(Elf64_Chdr);
        *(Elf64_Chdr *)(void *)stored =
            (Elf64_Chdr){.ch_type = ELFCOMPRESS_ZLIB, .ch_size = N_BYTES};
    } else if (header == DWARF_PACKED_HEADER_32) {
        header_bytes = sizeof(Elf32_Chdr);
        *(Elf32_Chdr *)(void *)stored =
            (Elf32_Chdr){.ch_type = ELFCOMPRESS_ZLIB, .ch_size = N_BYTES};
    } else {
        memcpy(stored, "ZLIB\0\0\0\0\0\x0f\x42\x40", header_bytes);
    }
    uLongf n_stored = sizeof(stored) - header_bytes;
    assert_int_equal(compress2(stored + header_bytes, &n_stored, expected, N_BYTES, 6), Z_OK);
    return header_bytes + n_stored;
}

static int store(size_t n_bytes)
{
    int fd = memfd_create("packed", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, "before it", 9), 0);
    assert_int_equal(fd_write_all(fd, stored, n_bytes), 0);
    return fd;
}

static void test_headers(void **state)
{
    (void)state;
    struct dwarf_budget budget = {.max_bytes = 2 * N_BYTES};
    for (int header = DWARF_PACKED_HEADER_64; header <= DWARF_PACKED_HEADER_GNU; header++) {
        size_t n_stored = pack((enum dwarf_packed_header)header);
        _cleanup_(fd_closep) int fd = store(n_stored);
        struct dwarf_packed packed;
        dwarf_packed_describe(fd, 9, n_stored, (enum dwarf_packed_header)header, &packed);
        assert_int_equal(packed.packing, DWARF_PACKING_ZLIB);
        assert_int_equal(packed.n_bytes, N_BYTES);
        n_asked = 0;
        uint8_t *unpacked = NULL;
        assert_int_equal(dwarf_packed_unpack(fd, &packed, never, NULL, &budget, &unpacked), 0);
        assert_memory_equal(unpacked, expected, N_BYTES);
        assert_int_equal(budget.n_bytes, N_BYTES);
        dwarf_budget_free(&budget, unpacked, N_BYTES);
        assert_true(n_asked > 1);
        assert_int_equal(dwarf_packed_unpack(fd, &packed, always, NULL, &budget, &unpacked),
                         -ECANCELED);
        assert_int_equal(budget.n_bytes, 0);
    }
}

static void test_what_breaks_off(void **state)
{
    (void)state;
    uint8_t *unpacked = NULL;
    struct dwarf_budget budget = {.max_bytes = 2 * N_BYTES};
    size_t n_stored = pack(DWARF_PACKED_HEADER_64);
    _cleanup_(fd_closep) int fd = store(n_stored);
    struct dwarf_packed packed;
    dwarf_packed_describe(fd, 9, n_stored - 1000, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(dwarf_packed_unpack(fd, &packed, never, NULL, &budget, &unpacked), -EIO);
    dwarf_packed_describe(fd, 9, n_stored + 1000, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(dwarf_packed_unpack(fd, &packed, never, NULL, &budget, &unpacked), -EIO);
    dwarf_packed_describe(fd, 9, sizeof(Elf64_Chdr) - 1, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(packed.n_bytes, 0);
    dwarf_packed_describe(fd, n_stored, 1000, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(packed.n_bytes, 0);
}

static void test_sizes_that_cannot_be(void **state)
{
    (void)state;
    size_t n_stored = pack(DWARF_PACKED_HEADER_64);
    Elf64_Chdr *header = (Elf64_Chdr *)(void *)stored;
    header->ch_size = UINT64_C(1) << 40;
    _cleanup_(fd_closep) int large_fd = store(n_stored);
    struct dwarf_packed packed;
    dwarf_packed_describe(large_fd, 9, n_stored, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(packed.n_bytes, 0);
    /* More than there is, within what could be. */
    header->ch_size = N_BYTES + 1;
    _cleanup_(fd_closep) int fd = store(n_stored);
    uint8_t *unpacked = NULL;
    struct dwarf_budget budget = {.max_bytes = 2 * N_BYTES};
    dwarf_packed_describe(fd, 9, n_stored, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(dwarf_packed_unpack(fd, &packed, never, NULL, &budget, &unpacked), -EIO);
    header->ch_type = 77;
    _cleanup_(fd_closep) int unknown_fd = store(n_stored);
    dwarf_packed_describe(unknown_fd, 9, n_stored, DWARF_PACKED_HEADER_64, &packed);
    assert_int_equal(packed.packing, DWARF_PACKING_UNKNOWN);
    assert_int_equal(dwarf_packed_unpack(unknown_fd, &packed, never, NULL, &budget, &unpacked),
                     -ENOTSUP);
}

/* A few bytes that unfold to very many: nothing but what there is room for is ever allocated. */
static void test_what_does_not_fit(void **state)
{
    (void)state;
    static uint8_t zeros[32u << 20];
    *(Elf64_Chdr *)(void *)stored =
        (Elf64_Chdr){.ch_type = ELFCOMPRESS_ZLIB, .ch_size = sizeof(zeros)};
    uLongf n_stored = sizeof(stored) - sizeof(Elf64_Chdr);
    assert_int_equal(compress2(stored + sizeof(Elf64_Chdr), &n_stored, zeros, sizeof(zeros), 9),
                     Z_OK);
    _cleanup_(fd_closep) int fd = store(sizeof(Elf64_Chdr) + n_stored);
    struct dwarf_packed packed;
    dwarf_packed_describe(fd, 9, sizeof(Elf64_Chdr) + n_stored, DWARF_PACKED_HEADER_64, &packed);
    struct dwarf_budget budget = {.max_bytes = sizeof(zeros) - 1};
    uint8_t *unpacked = NULL;
    n_asked = 0;
    assert_int_equal(dwarf_packed_unpack(fd, &packed, never, NULL, &budget, &unpacked), -EFBIG);
    assert_int_equal(n_asked, 0); /* not even begun */
    assert_int_equal(dwarf_budget_n_refusals(&budget), 1);
    budget.max_bytes++;
    assert_int_equal(dwarf_packed_unpack(fd, &packed, never, NULL, &budget, &unpacked), 0);
    assert_memory_equal(unpacked, zeros, sizeof(zeros)); /* grown several times */
    assert_int_equal(budget.n_bytes, sizeof(zeros));
    dwarf_budget_free(&budget, unpacked, sizeof(zeros));
    assert_int_equal(budget.n_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_what_breaks_off),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_sizes_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
