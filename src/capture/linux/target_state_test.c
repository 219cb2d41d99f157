/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/linux/target_state.h"

#define TIME_NS UINT64_C(123456789)
#define N_SLEEPERS 3

struct sleeper {
    pthread_t thread;
    int64_t tid;
    char name[16];
};

struct party {
    struct sleeper sleepers[N_SLEEPERS];
    pthread_barrier_t is_ready, may_end;
};

struct attendance {
    struct party *party;
    struct sleeper *self;
};

static void *sleep_until_told(void *userdata)
{
    struct attendance *attendance = userdata;
    attendance->self->tid = syscall(SYS_gettid);
    pthread_setname_np(pthread_self(), attendance->self->name);
    pthread_barrier_wait(&attendance->party->is_ready);
    pthread_barrier_wait(&attendance->party->may_end);
    return NULL;
}

int main(void);

/* What target_state_emit() told. */
struct told {
    uint64_t n_threads, n_images, n_calls;
    char names[64][16];
    int64_t tids[64];
    bool has_main, has_data, has_anonymous;
    uint64_t anonymous_ip;
    int answer;
};

static int on_events(void *userdata, const struct event *events, size_t n_events)
{
    struct told *told = userdata;
    told->n_calls++;
    for (size_t i = 0; i < n_events; i++) {
        const struct event *event = &events[i];
        assert_int_equal(event->time_ns, TIME_NS);
        assert_int_equal(event->pid, getpid());
        if (event->kind == EVENT_THREAD) {
            assert_int_equal(event->thread.change, EVENT_THREAD_PRESENT);
            assert_int_equal(told->n_images, 0);
            assert_true(told->n_threads < 64);
            strncpy(told->names[told->n_threads], event->thread.name, 15);
            told->tids[told->n_threads++] = event->tid;
            continue;
        }
        assert_int_equal(event->kind, EVENT_IMAGE);
        const struct event_image *image = event->image;
        assert_int_equal(image->change, EVENT_IMAGE_MAPPED);
        assert_true(image->start_ip < image->end_ip);
        assert_non_null(image->path);
        told->n_images++;
        uint64_t main_ip = (uintptr_t)&main, data_ip = (uintptr_t)told;
        if (main_ip >= image->start_ip && main_ip < image->end_ip) {
            told->has_main = true;
            assert_int_equal(image->path[0], '/');
            assert_int_not_equal(image->inode, 0);
        }
        told->has_data |= data_ip >= image->start_ip && data_ip < image->end_ip;
        told->has_anonymous |=
            told->anonymous_ip >= image->start_ip && told->anonymous_ip < image->end_ip;
    }
    return told->answer;
}

static void all_threads_and_all_code_are_told(void **state)
{
    (void)state;
    struct party party;
    struct attendance attendances[N_SLEEPERS];
    pthread_barrier_init(&party.is_ready, NULL, N_SLEEPERS + 1);
    pthread_barrier_init(&party.may_end, NULL, N_SLEEPERS + 1);
    for (int i = 0; i < N_SLEEPERS; i++) {
        party.sleepers[i] = (struct sleeper){.name = {'s', 'l', 'e', 'e', 'p', (char)('0' + i)}};
        attendances[i] = (struct attendance){&party, &party.sleepers[i]};
        assert_int_equal(
            pthread_create(&party.sleepers[i].thread, NULL, sleep_until_told, &attendances[i]), 0);
    }
    pthread_barrier_wait(&party.is_ready);
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(code, MAP_FAILED);

    struct told told = {.anonymous_ip = (uintptr_t)code};
    const struct event_sink sink = {.userdata = &told, .on_events = on_events};
    assert_int_equal(target_state_emit(getpid(), TIME_NS, &sink), 0);
    munmap(code, 4096);
    pthread_barrier_wait(&party.may_end);

    assert_true(told.n_threads > N_SLEEPERS); /* a sanitizer may have one of its own */
    for (int i = 0; i < N_SLEEPERS; i++) {
        unsigned int n_found = 0;
        for (uint64_t k = 0; k < told.n_threads; k++) {
            if (told.tids[k] == party.sleepers[i].tid) {
                assert_string_equal(told.names[k], party.sleepers[i].name);
                n_found++;
            }
        }
        assert_int_equal(n_found, 1);
        pthread_join(party.sleepers[i].thread, NULL);
    }
    assert_true(told.has_main);
    assert_true(told.has_anonymous);
    assert_false(told.has_data);
    assert_true(told.n_images >= 3); /* the program, the C library, the dynamic loader */
    pthread_barrier_destroy(&party.is_ready);
    pthread_barrier_destroy(&party.may_end);
}

static void a_refusal_ends_it(void **state)
{
    (void)state;
    struct told told = {.answer = -ECANCELED};
    const struct event_sink sink = {.userdata = &told, .on_events = on_events};
    assert_int_equal(target_state_emit(getpid(), TIME_NS, &sink), -ECANCELED);
    assert_int_equal(told.n_calls, 1);
}

/* A pid that was just in use and cannot have been given away again yet. */
static pid_t pid_of_nobody(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static int on_tid(void *userdata, int64_t tid)
{
    int64_t *n_left = userdata;
    assert_true(tid > 0);
    return --*n_left == 0 ? 42 : 0;
}

static void a_process_that_is_gone(void **state)
{
    (void)state;
    int64_t n_left = 10;
    pid_t pid = pid_of_nobody();
    assert_int_equal(target_state_each_thread(pid, on_tid, &n_left), -ESRCH);
    struct told told = {0};
    const struct event_sink sink = {.userdata = &told, .on_events = on_events};
    assert_int_equal(target_state_emit(pid, TIME_NS, &sink), 0);
    assert_int_equal(told.n_calls, 0);
}

static void threads_can_be_listed(void **state)
{
    (void)state;
    int64_t n_left = 1;
    assert_int_equal(target_state_each_thread(getpid(), on_tid, &n_left), 42);
    assert_int_equal(n_left, 0);
    n_left = 1000;
    assert_int_equal(target_state_each_thread(getpid(), on_tid, &n_left), 0);
    assert_true(n_left < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_and_all_code_are_told),
        cmocka_unit_test(a_refusal_ends_it),
        cmocka_unit_test(a_process_that_is_gone),
        cmocka_unit_test(threads_can_be_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
