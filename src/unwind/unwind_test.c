/* SPDX-License-Identifier: MIT */
#include "unwind/unwind.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STACK 0x7ffc0000u
#define WORDS 64
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Functions of 0x100 bytes each from 0x1000 on; what row leaves each is said by the test. */
#define FUNCTION(n) (0x1000u + 0x100u * (n))
#define N_FUNCTIONS 16

struct scene {
    struct cfi_row rows[N_FUNCTIONS];
    enum cfi_machine machine;
    bool is_pending[N_FUNCTIONS];
    uint64_t stack[WORDS];
    uint64_t behind[WORDS]; /* memory that was not copied */
    bool has_memory;
    struct unwind_place places[32];
};

static struct unwind_code find_code(void *userdata, uint64_t ip)
{
    const struct scene *scene = userdata;
    struct unwind_code code = {.state = UNWIND_CODE_UNMAPPED, .machine = scene->machine};
    if (ip >= FUNCTION(0) && ip < FUNCTION(N_FUNCTIONS)) {
        size_t n = (ip - FUNCTION(0)) / 0x100;
        code.state = scene->is_pending[n] ? UNWIND_CODE_PENDING : UNWIND_CODE_KNOWN;
        code.row = scene->rows[n];
    }
    return code;
}

static bool read_outside(void *userdata, uint64_t address, uint64_t *ret_word)
{
    const struct scene *scene = userdata;
    uint64_t start = STACK + sizeof(scene->stack);
    if (!scene->has_memory || address < start || address >= start + sizeof(scene->behind)) {
        return false;
    }
    *ret_word = scene->behind[(address - start) / 8];
    return true;
}

static struct unwind_walk walk_of(struct scene *scene, uint64_t ip, uint64_t sp, uint64_t fp)
{
    return (struct unwind_walk){
        .registers = {.ip = ip, .sp = sp, .fp = fp, .is_exact = true},
        .is_innermost = true,
        .reader = {.start = STACK,
                   .bytes = (const uint8_t *)scene->stack,
                   .n_bytes = sizeof(scene->stack)},
        .userdata = scene,
        .find_code = find_code,
        .places = scene->places,
        .max_places = COUNT(scene->places),
    };
}

static void assert_ips(const struct unwind_walk *walk, const uint64_t *ips, size_t n_ips)
{
    assert_int_equal(walk->n_places, n_ips);
    for (size_t i = 0; i < n_ips; i++) {
        assert_int_equal(walk->places[i].ip, ips[i]);
    }
}

static struct cfi_row row(uint8_t kind, int16_t cfa, int8_t fp)
{
    return (struct cfi_row){.kind = kind, .cfa = cfa, .fp = fp};
}

static void frames_by_stack_pointer(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 2, 0);  /* one word of locals */
    scene.rows[1] = row(CFI_SP, 4, -2); /* saves fp */
    scene.rows[2] = row(CFI_END, 0, 0);
    scene.stack[1] = FUNCTION(1) + 5;
    scene.stack[4] = 0xabc; /* fp, as it was before function 1 */
    scene.stack[5] = FUNCTION(2) + 9;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0x111);
    assert_int_equal(unwind_run(&walk), 0);
    assert_ips(&walk, (uint64_t[]){FUNCTION(0), FUNCTION(1) + 5, FUNCTION(2) + 9}, 3);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(walk.registers.fp, 0xabc);
    assert_int_equal(walk.places[1].sp, STACK + 16);
    assert_int_equal(walk.reader.end_needed, STACK + 48);
    assert_true(walk.places[0].is_exact);
    assert_false(walk.places[1].is_exact);
}

/* A call that is the last instruction of its function returns to the first byte of the next. */
static void a_return_address_belongs_to_its_call(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 1, 0);
    scene.rows[1] = row(CFI_SP, 3, 0);
    scene.rows[2] = row(CFI_UNSUPPORTED, 0, 0);
    scene.rows[3] = row(CFI_END, 0, 0);
    scene.stack[0] = FUNCTION(2); /* the call is the end of function 1 */
    scene.stack[3] = FUNCTION(3) + 1;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_ips(&walk, (uint64_t[]){FUNCTION(0), FUNCTION(2), FUNCTION(3) + 1}, 3);
}

/* Behind a pop tables go on to say where the register was saved: below sp, where no copy reaches.
 */
static void what_was_popped_is_back_in_its_register(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 1, -5); /* at the return instruction of a function that saves fp */
    scene.rows[1] = row(CFI_FP, 2, -2);
    scene.rows[2] = row(CFI_END, 0, 0);
    scene.stack[0] = FUNCTION(1) + 5;
    scene.stack[4] = 0xabc;
    scene.stack[5] = FUNCTION(2) + 9;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0) + 7, STACK, STACK + 32);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_ips(&walk, (uint64_t[]){FUNCTION(0) + 7, FUNCTION(1) + 5, FUNCTION(2) + 9}, 3);
    assert_false(walk.reader.went_outside);
    assert_int_equal(walk.registers.fp, 0xabc);
}

static void a_realigned_stack(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_FP_DEREF, -1, -2); /* CFA = *(fp - 8) */
    scene.rows[1] = row(CFI_END, 0, 0);
    scene.stack[2] = STACK + 80;
    scene.stack[8] = 0x77;
    scene.stack[9] = FUNCTION(1) + 1;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0) + 3, STACK, STACK + 24);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(walk.registers.sp, STACK + 80);
    assert_int_equal(walk.registers.fp, 0x77);
}

static void a_plt_stub_is_left_by_its_place(void **state)
{
    (void)state;
    for (uint64_t offset = 0; offset < 16; offset++) {
        struct scene scene = {0};
        scene.rows[0] = row(CFI_PLT, 11, 0);
        scene.rows[1] = row(CFI_END, 0, 0);
        scene.stack[0] = offset >= 11 ? 0x5 : FUNCTION(1) + 2; /* the index that it has pushed */
        scene.stack[1] = offset >= 11 ? FUNCTION(1) + 2 : 0x5;
        struct unwind_walk walk = walk_of(&scene, FUNCTION(0) + offset, STACK, 0);
        assert_int_equal(unwind_run(&walk), 0);
        assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    }
}

static void a_signal_frame_gives_back_the_interrupted_registers(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 1, 0); /* the handler */
    scene.rows[1] = row(CFI_SIGNAL, 0, 0);
    scene.rows[2] = row(CFI_SP, 1, 0); /* interrupted at its first instruction */
    scene.rows[3] = row(CFI_END, 0, 0);
    scene.stack[0] = FUNCTION(1) + 1;
    scene.stack[1 + 15] = 0xf00;          /* rbp */
    scene.stack[1 + 20] = STACK + 8 * 40; /* rsp */
    scene.stack[1 + 21] = FUNCTION(2);    /* rip */
    scene.stack[40] = FUNCTION(3) + 7;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_ips(&walk, (uint64_t[]){FUNCTION(0), FUNCTION(1) + 1, FUNCTION(2), FUNCTION(3) + 7}, 4);
    assert_true(walk.places[2].is_exact);
    assert_false(walk.places[3].is_exact);
}

static void inside_a_system_call_the_row_before_counts(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SIGNAL, 0, 0);
    scene.rows[1] = row(CFI_NONE, 0, 0); /* behind the last byte of sigreturn's stub */
    scene.rows[3] = row(CFI_END, 0, 0);
    scene.stack[20] = STACK + 8;
    scene.stack[21] = FUNCTION(3) + 7;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(1), STACK, 0x9);
    walk.is_after_syscall = true;
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(walk.n_places, 2);
}

static void code_without_a_table_is_left_by_its_frame_pointer(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[2] = row(CFI_END, 0, 0);
    /* A frame that has only just been set up: fp == sp. */
    scene.stack[0] = STACK + 32;
    scene.stack[1] = FUNCTION(1) + 4;
    scene.stack[4] = STACK + 64;
    scene.stack[5] = FUNCTION(2) + 4;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, STACK);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_ips(&walk, (uint64_t[]){FUNCTION(0), FUNCTION(1) + 4, FUNCTION(2) + 4}, 3);

    walk = walk_of(&scene, FUNCTION(0), STACK + 8, STACK);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_NO_TABLE);
    assert_int_equal(walk.n_places, 1);
    assert_int_equal(walk.end_ip, FUNCTION(0));
}

static void what_it_cannot_follow_is_said(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_UNSUPPORTED, 0, 0);
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_UNSUPPORTED);

    scene.rows[0] = row(CFI_SP, 1, 0);
    scene.stack[0] = 0xdeadbeef;
    walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_NO_CODE);
    assert_int_equal(walk.n_places, 1);

    scene.rows[0] = row(CFI_SP, WORDS + 1, 0);
    walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COPY);

    /* A frame that would not leave the stack goes round for ever. */
    scene.rows[0] = row(CFI_FP, 0, 0);
    walk = walk_of(&scene, FUNCTION(0), STACK + 64, STACK);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_MEMORY);
}

static void a_stack_that_is_too_deep_ends_at_the_limit(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 1, 0);
    for (size_t i = 0; i < WORDS; i++) {
        scene.stack[i] = FUNCTION(0) + 5;
    }
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_LIMIT);
    assert_int_equal(walk.n_places, COUNT(scene.places));
}

static void a_table_that_is_being_made_is_waited_for(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 1, 0);
    scene.is_pending[1] = true;
    scene.rows[1] = row(CFI_END, 0, 0);
    scene.stack[0] = FUNCTION(1) + 5;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), -EAGAIN);
    scene.is_pending[1] = false;
    walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
}

static void the_memory_behind_the_copy_is_read_last(void **state)
{
    (void)state;
    struct scene scene = {.has_memory = true};
    scene.rows[0] = row(CFI_SP, WORDS + 1, 0);
    scene.rows[1] = row(CFI_END, 0, 0);
    scene.behind[0] = FUNCTION(1) + 5;
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    walk.read_outside = read_outside;
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    scene.has_memory = false;
    walk = walk_of(&scene, FUNCTION(0), STACK, 0);
    walk.read_outside = read_outside;
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_MEMORY);
}

/* Code that keeps frame pointers needs no stack bytes: the kernel has followed them already. */
static void the_kernels_chain_stands_in_for_memory(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[0] = row(CFI_SP, 2, 0); /* a leaf without a frame */
    scene.rows[1] = row(CFI_FP, 2, -2);
    scene.rows[2] = row(CFI_FP, 2, -2);
    scene.rows[3] = row(CFI_END, 0, 0);
    scene.stack[1] = FUNCTION(1) + 5; /* which the chain does not have */
    const uint64_t chain[] = {FUNCTION(0) + 1, FUNCTION(2) + 5, FUNCTION(3) + 5};
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0) + 1, STACK, STACK + 0x10000);
    walk.chain = chain;
    walk.n_chain = COUNT(chain);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_ips(&walk,
               (uint64_t[]){FUNCTION(0) + 1, FUNCTION(1) + 5, FUNCTION(2) + 5, FUNCTION(3) + 5}, 4);
    assert_int_equal(walk.reader.end_needed, STACK + 16);
    assert_int_equal(walk.places[2].sp, 0);

    /* It has pushed the register, and is going to set it. */
    scene.rows[0] = row(CFI_SP, 2, -2);
    scene.stack[0] = STACK + 0x10000;
    walk = walk_of(&scene, FUNCTION(0) + 1, STACK, STACK + 0x10000);
    walk.chain = chain;
    walk.n_chain = COUNT(chain);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(walk.n_places, 4);

    /* A function that used the register for something else: the chain is another story. */
    scene.rows[0] = row(CFI_SP, 3, -3);
    scene.stack[0] = 0x1234;
    scene.stack[2] = FUNCTION(1) + 5;
    walk = walk_of(&scene, FUNCTION(0) + 1, STACK, STACK + 0x10000);
    walk.chain = chain;
    walk.n_chain = COUNT(chain);
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_not_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(walk.n_places, 2);
}

/* The chain goes on where the copy has ended, and ends in code that needs the stack pointer. */
static void memory_is_read_where_the_chain_does_not_suffice(void **state)
{
    (void)state;
    struct scene scene = {.has_memory = true};
    scene.rows[0] = row(CFI_FP, 2, -2);
    scene.rows[1] = row(CFI_FP, 2, -2);
    scene.rows[2] = row(CFI_SP, 3, 0);
    scene.rows[3] = row(CFI_END, 0, 0);
    const uint64_t behind = STACK + sizeof(scene.stack);
    scene.behind[0] = behind + 64; /* function 1's record; then that of its caller's caller */
    scene.behind[1] = FUNCTION(1) + 5;
    scene.behind[8] = 0x77;
    scene.behind[9] = FUNCTION(2) + 5;
    scene.behind[12] = FUNCTION(3) + 5;
    const uint64_t chain[] = {FUNCTION(0) + 1, FUNCTION(1) + 5, FUNCTION(2) + 5, 0x99};
    const uint64_t all[] = {FUNCTION(0) + 1, FUNCTION(1) + 5, FUNCTION(2) + 5, FUNCTION(3) + 5};
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0) + 1, STACK, behind);
    walk.chain = chain;
    walk.n_chain = COUNT(chain);
    walk.read_outside = read_outside;
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_ips(&walk, all, 4);
    assert_int_equal(walk.places[3].sp, behind + 13 * 8);

    /* What has changed since is not believed: the chain is right, and then nothing is known. */
    scene.behind[9] = FUNCTION(4) + 5;
    walk = walk_of(&scene, FUNCTION(0) + 1, STACK, behind);
    walk.chain = chain;
    walk.n_chain = COUNT(chain);
    walk.read_outside = read_outside;
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_COPY);
    assert_ips(&walk, all, 3);
}

static void a_call_into_nowhere_has_a_caller(void **state)
{
    (void)state;
    struct scene scene = {0};
    scene.rows[1] = row(CFI_END, 0, 0);
    scene.stack[0] = FUNCTION(1) + 5;
    struct unwind_walk walk = walk_of(&scene, 0, STACK, 0);
    assert_int_equal(unwind_run(&walk), 0);
    assert_ips(&walk, (uint64_t[]){0, FUNCTION(1) + 5}, 2);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
}

static void aarch64_keeps_the_return_address_where_the_row_says(void **state)
{
    (void)state;
    struct scene scene = {.machine = CFI_MACHINE_AARCH64};
    scene.rows[0] = row(CFI_SP | CFI_RA_LR, 0, 0);      /* a leaf */
    scene.rows[1] = row(CFI_SP | CFI_RA_AT_FP, 2, -2);  /* only the link register saved */
    scene.rows[2] = row(CFI_FP | CFI_RA_SIGNED, 4, -4); /* a frame record */
    scene.rows[3] = row(CFI_END, 0, 0);
    scene.stack[0] = FUNCTION(2) + 8;
    scene.stack[2] = 0x99;
    scene.stack[3] = (FUNCTION(3) + 8) | UINT64_C(0x7f) << 48; /* signed */
    struct unwind_walk walk = walk_of(&scene, FUNCTION(0), STACK, STACK + 16);
    walk.registers.lr = FUNCTION(1) + 8;
    walk.registers.has_lr = true;
    assert_int_equal(unwind_run(&walk), 0);
    assert_ips(&walk, (uint64_t[]){FUNCTION(0), FUNCTION(1) + 8, FUNCTION(2) + 8, FUNCTION(3) + 8},
               4);
    assert_int_equal(walk.end, EVENT_STACK_END_COMPLETE);
    assert_int_equal(walk.registers.fp, 0x99);
    assert_int_equal(walk.registers.sp, STACK + 48);

    /* Only the innermost frame has a link register of its own. */
    scene.rows[1] = row(CFI_SP | CFI_RA_LR, 2, 0);
    walk = walk_of(&scene, FUNCTION(0), STACK, STACK + 16);
    walk.registers.lr = FUNCTION(1) + 8;
    walk.registers.has_lr = true;
    assert_int_equal(unwind_run(&walk), 0);
    assert_int_equal(walk.end, EVENT_STACK_END_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_by_stack_pointer),
        cmocka_unit_test(a_return_address_belongs_to_its_call),
        cmocka_unit_test(what_was_popped_is_back_in_its_register),
        cmocka_unit_test(a_realigned_stack),
        cmocka_unit_test(a_plt_stub_is_left_by_its_place),
        cmocka_unit_test(a_signal_frame_gives_back_the_interrupted_registers),
        cmocka_unit_test(inside_a_system_call_the_row_before_counts),
        cmocka_unit_test(code_without_a_table_is_left_by_its_frame_pointer),
        cmocka_unit_test(what_it_cannot_follow_is_said),
        cmocka_unit_test(a_stack_that_is_too_deep_ends_at_the_limit),
        cmocka_unit_test(a_table_that_is_being_made_is_waited_for),
        cmocka_unit_test(the_memory_behind_the_copy_is_read_last),
        cmocka_unit_test(the_kernels_chain_stands_in_for_memory),
        cmocka_unit_test(memory_is_read_where_the_chain_does_not_suffice),
        cmocka_unit_test(a_call_into_nowhere_has_a_caller),
        cmocka_unit_test(aarch64_keeps_the_return_address_where_the_row_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
