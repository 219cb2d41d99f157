/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "capture/linux/target_memory.h"
#include "capture/linux/wait_look.h"

/* ---- a line of /proc/PID/task/TID/syscall ---- */

static void a_call_has_its_number_and_first_argument(void **state)
{
    (void)state;
    struct wait_place place;
    assert_true(
        wait_place_parse("0 0x3 0x7ffc5 0x1 0x0 0x0 0x0 0x7ffc1a2b3c48 0x7f00aa11bb22\n", &place));
    assert_int_equal(place.syscall, 0);
    assert_int_equal(place.argument, 3);
    assert_int_equal(place.sp, 0x7ffc1a2b3c48);
    assert_int_equal(place.ip, 0x7f00aa11bb22);
    assert_true(wait_place_parse("202 0xffffffffffffffff 0x80 0 0 0 0 0x10 0x20", &place));
    assert_int_equal(place.syscall, 202);
    assert_int_equal(place.argument, UINT64_MAX);
}

static void calls_of_32_bit_code_are_none_that_we_know(void **state)
{
    (void)state;
    struct wait_place place = {
        .syscall = 7, .argument = 3, .sp = UINT64_C(0x7ffc1a2b3c48), .ip = 0x401234};
    struct event_wait_object object = wait_place_object(&place);
    assert_int_equal(object.syscall, 7);
    assert_int_equal(object.argument, 3);
    place.sp = 0xffb01230;
    object = wait_place_object(&place);
    assert_int_equal(object.syscall, EVENT_NO_SYSCALL);
    assert_int_equal(object.argument, 0);
    place.sp = place.ip = 0; /* a kernel thread of the process */
    assert_int_equal(wait_place_object(&place).syscall, EVENT_NO_SYSCALL);
    place = (struct wait_place){.syscall = EVENT_NO_SYSCALL, .sp = UINT64_C(0x7ffc1a2b3c48)};
    assert_int_equal(wait_place_object(&place).syscall, EVENT_NO_SYSCALL);
}

static void a_fault_is_in_no_call(void **state)
{
    (void)state;
    struct wait_place place;
    assert_true(wait_place_parse("-1 0x7ffc1a2b3c48 0x401234", &place));
    assert_int_equal(place.syscall, EVENT_NO_SYSCALL);
    assert_int_equal(place.argument, 0);
    assert_int_equal(place.sp, 0x7ffc1a2b3c48);
    assert_int_equal(place.ip, 0x401234);
}

static void what_is_no_wait_is_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "\n",
        "running",
        "running\n",
        "-2 0x1 0x2",
        "-1",
        "-1 0x1",
        "0",
        "0 1 2 3 4 5 6 7",
        "0 1 2 3 4 5 6 7 g",
        "0 1 2 x 4 5 6 7 8",
        "2147483648 1 2 3 4 5 6 7 8",
        "99999999999999999999 1 2 3 4 5 6 7 8",
        "0 1 2 3 4 5 6 7 0x10000000000000000",
        "0 0x11111111111111111 2 3 4 5 6 7 8",
        "0x1 1 2 3 4 5 6 7 8",
        "-",
        "- 1 2",
        "\xff\xfe 1 2 3",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct wait_place place = {.sp = 77};
        if (wait_place_parse(lines[i], &place)) {
            fail_msg("taken for a wait: \"%s\"", lines[i]);
        }
        assert_int_equal(place.sp, 77);
    }
}

static void any_text_gives_an_answer(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdefx- \n\trunig";
    uint64_t seed = 7;
    size_t n_taken = 0;
    for (int round = 0; round < 200000; round++) {
        char text[60];
        struct wait_place place;
        size_t n_bytes = 0;
        do {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[n_bytes++] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
        } while (n_bytes < sizeof(text) - 1 && (seed >> 50) % 40 != 0);
        text[n_bytes] = '\0';
        n_taken += wait_place_parse(text, &place);
    }
    assert_true(n_taken > 0);
}

/* ---- a thread of this process that waits ---- */

#define MARK UINT64_C(0x5ca1ab1e0ddba115)

struct sleeper {
    pthread_t thread;
    int fds[2];
    int64_t tid;
};

/* On its real stack, not on a sanitizer's, and in the call itself: a sanitizer's read() has a frame
 * of kilobytes. */
__attribute__((no_sanitize("address"))) static void *wait_for_a_byte(void *userdata)
{
    struct sleeper *sleeper = userdata;
    uint64_t marks[4] = {MARK, MARK, MARK, MARK};
    char byte;
    __asm__ volatile("" : : "r"(marks) : "memory"); /* all of them are there */
    __atomic_store_n(&sleeper->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
    while (syscall(SYS_read, sleeper->fds[0], &byte, 1) == 1 && byte != 'q') {
    }
    return marks[0] == MARK ? NULL : userdata;
}

static bool is_reading(int64_t tid)
{
    char path[64];
    struct wait_place place;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%ld/syscall", (long)tid);
    _cleanup_(freep) char *text = NULL;
    return fd_read_file(path, 255, &text, NULL) == 0 && wait_place_parse(text, &place) &&
           place.syscall == SYS_read;
}

static void start(struct sleeper *sleeper)
{
    *sleeper = (struct sleeper){0};
    assert_int_equal(pipe(sleeper->fds), 0);
    assert_int_equal(pthread_create(&sleeper->thread, NULL, wait_for_a_byte, sleeper), 0);
    for (int i = 0;
         __atomic_load_n(&sleeper->tid, __ATOMIC_ACQUIRE) == 0 || !is_reading(sleeper->tid); i++) {
        if (i == 2000) {
            printf("/proc says nothing of system calls here\n");
            skip();
        }
        usleep(1000);
    }
}

static void stop(struct sleeper *sleeper)
{
    assert_int_equal(write(sleeper->fds[1], "q", 1), 1);
    assert_int_equal(pthread_join(sleeper->thread, NULL), 0);
    fd_close(sleeper->fds[0]);
    fd_close(sleeper->fds[1]);
}

static ssize_t read_memory(void *userdata, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes)
{
    size_t *n_reads = userdata;
    ++*n_reads;
    return target_memory_read(pid, -1, address, buffer, n_bytes);
}

struct fixture {
    struct wait_look *look;
    struct event_batch *batch;
    size_t n_reads;
};

static void begin(struct fixture *fixture, bool first_only)
{
    *fixture = (struct fixture){0};
    const struct wait_look_config config = {
        .first_only = first_only, .userdata = &fixture->n_reads, .read_memory = read_memory};
    assert_int_equal(wait_look_new(&config, &fixture->look), 0);
    assert_int_equal(event_batch_new(&(struct event_batch_limits){0}, &fixture->batch), 0);
}

static void end(struct fixture *fixture)
{
    wait_look_free(fixture->look);
    event_batch_free(fixture->batch);
}

static void tell(struct fixture *fixture, enum event_kind kind, int64_t tid, uint64_t time_ns)
{
    const struct event event = {.kind = kind, .pid = getpid(), .tid = tid, .time_ns = time_ns};
    wait_look_note(fixture->look, &event);
}

static void tell_change(struct fixture *fixture, enum event_thread_change change, int64_t tid)
{
    const struct event event = {
        .kind = EVENT_THREAD, .pid = getpid(), .tid = tid, .thread = {.change = change}};
    wait_look_note(fixture->look, &event);
}

/* How many waits a round at that time has found. */
static size_t look(struct fixture *fixture, uint64_t now_ns)
{
    event_batch_clear(fixture->batch);
    wait_look_round(fixture->look, now_ns, fixture->batch);
    return event_batch_count(fixture->batch);
}

static size_t count_marks(const struct event_stack_copy *copy)
{
    size_t n_marks = 0;
    for (size_t at = 0; at + 8 <= copy->n_bytes; at += 8) {
        const uint64_t mark = MARK;
        n_marks += memcmp(copy->bytes + at, &mark, 8) == 0;
    }
    return n_marks;
}

static void a_blocked_thread_is_found(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleeper;
    begin(&fixture, false);
    start(&sleeper);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 1000);
    assert_int_equal(look(&fixture, 1000 + WAIT_LOOK_AFTER_NS), 0);
    assert_int_equal(look(&fixture, 1001 + WAIT_LOOK_AFTER_NS), 1);
    const struct event *seen = event_batch_get(fixture.batch, 0);
    assert_int_equal(seen->kind, EVENT_WAIT_SEEN);
    assert_int_equal(seen->pid, getpid());
    assert_int_equal(seen->tid, sleeper.tid);
    assert_int_equal(seen->time_ns, 1001 + WAIT_LOOK_AFTER_NS);
    assert_int_equal(seen->wait_seen.object.syscall, SYS_read);
    assert_int_equal(seen->wait_seen.object.argument, sleeper.fds[0]);
    assert_non_null(seen->stack.copy);
    assert_true(seen->stack.copy->is_innermost && seen->stack.copy->is_after_syscall);
    assert_true(seen->stack.copy->n_bytes >= 512);
    assert_true(count_marks(seen->stack.copy) >= 4);
    printf("waits in %s\n", seen->wait_seen.site ? seen->wait_seen.site : "(not told)");
    assert_true(!seen->wait_seen.site || strstr(seen->wait_seen.site, "pipe"));
    /* A wait is looked at once. */
    assert_int_equal(look(&fixture, 100 * NS_PER_S), 0);
    stop(&sleeper);
    end(&fixture);
}

static void who_runs_is_not_looked_at(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleeper;
    begin(&fixture, false);
    start(&sleeper);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 1000);
    tell(&fixture, EVENT_SWITCH_IN, sleeper.tid, 2000);
    assert_int_equal(look(&fixture, NS_PER_S), 0);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 3000);
    tell(&fixture, EVENT_SAMPLE, sleeper.tid, 4000);
    assert_int_equal(look(&fixture, NS_PER_S), 0);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 5000);
    tell_change(&fixture, EVENT_THREAD_GONE, sleeper.tid);
    assert_int_equal(look(&fixture, NS_PER_S), 0);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 6000); /* the last of all */
    assert_int_equal(look(&fixture, NS_PER_S), 0);
    tell_change(&fixture, EVENT_THREAD_BORN, sleeper.tid); /* another one */
    const struct event preempted = {.kind = EVENT_SWITCH_OUT,
                                    .pid = getpid(),
                                    .tid = sleeper.tid,
                                    .time_ns = 7000,
                                    .is_preempted = true};
    wait_look_note(fixture.look, &preempted);
    assert_int_equal(look(&fixture, NS_PER_S), 0);
    assert_int_equal(fixture.n_reads, 0);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 8000);
    assert_int_equal(look(&fixture, NS_PER_S), 1);
    stop(&sleeper);
    end(&fixture);
}

/* Always at one place: at most every 100 ms. */
static void a_thread_that_waits_where_it_did_may_rest(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleeper;
    size_t n_seen = 0;
    begin(&fixture, false);
    start(&sleeper);
    for (uint64_t ms = 10; ms < 1010; ms += 10) {
        tell(&fixture, EVENT_SWITCH_IN, sleeper.tid, ms * NS_PER_MS - 2);
        tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, ms * NS_PER_MS - 1);
        n_seen += look(&fixture, (ms + 5) * NS_PER_MS);
    }
    printf("looked at %zu times in a second\n", n_seen);
    assert_in_range(n_seen, 8, 14);
    stop(&sleeper);
    end(&fixture);
}

static void only_waits_from_before_where_switches_have_stacks(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleeper;
    begin(&fixture, true);
    start(&sleeper);
    wait_look_note_present(fixture.look, getpid(), sleeper.tid, 1000);
    assert_int_equal(look(&fixture, NS_PER_S), 1);
    tell(&fixture, EVENT_SWITCH_IN, sleeper.tid, 2 * NS_PER_S);
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 3 * NS_PER_S);
    assert_int_equal(look(&fixture, 4 * NS_PER_S), 0);
    stop(&sleeper);
    end(&fixture);
}

static void a_round_looks_at_so_many(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleepers[WAIT_LOOK_PER_ROUND + 4];
    const size_t n_sleepers = sizeof(sleepers) / sizeof(*sleepers);
    begin(&fixture, false);
    for (size_t i = 0; i < n_sleepers; i++) {
        start(&sleepers[i]);
        tell(&fixture, EVENT_SWITCH_OUT, sleepers[i].tid, 1000);
    }
    assert_int_equal(look(&fixture, NS_PER_S), WAIT_LOOK_PER_ROUND);
    assert_int_equal(look(&fixture, NS_PER_S), 4);
    assert_int_equal(look(&fixture, NS_PER_S), 0);
    for (size_t i = 0; i < n_sleepers; i++) {
        stop(&sleepers[i]);
    }
    end(&fixture);
}

/* Threads come and go; those that are there are still looked at. */
static void the_dead_take_no_room(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleeper;
    begin(&fixture, false);
    start(&sleeper);
    for (int64_t i = 0; i < 3 * (int64_t)WAIT_LOOK_THREADS; i++) {
        int64_t tid = INT64_C(0x10000000) + i;
        tell(&fixture, EVENT_SWITCH_OUT, tid, 1000);
        tell_change(&fixture, EVENT_THREAD_GONE, tid);
        tell(&fixture, EVENT_SWITCH_OUT, tid, 2000);
    }
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 1000);
    assert_int_equal(look(&fixture, NS_PER_S), 1);
    stop(&sleeper);
    end(&fixture);
}

static void more_than_there_is_room_for_are_passed_over(void **state)
{
    (void)state;
    struct fixture fixture;
    struct sleeper sleeper;
    begin(&fixture, false);
    start(&sleeper);
    for (int64_t i = 0; i < (int64_t)WAIT_LOOK_THREADS + 100; i++) {
        tell(&fixture, EVENT_SWITCH_OUT, INT64_C(0x10000000) + i, 1000);
    }
    tell(&fixture, EVENT_SWITCH_OUT, sleeper.tid, 1000);
    for (size_t i = 0; i < WAIT_LOOK_THREADS / WAIT_LOOK_PER_ROUND + 1; i++) {
        assert_int_equal(look(&fixture, NS_PER_S), 0);
    }
    stop(&sleeper);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_has_its_number_and_first_argument),
        cmocka_unit_test(calls_of_32_bit_code_are_none_that_we_know),
        cmocka_unit_test(a_fault_is_in_no_call),
        cmocka_unit_test(what_is_no_wait_is_refused),
        cmocka_unit_test(any_text_gives_an_answer),
        cmocka_unit_test(a_blocked_thread_is_found),
        cmocka_unit_test(who_runs_is_not_looked_at),
        cmocka_unit_test(a_thread_that_waits_where_it_did_may_rest),
        cmocka_unit_test(only_waits_from_before_where_switches_have_stacks),
        cmocka_unit_test(a_round_looks_at_so_many),
        cmocka_unit_test(the_dead_take_no_room),
        cmocka_unit_test(more_than_there_is_room_for_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
