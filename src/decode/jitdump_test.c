/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "decode/jitdump.h"
#include "decode/jitdump_test.h"

static void test_header(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_header header;
    dump_header(&dump, 4711, JITDUMP_FLAG_ARCH_TIMESTAMP);
    assert_int_equal(jitdump_parse_header(dump.bytes, dump.n_bytes, &header), 1);
    assert_int_equal(header.version, 1);
    assert_int_equal(header.pid, 4711);
    assert_int_equal(header.elf_machine, 62);
    assert_int_equal(header.time_ns, 1000);
    assert_int_equal(header.flags, JITDUMP_FLAG_ARCH_TIMESTAMP);
    for (size_t n = 0; n < dump.n_bytes; n++) {
        assert_int_equal(jitdump_parse_header(dump.bytes, n, &header), 0);
    }
}

static void test_foreign_headers(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_header header;
    dump_header(&dump, 1, 0);
    dump.bytes[4] = 9; /* a version of the future */
    assert_int_equal(jitdump_parse_header(dump.bytes, dump.n_bytes, &header), -ENOTSUP);
    dump.bytes[4] = 1;
    dump.bytes[8] = 8; /* shorter than itself */
    assert_int_equal(jitdump_parse_header(dump.bytes, dump.n_bytes, &header), -EBADMSG);
    assert_int_equal(jitdump_parse_header("\x4a\x69\x54\x44", 4, &header), -ENOTSUP);
    assert_int_equal(jitdump_parse_header("\x7f"
                                          "ELF",
                                          4, &header),
                     -EBADMSG);
}

static void test_load(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_record record;
    dump_load(&dump, 5, 0x7000, 3, "JS:*hot f.js:1:1", "machine code");
    size_t n_first = dump.n_bytes;
    dump_load(&dump, 6, 0x8000, 4, "next", "x");
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_CODE_LOAD);
    assert_int_equal(record.n_bytes, n_first);
    assert_int_equal(record.time_ns, 5);
    assert_int_equal(record.load.code_addr, 0x7000);
    assert_int_equal(record.load.index, 3);
    assert_int_equal(record.load.n_code_bytes, 12);
    assert_string_equal(record.load.name, "JS:*hot f.js:1:1");
    assert_int_equal(bytes_left(&record.load.code), 12);
    assert_memory_equal(record.load.code.at, "machine code", 12);
    /* Each beginning of it is not all there yet; with a length in it we learn how much is missing.
     */
    for (size_t n = 0; n < n_first; n++) {
        assert_int_equal(jitdump_parse_record(dump.bytes, n, &record), 0);
        assert_int_equal(record.n_bytes, n < JITDUMP_PREFIX_BYTES ? 0 : n_first);
    }
}

/* What lacks its bytes still has a name; what lacks its name is skipped. */
static void test_load_with_parts_missing(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_record record;
    const uint64_t more_than_there = 1000, at_the_end = UINT64_MAX - 10;
    dump_load(&dump, 5, 0x7000, 3, "no bytes", "abc");
    memcpy(dump.bytes + JITDUMP_PREFIX_BYTES + 24, &more_than_there, 8);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_CODE_LOAD);
    assert_int_equal(record.load.n_code_bytes, 1000);
    assert_int_equal(bytes_left(&record.load.code), 0);
    memcpy(dump.bytes + JITDUMP_PREFIX_BYTES + 16, &at_the_end, 8);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_OTHER);
    const uint32_t cut_in_name = JITDUMP_PREFIX_BYTES + 40 + 3;
    memcpy(dump.bytes + 4, &cut_in_name, 4);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_OTHER);
    assert_int_equal(record.n_bytes, cut_in_name);
}

static void test_move_close_and_others(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_record record;
    dump_move(&dump, 9, 0x7000, 0x9000, 12, 3);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_CODE_MOVE);
    assert_int_equal(record.move.old_code_addr, 0x7000);
    assert_int_equal(record.move.new_code_addr, 0x9000);
    assert_int_equal(record.move.n_code_bytes, 12);
    assert_int_equal(record.move.index, 3);
    dump = (struct jitdump_text){0};
    dump_begin(&dump, JITDUMP_CLOSE, 10);
    dump_end(&dump);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_CLOSE);
    dump.bytes[0] = 77;
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_OTHER);
    dump.bytes[4] = 3; /* shorter than its own beginning */
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), -EBADMSG);
}

static void test_lines(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_record record;
    struct jitdump_line line;
    dump_debug_info(&dump, 0x7000, 0x7000, 0x7004);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_DEBUG_INFO);
    assert_int_equal(record.debug_info.code_addr, 0x7000);
    assert_int_equal(record.debug_info.n_entries, 2);
    struct bytes entries = record.debug_info.entries;
    assert_int_equal(jitdump_next_line(&entries, &line), 1);
    assert_int_equal(line.line, 10);
    assert_string_equal(line.file, "made.js");
    assert_int_equal(jitdump_next_line(&entries, &line), 1);
    assert_int_equal(line.code_addr, 0x7004);
    assert_int_equal(line.line, 20);
    assert_null(line.file);
    assert_int_equal(jitdump_next_line(&entries, &line), 0);
    struct bytes cut = bytes_of(record.debug_info.entries.at, 20);
    assert_int_equal(jitdump_next_line(&cut, &line), 0);
}

static void test_unwinding(void **state)
{
    (void)state;
    struct jitdump_text dump = {0};
    struct jitdump_record record;
    dump_unwinding(&dump, "eh frame", 8, 20);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_UNWINDING_INFO);
    assert_int_equal(bytes_left(&record.unwinding.eh_frame), 8);
    assert_memory_equal(record.unwinding.eh_frame.at, "eh frame", 8);
    /* A search table that is larger than everything. */
    const uint64_t too_large = 29;
    memcpy(dump.bytes + JITDUMP_PREFIX_BYTES + 8, &too_large, 8);
    assert_int_equal(jitdump_parse_record(dump.bytes, dump.n_bytes, &record), 1);
    assert_int_equal(record.kind, JITDUMP_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_foreign_headers),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_load_with_parts_missing),
        cmocka_unit_test(test_move_close_and_others),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_unwinding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
