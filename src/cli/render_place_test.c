/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/render.h"

static void assert_place(const char *site, const struct frame_result *stack, size_t n_stack,
                         const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 10000);
    render_place(site, stack, n_stack, &text);
    assert_string_equal(text.data, expected);
}

static void who_called_is_said_and_the_library_left_out(void **state)
{
    (void)state;
    const struct frame_result stack[] = {
        {.name = "futex_wait", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
        {.name = "do_syscall_64", .image = "[kernel]", .kind = FRAME_KIND_KERNEL},
        {.name = "__futex_abstimed_wait_common", .image = "libc.so.6"},
        {.name = "pthread_cond_wait", .image = "libc.so.6"},
        {.name = "__own_function", .image = "tool"},
        {.name = "std::queue<job, list>::pop(job&)", .image = "tool"},
        {.name = "worker", .image = "tool"},
        {.name = "worker", .image = "tool"},
        {.name = "start_thread", .image = "libc.so.6"},
    };
    assert_place(
        "futex_wait", stack, 9,
        "futex_wait ← pthread_cond_wait ← __own_function ← std::queue<…>::pop(…) ← worker");
    assert_place(NULL, stack, 9,
                 "futex_wait ← pthread_cond_wait ← __own_function ← std::queue<…>::pop(…)");
    assert_place(NULL, stack + 6, 3, "worker ← start_thread");
    assert_place("futex_wait", NULL, 0, "futex_wait");
    assert_place(NULL, NULL, 0, "(not known)");
}

static void foreign_names_cannot_drive_the_terminal(void **state)
{
    (void)state;
    const struct frame_result stack[] = {{.name = "a\033[2Jb", .image = "x"}};
    assert_place("s\nite", stack, 1, "s\\x0aite ← a\\x1b[2Jb");
}

static void threads_have_name_and_number(void **state)
{
    (void)state;
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1000);
    render_thread_name("worker", 4712, &text);
    text_append(&text, ", ");
    render_thread_name("", 17, &text);
    text_append(&text, ", ");
    render_thread_name("(timer or interrupt)", 0, &text);
    assert_string_equal(text.data, "worker (4712), (17), (timer or interrupt)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_called_is_said_and_the_library_left_out),
        cmocka_unit_test(foreign_names_cannot_drive_the_terminal),
        cmocka_unit_test(threads_have_name_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
