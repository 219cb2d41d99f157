/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_parse.h"
#include "unwind/cfi_test.h"

static struct cfi_section view_of(const struct section *section)
{
    return (struct cfi_section){
        .machine = CFI_MACHINE_X86_64,
        .bytes = bytes_of(section->data, section->n_bytes),
        .addr = SECTION_ADDR,
    };
}

static void test_entries_of_eh_frame(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    size_t fde_at = section.n_bytes;
    put_fde(&section, CODE_ADDR, 32, "", 0);
    put_u32(&section, 0); /* what a linker leaves where it joined two files */
    size_t last_at = section.n_bytes;
    put_fde(&section, CODE_ADDR + 32, 16, "\x41\x0e\x10", 3);

    struct cfi_section view = view_of(&section);
    struct bytes rest = view.bytes;
    struct cfi_entry entry;
    assert_true(cfi_entry_next(&view, &rest, &entry));
    assert_true(entry.is_cie);
    assert_int_equal(entry.offset, 0);
    struct cfi_cie cie;
    assert_true(cfi_cie_read(&entry, &cie));
    assert_int_equal(cie.pointer_encoding, CFI_POINTER_PC_RELATIVE | CFI_POINTER_S32);
    assert_int_equal(cie.return_register, 16);
    assert_int_equal(cie.code_factor, 1);
    assert_int_equal(cie.data_factor, -8);
    assert_int_equal(bytes_left(&cie.program), 5);
    assert_false(cie.is_signal_frame);

    struct cfi_fde fde;
    assert_true(cfi_entry_next(&view, &rest, &entry));
    assert_false(entry.is_cie);
    assert_int_equal(entry.offset, fde_at);
    assert_int_equal(entry.cie_offset, 0);
    assert_true(cfi_fde_read(&view, &cie, &entry, &fde));
    assert_int_equal(fde.start_addr, CODE_ADDR);
    assert_int_equal(fde.n_bytes, 32);
    assert_int_equal(bytes_left(&fde.program), 0);

    assert_true(cfi_entry_next(&view, &rest, &entry));
    assert_int_equal(entry.offset, last_at);
    assert_true(cfi_fde_read(&view, &cie, &entry, &fde));
    assert_int_equal(fde.start_addr, CODE_ADDR + 32);
    assert_int_equal(bytes_left(&fde.program), 3);
    assert_false(cfi_entry_next(&view, &rest, &entry));
    assert_false(bytes_has_failed(&rest));

    /* Where the size is not known, a length of zero is the end. */
    view.ends_at_zero = true;
    rest = view.bytes;
    assert_true(cfi_entry_next(&view, &rest, &entry));
    assert_true(cfi_entry_next(&view, &rest, &entry));
    assert_false(cfi_entry_next(&view, &rest, &entry));
    assert_false(bytes_has_failed(&rest));
}

static void test_entries_that_are_cut_off(void **state)
{
    (void)state;
    struct section section = {0};
    put_usual_cie(&section);
    size_t whole = section.n_bytes;
    put_fde(&section, CODE_ADDR, 32, "", 0);
    struct cfi_section view = view_of(&section);
    for (size_t n_bytes = whole + 1; n_bytes < section.n_bytes; n_bytes++) {
        struct cfi_entry entry;
        struct bytes rest = bytes_of(section.data, n_bytes);
        assert_true(cfi_entry_next(&view, &rest, &entry));
        assert_false(cfi_entry_next(&view, &rest, &entry));
        assert_true(bytes_has_failed(&rest));
    }
}

static void test_entries_of_debug_frame(void **state)
{
    (void)state;
    for (int is_64_bit = 0; is_64_bit < 2; is_64_bit++) {
        struct section section = {0};
        static const uint8_t cie_body[] = {4, 0, 8, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1};
        put_u32(&section, 0); /* padding */
        size_t cie_at = section.n_bytes;
        if (is_64_bit) {
            put_u32(&section, UINT32_MAX);
            put_u64(&section, 8 + sizeof(cie_body));
            put_u64(&section, UINT64_MAX);
        } else {
            put_u32(&section, 4 + sizeof(cie_body));
            put_u32(&section, UINT32_MAX);
        }
        put_bytes(&section, cie_body, sizeof(cie_body));
        if (is_64_bit) {
            put_u32(&section, UINT32_MAX);
            put_u64(&section, 24);
            put_u64(&section, cie_at);
        } else {
            put_u32(&section, 20);
            put_u32(&section, (uint32_t)cie_at);
        }
        put_u64(&section, CODE_ADDR);
        put_u64(&section, 64);

        struct cfi_section view = view_of(&section);
        view.is_debug_frame = true;
        struct bytes rest = view.bytes;
        struct cfi_entry entry;
        struct cfi_cie cie;
        struct cfi_fde fde;
        assert_true(cfi_entry_next(&view, &rest, &entry));
        assert_true(entry.is_cie);
        assert_int_equal(entry.offset, cie_at);
        assert_true(cfi_cie_read(&entry, &cie));
        assert_int_equal(bytes_left(&cie.program), 5);
        assert_true(cfi_entry_next(&view, &rest, &entry));
        assert_false(entry.is_cie);
        assert_int_equal(entry.cie_offset, cie_at);
        assert_true(cfi_fde_read(&view, &cie, &entry, &fde));
        assert_int_equal(fde.start_addr, CODE_ADDR);
        assert_int_equal(fde.n_bytes, 64);
        assert_false(cfi_entry_next(&view, &rest, &entry));
    }
}

static bool read_cie(const uint8_t *body, size_t n_bytes, struct cfi_cie *ret_cie)
{
    struct cfi_entry entry = {.is_cie = true, .body = bytes_of(body, n_bytes)};
    return cfi_cie_read(&entry, ret_cie);
}

static void test_augmentations(void **state)
{
    (void)state;
    struct cfi_cie cie;
    /* P with an indirect 4-byte pointer, L, R, S; as C++ and signal frames have it. */
    static const uint8_t all[] = {1, 'z',  'P', 'L', 'R', 'S', 0,    1,    0x78, 16,
                                  7, 0x9b, 1,   2,   3,   4,   0x1b, 0x1b, 0};
    assert_true(read_cie(all, sizeof(all), &cie));
    assert_true(cie.has_augmentation);
    assert_true(cie.is_signal_frame);
    assert_int_equal(cie.pointer_encoding, 0x1b);
    assert_int_equal(bytes_left(&cie.program), 1);
    for (size_t n_bytes = 0; n_bytes < sizeof(all) - 1; n_bytes++) {
        assert_false(read_cie(all, n_bytes, &cie));
    }
    static const uint8_t version_3[] = {3, 0, 1, 0x78, 0x90, 0x01};
    assert_true(read_cie(version_3, sizeof(version_3), &cie));
    assert_int_equal(cie.return_register, 144);
    assert_false(cie.has_augmentation);

    static const uint8_t refused[][12] = {
        {2, 0, 1, 0x78, 16},                    /* no such version */
        {1, 'e', 'h', 0, 1, 0x78, 16},          /* of the last century */
        {1, 'z', 'Q', 0, 1, 0x78, 16, 0},       /* no such letter */
        {1, 'z', 'P', 0, 1, 0x78, 16, 9, 0x50}, /* aligned pointers */
        {1, 'z', 'R', 0, 1, 0x78, 16, 0, 0},    /* its encoding is missing */
        {4, 0, 4, 0, 1, 0x78, 16},              /* addresses of 4 bytes */
        {4, 0, 8, 1, 1, 0x78, 16},              /* segments */
        {1, 0, 0xff, 0xff, 3, 0x78, 16},        /* absurd factors */
        {1, 0, 1, 0xff, 0xff, 1, 16},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(read_cie(refused[i], sizeof(refused[i]), &cie));
    }
}

static void test_pointers(void **state)
{
    (void)state;
    static const uint8_t minus_16[] = {0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const struct {
        uint8_t encoding;
        uint64_t value;
        size_t n_bytes;
    } cases[] = {
        {CFI_POINTER_ADDRESS, UINT64_MAX - 15, 8},
        {CFI_POINTER_U16, 0xfff0, 2},
        {CFI_POINTER_S16, UINT64_MAX - 15, 2},
        {CFI_POINTER_U32, 0xfffffff0, 4},
        {CFI_POINTER_S32, UINT64_MAX - 15, 4},
        {CFI_POINTER_PC_RELATIVE | CFI_POINTER_S32, 0x1000 - 16, 4},
        {CFI_POINTER_PC_RELATIVE | CFI_POINTER_U64, 0x1000 - 16, 8},
        {CFI_POINTER_DATA_RELATIVE | CFI_POINTER_S32, 0x5000 - 16, 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes bytes = bytes_of(minus_16, sizeof(minus_16));
        assert_true(cfi_pointer_take(&bytes, cases[i].encoding, minus_16, 0x1000, 0x5000) ==
                    cases[i].value);
        assert_false(bytes_has_failed(&bytes));
        assert_int_equal(bytes_left(&bytes), 8 - cases[i].n_bytes);
    }
    static const uint8_t number[] = {0xff, 0x7f};
    struct bytes bytes = bytes_of(number, 2);
    assert_int_equal(cfi_pointer_take(&bytes, CFI_POINTER_ULEB128, number, 0, 0), 16383);
    bytes = bytes_of(number, 2);
    assert_true(cfi_pointer_take(&bytes, CFI_POINTER_SLEB128, number, 0, 0) == UINT64_MAX);

    static const uint8_t unknown[] = {0x05, 0x0f, 0x20, 0x40, 0x50, 0x80, 0x9b, 0xff};
    for (size_t i = 0; i < sizeof(unknown); i++) {
        bytes = bytes_of(minus_16, sizeof(minus_16));
        (void)cfi_pointer_take(&bytes, unknown[i], minus_16, 0, 0);
        assert_true(bytes_has_failed(&bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_of_eh_frame),
        cmocka_unit_test(test_entries_that_are_cut_off),
        cmocka_unit_test(test_entries_of_debug_frame),
        cmocka_unit_test(test_augmentations),
        cmocka_unit_test(test_pointers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
