/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "images/target_root.h"

enum move { MOVE_NOT, MOVE_ROOT, MOVE_MOUNTS };

static bool make_move(enum move move)
{
    switch (move) {
    case MOVE_ROOT:
        return (geteuid() == 0 || unshare(CLONE_NEWUSER) == 0) && chroot("/proc") == 0;
    case MOVE_MOUNTS:
        return unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) == 0;
    default:
        return true;
    }
}

/* What is said of a child that has moved; -1 where it may not. */
static int ask_of_child(enum move move)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)!write(ready[1], make_move(move) ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    char answer = 'n';
    assert_int_equal(read(ready[0], &answer, 1), 1);
    close(ready[0]);
    close(ready[1]);
    int is_other = target_root_is_other(pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_false(target_root_is_other(pid)); /* it is gone */
    return answer == 'y' ? is_other : -1;
}

static void test_the_same(void **state)
{
    (void)state;
    assert_false(target_root_is_other(getpid()));
    assert_false(target_root_is_other(0));
    assert_int_equal(ask_of_child(MOVE_NOT), 0);
}

static void test_another(void **state)
{
    (void)state;
    for (enum move move = MOVE_ROOT; move <= MOVE_MOUNTS; move++) {
        int is_other = ask_of_child(move);
        if (is_other < 0) {
            print_message("no other root or mounts may be had here\n");
            continue;
        }
        assert_int_equal(is_other, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same),
        cmocka_unit_test(test_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
