/* SPDX-License-Identifier: MIT */
#include "disasm/kept_code.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "disasm/code_reader.h"

static const uint8_t code[] = {0x55, 0x90, 0x90, 0xc3};

static struct kept_code *make(const char *open_failure)
{
    const struct kept_code_facts facts = {
        .machine = DISASM_MACHINE_AARCH64,
        .modified_s = 1234,
        .has_file = true,
        .layout = {.n_segments = 1,
                   .n_executable = 1,
                   .segments = {{.file_offset = 0x100, .n_bytes = 0x80, .image_addr = 0x1100}}},
        .open_failure = open_failure,
    };
    struct kept_code *kept;
    assert_int_equal(kept_code_new(&facts, &kept), 0);
    const struct kept_piece pieces[] = {
        {.start_addr = 0x1120, .end_addr = 0x1124, .n_bytes = 4, .bytes = code, .origin = "file"},
        {.start_addr = 0x1100,
         .end_addr = 0x1110,
         .n_bytes = 2,
         .bytes = code + 1,
         .origin = "target memory"},
        {.start_addr = 0x1140, .end_addr = 0x1150, .failure = "it is locked", .hint = "find a key"},
        {.pid = 7, .start_addr = 0x1120, .end_addr = 0x1124, .n_bytes = 1, .bytes = code + 3},
    };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_int_equal(kept_code_add_piece(kept, &pieces[i]), 0);
    }
    const struct kept_bounds bounds[] = {{0x1160, 0x1170}, {0x1100, 0x1110}};
    assert_int_equal(kept_code_add_bounds(kept, &bounds[0]), 0);
    assert_int_equal(kept_code_add_bounds(kept, &bounds[1]), 0);
    kept_code_finish(kept);
    return kept;
}

static void pieces_are_found(void **state)
{
    (void)state;
    _cleanup_(kept_code_freep) struct kept_code *kept = make(NULL);
    assert_int_equal(kept_code_facts(kept)->modified_s, 1234);
    assert_int_equal(kept_code_find(kept, 0, 0x1123)->n_bytes, 4);
    assert_memory_equal(kept_code_find(kept, 0, 0x1120)->bytes, code, 4);
    assert_null(kept_code_find(kept, 0, 0x1124));
    assert_null(kept_code_find(kept, 0, 0x10ff));
    assert_int_equal(kept_code_find(kept, 7, 0x1120)->bytes[0], 0xc3);
    assert_null(kept_code_find(kept, 8, 0x1120));
    assert_string_equal(kept_code_find(kept, 0, 0x114f)->hint, "find a key");
    uint64_t start, end;
    assert_true(kept_code_bounds(kept, 0x110f, &start, &end));
    assert_int_equal(start, 0x1100);
    assert_int_equal(end, 0x1110);
    assert_false(kept_code_bounds(kept, 0x1110, &start, &end));
    assert_false(kept_code_bounds(kept, 0x10ff, &start, &end));
    size_t n;
    assert_int_equal(kept_code_pieces(kept, &n)[0].start_addr, 0x1100);
    assert_int_equal(n, 4);
    assert_int_equal(kept_code_all_bounds(kept, &n)[1].start_addr, 0x1160);
    assert_int_equal(n, 2);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    _cleanup_(kept_code_freep) struct kept_code *kept = make(NULL);
    const struct kept_piece empty = {.start_addr = 5, .end_addr = 5};
    const struct kept_piece longer = {.start_addr = 5, .end_addr = 6, .n_bytes = 2, .bytes = code};
    const struct kept_piece huge = {
        .start_addr = 5, .end_addr = UINT64_MAX, .n_bytes = KEPT_CODE_MAX_BYTES, .bytes = code};
    const struct kept_bounds reversed = {6, 5};
    assert_int_equal(kept_code_add_piece(kept, &empty), -EINVAL);
    assert_int_equal(kept_code_add_piece(kept, &longer), -EINVAL);
    assert_int_equal(kept_code_add_piece(kept, &huge), -ENOSPC);
    assert_int_equal(kept_code_add_bounds(kept, &reversed), -EINVAL);
}

/* The file of that path is there, and has other code. */
static const struct image image = {
    .kind = IMAGE_KIND_FILE, .path = "/proc/self/exe", .name = "exe", .pid = 7};

static void a_reader_reads_what_was_kept(void **state)
{
    (void)state;
    _cleanup_(kept_code_freep) struct kept_code *kept = make(NULL);
    const struct code_access access = {.is_kept_only = true, .kept = kept};
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    assert_int_equal(code_reader_open(&access, &image, &reader, NULL), 0);
    assert_int_equal(code_reader_machine(reader), DISASM_MACHINE_AARCH64);
    assert_int_equal(code_reader_modified_s(reader), 1234);
    uint8_t bytes[16];
    struct error error = {0};
    assert_int_equal(code_reader_read(reader, 0x1121, bytes, sizeof(bytes), &error), 3);
    assert_memory_equal(bytes, code + 1, 3);
    assert_string_equal(code_reader_origin(reader), "file");
    assert_int_equal(code_reader_read(reader, 0x1100, bytes, 1, &error), 1);
    assert_string_equal(code_reader_origin(reader), "target memory");
    assert_int_equal(code_reader_read(reader, 0x1102, bytes, 1, &error), -ENODATA);
    assert_int_equal(code_reader_read(reader, 0x1140, bytes, 1, &error), -ENODATA);
    assert_string_equal(error.message, "it is locked");
    assert_string_equal(error.hint, "find a key");
    assert_string_equal(code_reader_origin(reader), "none");
    uint64_t value, end;
    assert_true(code_reader_offset(reader, 0x1121, &value));
    assert_int_equal(value, 0x121);
    assert_false(code_reader_offset(reader, 0x121, &value));
    assert_true(code_reader_is_code(reader, 0x1121));
    assert_false(code_reader_is_code(reader, 0x3000));
    assert_true(code_reader_bounds(reader, 0x1165, &value, &end));
    assert_int_equal(value, 0x1160);
    struct kept_code_facts facts;
    code_reader_describe(reader, &facts);
    assert_true(facts.has_file);
    assert_int_equal(facts.layout.segments[0].image_addr, 0x1100);
}

static void a_reader_says_why_as_it_was(void **state)
{
    (void)state;
    _cleanup_(kept_code_freep) struct kept_code *kept = make("no such file");
    const struct code_access failed = {.is_kept_only = true, .kept = kept};
    const struct code_access none = {.is_kept_only = true};
    struct code_reader *reader = NULL;
    struct error error = {0};
    assert_int_equal(code_reader_open(&failed, &image, &reader, &error), -ENODATA);
    assert_string_equal(error.message, "no such file");
    assert_int_equal(code_reader_open(&none, &image, &reader, &error), -ENODATA);
    assert_null(reader);
}

/* Memory of a process: what a record holds comes first, and nobody else's memory is read. */
static void memory_is_that_of_the_process(void **state)
{
    (void)state;
    _cleanup_(kept_code_freep) struct kept_code *kept = make(NULL);
    const struct image memory = {.kind = IMAGE_KIND_ANONYMOUS, .path = "[anon]", .name = "[anon]"};
    struct code_access access = {.is_kept_only = true, .kept = kept, .memory_pid = 7};
    uint8_t bytes[4];
    struct error error = {0};
    struct code_reader *reader;
    assert_int_equal(code_reader_open(&access, &memory, &reader, NULL), 0);
    assert_int_equal(code_reader_read(reader, 0x1120, bytes, 4, &error), 1);
    assert_int_equal(bytes[0], 0xc3);
    access.memory_pid = 8;
    assert_int_equal(code_reader_read(reader, 0x1120, bytes, 4, &error), -ENODATA);
    assert_non_null(strstr(error.message, "the run has ended"));
    code_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_found),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_reader_reads_what_was_kept),
        cmocka_unit_test(a_reader_says_why_as_it_was),
        cmocka_unit_test(memory_is_that_of_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
