/* SPDX-License-Identifier: MIT */
#include "symbols/built_program_test.h"

#include <lzma.h>

#include "symbols/minidebug.h"

#define ROOM_BYTES (1u << 20)

static uint8_t packed[ROOM_BYTES];

static struct bytes pack(const void *data, size_t n_bytes, uint32_t preset)
{
    size_t packed_bytes = 0;
    assert_int_equal(lzma_easy_buffer_encode(preset, LZMA_CHECK_CRC32, NULL, data, n_bytes, packed,
                                             &packed_bytes, sizeof(packed)),
                     LZMA_OK);
    return bytes_of(packed, packed_bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    _cleanup_(freep) char *data = malloc(300000);
    assert_non_null(data);
    for (size_t i = 0; i < 300000; i++) {
        data[i] = (char)((i * i) >> 7);
    }
    _cleanup_(freep) char *unpacked = NULL;
    size_t n_bytes = 0;
    struct bytes bytes = pack(data, 300000, 9);
    assert_int_equal(minidebug_unpack_bytes(bytes, 300000, &unpacked, &n_bytes), 0);
    assert_int_equal(n_bytes, 300000);
    assert_memory_equal(unpacked, data, n_bytes);
}

static void test_limits(void **state)
{
    (void)state;
    _cleanup_(freep) char *data = calloc(1, 4 << 20);
    assert_non_null(data);
    char *unpacked = NULL;
    size_t n_bytes = 0;
    struct bytes bomb = pack(data, 4 << 20, 6);
    assert_true(bytes_left(&bomb) < 4096);
    assert_int_equal(minidebug_unpack_bytes(bomb, (4 << 20) - 1, &unpacked, &n_bytes), -EFBIG);
    assert_null(unpacked);
}

static void test_more_memory_than_allowed(void **state)
{
    (void)state;
    lzma_options_lzma options;
    assert_false(lzma_lzma_preset(&options, 1));
    options.dict_size = 256u << 20;
    const lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA2, .options = &options},
                                   {.id = LZMA_VLI_UNKNOWN}};
    size_t packed_bytes = 0;
    assert_int_equal(lzma_stream_buffer_encode((lzma_filter *)(uintptr_t)filters, LZMA_CHECK_NONE,
                                               NULL, (const uint8_t *)"small", 5, packed,
                                               &packed_bytes, sizeof(packed)),
                     LZMA_OK);
    char *unpacked = NULL;
    size_t n_bytes = 0;
    assert_int_equal(
        minidebug_unpack_bytes(bytes_of(packed, packed_bytes), 1000, &unpacked, &n_bytes), -EFBIG);
}

static void test_corrupt(void **state)
{
    (void)state;
    char *unpacked = NULL;
    size_t n_bytes = 0;
    struct bytes whole = pack("some bytes that are packed", 26, 6);
    size_t whole_bytes = bytes_left(&whole);
    for (size_t cut = 0; cut < whole_bytes; cut++) {
        assert_int_equal(minidebug_unpack_bytes(bytes_of(packed, cut), 1000, &unpacked, &n_bytes),
                         -EBADMSG);
    }
    packed[whole_bytes / 2] ^= 0x55;
    assert_int_equal(
        minidebug_unpack_bytes(bytes_of(packed, whole_bytes), 1000, &unpacked, &n_bytes), -EBADMSG);
    assert_null(unpacked);
}

static void test_section(void **state)
{
    const struct built *built = *state;
    if (built_is_missing(built)) {
        print_message("no gcc or objcopy\n");
        skip();
    }
    struct opened program = built_open(built, "prog");
    char *unpacked = NULL;
    size_t n_bytes = 0;
    assert_int_equal(minidebug_unpack(program.elf, &unpacked, &n_bytes), -ENOENT);
    opened_release(&program);

    struct bytes bytes = pack("\177ELF and so on", 14, 6);
    built_write(built, "bytes", bytes.at, bytes_left(&bytes));
    assert_int_equal(built_run(built, "objcopy --add-section .gnu_debugdata=bytes prog with"), 0);
    program = built_open(built, "with");
    assert_int_equal(minidebug_unpack(program.elf, &unpacked, &n_bytes), 0);
    assert_int_equal(n_bytes, 14);
    free(unpacked);
    opened_release(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_more_memory_than_allowed),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test_setup_teardown(test_section, built_new, built_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
