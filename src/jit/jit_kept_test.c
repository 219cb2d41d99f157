/* SPDX-License-Identifier: MIT */
#include "jit/jit_kept.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct symbol hot = {
    .name = "JS:*hot /srv/hot.js:3:1",
    .image = JIT_CODE_IMAGE,
    .kind = FRAME_KIND_JIT,
    .start_address = 0x9000,
    .size_bytes = 0x40,
};

/* hot() stood at 0x9000, was moved to 0xa000, and the stub after it has a name only. */
static struct jit_kept *make(void)
{
    struct jit_kept *kept;
    uint32_t symbol, stub, body, empty, first, moved, last;
    assert_int_equal(jit_kept_new(&kept), 0);
    struct symbol named = {.name = "stub", .image = "[other]", .kind = FRAME_KIND_JIT};
    assert_int_equal(jit_kept_add_symbol(kept, &hot, &symbol), 0);
    assert_int_equal(jit_kept_add_symbol(kept, &named, &stub), 0);
    assert_int_equal(jit_kept_add_line(kept, 0, "x.js", 1), -EINVAL); /* of nothing yet */
    assert_int_equal(jit_kept_add_body(kept, "\x55\x90\x90\xc3", 4, &body), 0);
    assert_int_equal(jit_kept_add_line(kept, 0, "hot.js", 3), 0);
    assert_int_equal(jit_kept_add_line(kept, 2, "hot.js", 4), 0);
    assert_int_equal(jit_kept_add_line(kept, 1, "hot.js", 4), -EINVAL);
    assert_int_equal(jit_kept_add_body(kept, NULL, 0, &empty), 0);
    assert_int_equal(jit_kept_add_line(kept, 0, "late.js", 9), 0);
    const struct jit_kept_function functions[] = {
        {symbol, body, 0x9000, 0x9040, 100, 200},
        {symbol, body, 0xa000, 0xa040, 200, UINT64_MAX},
        {stub, JIT_KEPT_NONE, 0xa040, 0xa080, 50, UINT64_MAX},
        {2, JIT_KEPT_NONE, 0, 1, 0, 1},
        {stub, 2, 0, 1, 0, 1},
        {stub, empty, 2, 1, 0, 1},
    };
    assert_int_equal(jit_kept_add_function(kept, &functions[0], &first), 0);
    assert_int_equal(jit_kept_add_function(kept, &functions[1], &moved), 0);
    assert_int_equal(jit_kept_add_function(kept, &functions[2], &last), 0);
    for (size_t i = 3; i < 6; i++) {
        uint32_t unused;
        assert_int_equal(jit_kept_add_function(kept, &functions[i], &unused), -EINVAL);
    }
    const struct jit_kept_answer answers[] = {
        {7, 0xa010, 210, 220, moved}, {7, 0x9010, 110, 120, first}, {7, 0x9010, 500, 600, last},
        {8, 0x9010, 110, 120, last},  {7, 0xa050, 110, 120, last},  {7, 1, 2, 3, 3},
    };
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(jit_kept_add_answer(kept, &answers[i]), 0);
    }
    assert_int_equal(jit_kept_add_answer(kept, &answers[5]), -EINVAL);
    const struct jit_code_stats stats = {.n_functions = 1234};
    jit_kept_set_stats(kept, &stats);
    assert_int_equal(jit_kept_finish(kept), 0);
    return kept;
}

static void answers_are_as_they_were(void **state)
{
    (void)state;
    struct jit_code *code;
    struct jit_place place, moved;
    assert_int_equal(jit_code_new(&code), 0);
    jit_code_set_kept(code, make());
    assert_true(jit_code_find(code, 7, 0x9010, 110, 120, &place));
    assert_string_equal(place.symbol->name, hot.name);
    assert_int_equal(place.symbol->start_address, 0x9000);
    assert_int_equal(place.start_ip, 0x9000);
    assert_int_equal(place.to_ns, 200);
    assert_int_equal(place.pid, 7);
    assert_true(jit_code_find(code, 7, 0xa010, 210, 220, &moved));
    assert_ptr_equal(moved.symbol, place.symbol);
    assert_ptr_equal(moved.body, place.body);
    assert_int_equal(moved.start_ip, 0xa000);
    assert_false(jit_code_find(code, 7, 0xa011, 210, 220, &place)); /* nobody asked there */
    assert_false(jit_code_find(code, 9, 0x9010, 110, 120, &place));
    assert_true(jit_code_find(code, 8, 0x9010, 110, 120, &place));
    assert_string_equal(place.symbol->name, "stub");
    assert_string_equal(place.symbol->image, "[other]");
    /* Of other times the one that is nearest. */
    assert_true(jit_code_find(code, 7, 0x9010, 130, 140, &place));
    assert_string_equal(place.symbol->name, hot.name);
    assert_true(jit_code_find(code, 7, 0x9010, 450, 460, &place));
    assert_string_equal(place.symbol->name, "stub");
    assert_true(jit_code_find(code, 7, 0x9010, 1, 2, &place));
    assert_string_equal(place.symbol->name, hot.name);
    struct jit_code_stats stats;
    jit_code_get_stats(code, &stats);
    assert_int_equal(stats.n_functions, 1234);
    jit_code_free(code);
}

/* Others keep their numbers. */
static void what_is_lost_is_not_found(void **state)
{
    (void)state;
    struct jit_kept *kept;
    uint32_t symbol, number;
    const struct symbol lost = {.image = JIT_CODE_IMAGE, .kind = FRAME_KIND_JIT};
    const struct jit_kept_function functions[] = {
        {0, JIT_KEPT_NONE, 0x1000, 0x1010, 0, 9},
        {JIT_KEPT_NONE, JIT_KEPT_NONE, 0x2000, 0x2010, 0, 9},
        {1, JIT_KEPT_NONE, 0x3000, 0x3010, 0, 9},
    };
    assert_int_equal(jit_kept_new(&kept), 0);
    assert_int_equal(jit_kept_add_symbol(kept, &lost, &symbol), 0);
    assert_int_equal(jit_kept_add_symbol(kept, &hot, &symbol), 0);
    for (uint32_t i = 0; i < 3; i++) {
        const struct jit_kept_answer answer = {7, functions[i].start_ip, 0, 9, i};
        assert_int_equal(jit_kept_add_function(kept, &functions[i], &number), 0);
        assert_int_equal(jit_kept_add_answer(kept, &answer), 0);
    }
    assert_int_equal(jit_kept_finish(kept), 0);
    struct jit_place place;
    assert_false(jit_kept_find(kept, 7, 0x1000, 0, 9, &place));
    assert_false(jit_kept_find(kept, 7, 0x2000, 0, 9, &place));
    assert_true(jit_kept_find(kept, 7, 0x3000, 0, 9, &place));
    assert_string_equal(place.symbol->name, hot.name);
    jit_kept_free(kept);
}

static void bodies_have_code_and_lines(void **state)
{
    (void)state;
    struct jit_code *code;
    struct jit_place place, stub;
    assert_int_equal(jit_code_new(&code), 0);
    jit_code_set_kept(code, make());
    assert_true(jit_code_find(code, 7, 0xa010, 210, 220, &place));
    uint8_t bytes[8];
    assert_int_equal(jit_code_read(&place, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "\x55\x90\x90\xc3", 4);
    const char *file;
    uint32_t line, offset;
    assert_true(jit_code_line(&place, 0xa001, &file, &line));
    assert_int_equal(line, 3);
    assert_true(jit_code_line(&place, 0xa030, &file, &line));
    assert_int_equal(line, 4);
    assert_string_equal(file, "hot.js");
    assert_true(jit_kept_line_of(&place, 1, &offset, &file, &line));
    assert_int_equal(offset, 2);
    assert_false(jit_kept_line_of(&place, 2, &offset, &file, &line));
    assert_true(jit_code_find(code, 7, 0xa050, 110, 120, &stub));
    assert_null(stub.body);
    assert_int_equal(jit_code_read(&stub, bytes, sizeof(bytes)), -ENODATA);
    assert_false(jit_kept_line_of(&stub, 0, &offset, &file, &line));
    jit_code_free(code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_as_they_were),
        cmocka_unit_test(what_is_lost_is_not_found),
        cmocka_unit_test(bodies_have_code_and_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
