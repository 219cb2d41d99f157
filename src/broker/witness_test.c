/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/witness.h"

/* A child that waits for a byte and then executes another program, or ends. */
static pid_t start(int *ret_tell_fd, bool executes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)close(ends[1]);
        if (read(ends[0], &byte, 1) == 1 && executes) {
            (void)execl("/bin/sleep", "sleep", "60", NULL);
        }
        _exit(0);
    }
    (void)close(ends[0]);
    *ret_tell_fd = ends[1];
    return child;
}

static void watch(bool executes)
{
    int tell_fd;
    struct witness witness;
    pid_t child = start(&tell_fd, executes);
    bool is_allowed = witness_open(child, &witness) == 0;
    bool was_quiet = is_allowed && witness_saw_nothing(&witness);
    bool saw_it = false;
    assert_int_equal(write(tell_fd, "x", 1), 1);
    for (int i = 0; is_allowed && i < 1000 && !saw_it; i++) {
        const struct timespec delay = {.tv_nsec = 10 * 1000 * 1000};
        (void)nanosleep(&delay, NULL);
        saw_it = !witness_saw_nothing(&witness);
    }
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(tell_fd);
    if (!is_allowed) {
        skip();
    }
    witness_release(&witness);
    assert_true(was_quiet);
    assert_true(saw_it);
}

static void an_exec_is_seen(void **state)
{
    (void)state;
    watch(true);
}

static void an_end_is_seen(void **state)
{
    (void)state;
    watch(false);
}

static void nobody_is_there(void **state)
{
    (void)state;
    struct witness witness;
    assert_true(witness_open(1 << 22, &witness) < 0);
    assert_int_equal(witness.fd < 0, 1);
    witness_release(&witness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exec_is_seen),
        cmocka_unit_test(an_end_is_seen),
        cmocka_unit_test(nobody_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
