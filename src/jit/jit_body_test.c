/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>

#include "decode/jitdump_test.h"
#include "jit/jit_body.h"
#include "jit/jit_test.h"

static struct jit_place place_of(const struct jit_body *body, uint64_t start_ip)
{
    return (struct jit_place){
        .start_ip = start_ip, .end_ip = start_ip + body->n_bytes, .body = body};
}

/* The lines of `dump`, which holds one record of them. */
static struct bytes entries_of(const struct jitdump_text *dump)
{
    struct jitdump_record record;
    assert_int_equal(jitdump_parse_record(dump->bytes, dump->n_bytes, &record), 1);
    return record.debug_info.entries;
}

static void check_line(const struct jit_place *place, uint64_t ip, uint32_t expected)
{
    const char *file = NULL;
    uint32_t line = 0;
    bool is_known = jit_code_line(place, ip, &file, &line);
    assert_int_equal(is_known, expected != 0);
    assert_int_equal(line, expected);
    assert_true(!is_known || strcmp(file, "made.js") == 0);
}

static void test_lines(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct jitdump_text dump = {0};
    struct jit_load load = test_load(1, 0x1000, 0x100, 0, "f");
    arena_init(&arena, 0);
    dump_debug_info(&dump, 0x1000, 0x1004, 0x1020);
    load.debug_entries = entries_of(&dump);
    struct jit_body *body = jit_body_new(&arena, &load);
    assert_non_null(body);
    assert_int_equal(body->n_lines, 2);
    struct jit_place place = place_of(body, 0x1000);
    check_line(&place, 0x1000, 0); /* before the first */
    check_line(&place, 0x1004, 10);
    check_line(&place, 0x101f, 10);
    check_line(&place, 0x1020, 20);
    check_line(&place, 0x10ff, 20);
    check_line(&place, 0x1100, 0);
    place = place_of(body, 0x9000); /* moved */
    check_line(&place, 0x9010, 10);
    check_line(&place, 0x1010, 0);
}

/* V8 counts the bytes of an ELF header in; lines outside the function show it. */
static void test_lines_behind_a_header(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct jitdump_text dump = {0};
    struct jit_load load = test_load(1, 0x1000, 0x30, 0, "f");
    arena_init(&arena, 0);
    dump_debug_info(&dump, 0x1000, 0x1040, 0x1050);
    load.debug_entries = entries_of(&dump);
    struct jit_body *body = jit_body_new(&arena, &load);
    struct jit_place place = place_of(body, 0x1000);
    check_line(&place, 0x1000, 10);
    check_line(&place, 0x1010, 20);
    /* Out of order, and one outside of everything. */
    dump = (struct jitdump_text){0};
    dump_begin(&dump, JITDUMP_DEBUG_INFO, 1);
    dump_u64(&dump, 0x1000);
    dump_u64(&dump, 3);
    dump_line(&dump, 0x1010, 20, "made.js");
    dump_line(&dump, 0x1000, 10, "\xff");
    dump_line(&dump, 0x5000, 30, "\xff");
    dump_end(&dump);
    load.debug_entries = entries_of(&dump);
    body = jit_body_new(&arena, &load);
    place = place_of(body, 0x1000);
    assert_int_equal(body->n_lines, 2);
    check_line(&place, 0x1005, 10);
    check_line(&place, 0x1010, 20);
}

/* As node 20 writes it: addresses shifted, names of files out of freed memory. */
static void test_lines_with_spoilt_names(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct jitdump_text dump = {0};
    struct jit_load load = test_load(1, 0x1000, 0x100, 0, "JS:*fib made.js:1:13");
    static const uint8_t spoilt[] = {0xda, 0x3d, 4, 0, 0, 0, 0, 0};
    arena_init(&arena, 0);
    dump_begin(&dump, JITDUMP_DEBUG_INFO, 1);
    dump_u64(&dump, 0x1000);
    dump_u64(&dump, 3);
    for (uint32_t i = 1; i <= 3; i++) {
        dump_u64(&dump, 0x1040 + 16 * i);
        dump_u32(&dump, 10 * i);
        dump_u32(&dump, 1);
        dump_put(&dump, spoilt, sizeof("made.js"));
    }
    dump_end(&dump);
    load.debug_entries = entries_of(&dump);
    load.n_debug_entries = 3;
    struct jit_place place = place_of(jit_body_new(&arena, &load), 0x1000);
    assert_int_equal(place.body->n_lines, 3);
    check_line(&place, 0x100f, 0);
    check_line(&place, 0x1010, 10);
    check_line(&place, 0x1025, 20);
    check_line(&place, 0x10ff, 30);
    /* Nothing says what they are: no lines rather than wrong ones. */
    load.name = "fib";
    load.n_name_bytes = 3;
    assert_int_equal(jit_body_new(&arena, &load)->n_lines, 0);
}

static void test_bytes(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct jit_load load = test_load(1, 0x1000, 4, 0, "f");
    char bytes[16] = "";
    arena_init(&arena, 0);
    int fd = test_file();
    assert_int_equal(write(fd, "before CODE after", 17), 17);
    load.fd = fd;
    load.code_offset = 7;
    struct jit_place place = place_of(jit_body_new(&arena, &load), 0x1000);
    assert_int_equal(jit_code_read(&place, bytes, sizeof(bytes)), 4);
    assert_string_equal(bytes, "CODE");
    place.body = NULL;
    assert_int_equal(jit_code_read(&place, bytes, sizeof(bytes)), -ENODATA);
    close(fd);
}

/* push rbp at 0 of a function of 16 bytes, as the program would say it. */
static const uint8_t eh_frame[] = {
    0x14, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0,
    /* FDE: the code begins 16 + 24 + 8 bytes before the field that says so. */
    0x18, 0, 0, 0, 0x1c, 0, 0, 0, 0xd0, 0xff, 0xff, 0xff, 16, 0, 0, 0, 0, 0x41, 0x0e, 16, 0x86, 2,
    0x02, 13, 0x0c, 7, 8, 0, 0, 0, 0, 0};

static void test_table(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct jit_load load = test_load(1, 0x700010, 16, 0, "f");
    arena_init(&arena, 0);
    load.elf_machine = EM_X86_64;
    load.eh_frame = bytes_of(eh_frame, sizeof(eh_frame));
    struct jit_body *body = jit_body_new(&arena, &load);
    assert_non_null(body->table);
    struct cfi_row row = cfi_table_find(body->table, 0x700010);
    struct cfi_row other = cfi_table_find(body->table, 0x700011);
    assert_memory_not_equal(&row, &other, sizeof(row));
    assert_int_equal(row.kind & CFI_KIND_MASK, CFI_SP);
    assert_int_equal(row.cfa, 1);
    assert_int_equal(other.cfa, 2);
    load.elf_machine = EM_RISCV;
    assert_null(jit_body_new(&arena, &load)->table);
    load.elf_machine = EM_X86_64;
    load.eh_frame = bytes_of("nonsense", 8);
    assert_null(jit_body_new(&arena, &load)->table);
    jit_bodies_release(body);
    assert_null(body->table);
}

/* A description that claims 64 MiB gets the function that it comes with. */
static void test_a_table_is_cut_to_its_function(void **state)
{
    (void)state;
    _cleanup_(arena_releasep) struct arena arena;
    struct jit_load load = test_load(1, 0x700010, 16, 0, "f");
    uint8_t claims[sizeof(eh_frame)];
    const uint32_t n_claimed_bytes = 64u << 20;
    arena_init(&arena, 0);
    memcpy(claims, eh_frame, sizeof(claims));
    memcpy(claims + 36, &n_claimed_bytes, sizeof(n_claimed_bytes));
    load.elf_machine = EM_X86_64;
    load.eh_frame = bytes_of(claims, sizeof(claims));
    struct jit_body *body = jit_body_new(&arena, &load);
    assert_non_null(body->table);
    assert_int_equal(body->table->end_addr, 0x700020);
    assert_true(cfi_table_memory_bytes(body->table) < 1000);
    jit_bodies_release(body);
    /* A size that no bytes stand for is not believed either. */
    load.n_bytes = n_claimed_bytes;
    uint32_t to_code = (uint32_t)(load.start_ip - (load.start_ip + n_claimed_bytes) - 32);
    memcpy(claims + 32, &to_code, sizeof(to_code));
    body = jit_body_new(&arena, &load);
    assert_non_null(body->table);
    assert_int_equal(body->table->end_addr, load.start_ip + JIT_BODY_MAX_BARE_BYTES);
    jit_bodies_release(body);
}

static void check_name(const char *name, const char *expected)
{
    char text[64];
    assert_int_equal(jit_name_clean(name, strlen(name), text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
}

static void test_names(void **state)
{
    (void)state;
    check_name("JS:*hot file.js:3:1", "JS:*hot file.js:3:1");
    check_name("LazyCompile:*hot file.js:3:1", "LazyCompile:*hot file.js:3:1");
    check_name("JS:~ file.js:1:1", "JS:~(anonymous) file.js:1:1");
    check_name("LazyCompile: file.js:1:1", "LazyCompile:(anonymous) file.js:1:1");
    check_name("Builtin:Call", "Builtin:Call");
    check_name("int Foo.bar(int)", "int Foo.bar(int)");
    check_name("a\nb\x01 ", "a?b?");
    check_name("", "(anonymous)");
    char text[32], long_name[200];
    memset(long_name, 'x', sizeof(long_name));
    assert_true(jit_name_clean(long_name, sizeof(long_name), text, sizeof(text)) < sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_behind_a_header),
        cmocka_unit_test(test_lines_with_spoilt_names),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_a_table_is_cut_to_its_function),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
