/* SPDX-License-Identifier: MIT */
#include "capture/linux/ready_programs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "capture/linux/cpus.h"

static uint32_t count_cpus(void)
{
    uint32_t *cpus = NULL;
    size_t n_cpus = 0;
    assert_int_equal(cpus_online(&cpus, &n_cpus), 0);
    uint32_t count = cpus[n_cpus - 1] + 1;
    free(cpus);
    return count;
}

static void give_back(struct ready_programs *programs)
{
    sched_watch_free(programs->watch);
    kernel_walk_free(programs->walk);
    fd_close(programs->outputs_fd);
}

static struct ready_programs take_or_skip(uint32_t n_cpus)
{
    struct ready_programs programs;
    ready_programs_prepare();
    if (!ready_programs_take(n_cpus, &programs)) {
        printf("this host does not take the programs\n");
        skip();
    }
    return programs;
}

static void test_a_set_is_for_one(void **state)
{
    (void)state;
    uint32_t n_cpus = count_cpus();
    struct ready_programs programs, other;
    assert_false(ready_programs_take(n_cpus, &programs));
    programs = take_or_skip(n_cpus);
    assert_true(programs.outputs_fd >= 0);
    assert_false(ready_programs_take(n_cpus, &other));
    ready_programs_prepare();
    ready_programs_prepare();
    assert_false(ready_programs_take(n_cpus + 1, &other));
    assert_true(ready_programs_take(n_cpus, &other));
    assert_true(other.watch != programs.watch && other.walk != programs.walk);
    give_back(&other);
    give_back(&programs);
}

/* Aimed at this process, attached, and aware of its sleep. */
static void test_it_is_aimed(void **state)
{
    (void)state;
    uint32_t n_cpus = count_cpus();
    struct ready_programs programs = take_or_skip(n_cpus);
    struct sched_counts counts;
    const struct kernel_walk_config walk = {.pid = getpid(), .max_stack_bytes = 4096};
    const struct sched_watch_config watch = {
        .pid = getpid(), .ring_bytes = READY_PROGRAMS_RING_BYTES, .max_stack_bytes = 4096};
    assert_int_equal(sched_watch_attach(programs.watch), 0);
    usleep(1000);
    sched_watch_detach(programs.watch);
    sched_watch_get_counts(programs.watch, &counts);
    assert_int_equal(counts.n_walked, 0); /* it is nobody's */
    kernel_walk_aim(programs.walk, &walk);
    assert_int_equal(sched_watch_aim(programs.watch, &watch), 0);
    assert_int_equal(sched_watch_attach(programs.watch), 0);
    usleep(1000);
    sched_watch_detach(programs.watch);
    sched_watch_get_counts(programs.watch, &counts);
    assert_true(counts.n_walked > 0);
    give_back(&programs);
}

static void test_release_while_it_is_made(void **state)
{
    (void)state;
    struct ready_programs programs;
    ready_programs_prepare();
    ready_programs_release();
    assert_false(ready_programs_take(count_cpus(), &programs));
    ready_programs_release();
}

static int tear_down(void **state)
{
    (void)state;
    ready_programs_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_set_is_for_one, tear_down),
        cmocka_unit_test_teardown(test_it_is_aimed, tear_down),
        cmocka_unit_test_teardown(test_release_while_it_is_made, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
