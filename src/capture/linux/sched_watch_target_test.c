/* SPDX-License-Identifier: MIT */
/*
 * Whom a watch is about: threads whose numbers come again or end alike,
 * processes beside the target, one that is not the wanted one any more; and
 * what happens to records that nobody reads.
 */
#include "capture/linux/watch_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"

#define TASK_DEAD 0x80 /* include/linux/sched.h */
#define N_NAPS 50
#define NAP_NS 50000

static void nap(long duration_ns)
{
    const struct timespec duration = {.tv_nsec = duration_ns};
    nanosleep(&duration, NULL);
}

static void *take_naps(void *userdata)
{
    *(uint32_t *)userdata = own_tid();
    for (int i = 0; i < N_NAPS; i++) {
        nap(NAP_NS);
    }
    return NULL;
}

static uint32_t nap_in_a_thread(void)
{
    pthread_t thread;
    uint32_t tid = 0;
    assert_int_equal(pthread_create(&thread, NULL, take_naps, &tid), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return tid;
}

static size_t count_waits(const struct watch_fixture *watch, uint32_t tid)
{
    size_t n_waits = 0;
    for (size_t i = 0; i < watch->n_told; i++) {
        const struct sched_payload *sched = &watch->told[i].sched;
        n_waits +=
            (sched->flags & SCHED_FLAG_PREV) && sched->prev_tid == tid && sched->prev_state != 0;
    }
    return n_waits;
}

/* ---- others ---- */

static void others_are_told_as_wakers_only(void **state)
{
    (void)state;
    struct watch_fixture *watch = watch_begin(&(struct sched_watch_config){0});
    size_t n_by_child = 0, n_foreign = 0;
    int fds[2];
    char byte;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < N_NAPS; i++) {
            nap(1000000);
            (void)!write(fds[1], "", 1);
        }
        _exit(0);
    }
    watch_attach(watch);
    for (int i = 0; i < N_NAPS; i++) {
        assert_int_equal(read(fds[0], &byte, 1), 1);
    }
    watch_detach(watch);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (size_t i = 0; i < watch->n_told; i++) {
        const struct sched_payload *sched = &watch->told[i].sched;
        n_foreign += sched->prev_tid == (uint32_t)child || sched->next_tid == (uint32_t)child;
        if (sched->waker_tid == (uint32_t)child) {
            assert_true(sched->flags & SCHED_FLAG_OUTSIDER);
            assert_true(sched->flags & SCHED_FLAG_WAKER_KNOWN);
            assert_int_equal(sched->waker_serial, 0);
            assert_int_equal(sched->next_tid, own_tid());
            n_by_child++;
        }
    }
    printf("%d bytes of another process, woken by it %zu times\n", N_NAPS, n_by_child);
    assert_int_equal(n_foreign, 0);
    assert_in_range(n_by_child, N_NAPS - N_NAPS / 10, N_NAPS);
    close(fds[0]);
    close(fds[1]);
    watch_end(watch);
}

static void children_are_told_where_wanted(void **state)
{
    (void)state;
    for (int follows = 0; follows < 2; follows++) {
        struct watch_fixture *watch =
            watch_begin(&(struct sched_watch_config){.follow_children = follows});
        size_t n_waits;
        watch_attach(watch);
        pid_t child = fork();
        if (child == 0) {
            uint32_t tid;
            take_naps(&tid);
            _exit(0);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        watch_detach(watch);
        n_waits = count_waits(watch, (uint32_t)child);
        assert_true(follows ? n_waits >= N_NAPS * 9 / 10 : n_waits == 0);
        for (size_t i = 0; i < watch->n_told; i++) {
            const struct sched_payload *sched = &watch->told[i].sched;
            assert_true(sched->prev_tid != (uint32_t)child || sched->prev_pid == (uint32_t)child);
            assert_true(sched->next_tid != (uint32_t)child || sched->next_pid == (uint32_t)child);
        }
        watch_end(watch);
    }
}

/* ---- is it still the one? ---- */

/* Field 22 of /proc/self/stat. */
static uint64_t own_start_ticks(void)
{
    char *text = NULL;
    assert_int_equal(fd_read_file("/proc/self/stat", 4096, &text, NULL), 0);
    char *rest = strrchr(text, ')');
    assert_non_null(rest);
    rest += 2;
    for (int field = 3; field < 22; field++) {
        rest = strchr(rest, ' ') + 1;
    }
    uint64_t ticks = strtoull(rest, NULL, 10);
    free(text);
    return ticks;
}

static size_t told_with_start(uint64_t start_ticks, bool is_dumpable)
{
    struct watch_fixture *watch =
        watch_begin(&(struct sched_watch_config){.start_ticks = start_ticks});
    if (!is_dumpable) {
        assert_int_equal(prctl(PR_SET_DUMPABLE, 0), 0);
    }
    watch_attach(watch);
    uint32_t tid = nap_in_a_thread();
    watch_detach(watch);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    size_t n_waits = count_waits(watch, tid), n_told = watch->n_told;
    watch_end(watch);
    assert_true(n_waits > 0 || n_told == 0);
    return n_waits;
}

static void only_the_process_that_was_meant(void **state)
{
    (void)state;
    uint64_t ticks = own_start_ticks();
    assert_true(told_with_start(ticks, true) >= N_NAPS * 9 / 10);
    assert_int_equal(told_with_start(ticks + 1, true), 0);
    assert_int_equal(told_with_start(ticks - 1, true), 0);
    assert_int_equal(told_with_start(1, true), 0);
}

static void nothing_that_its_owner_may_not_look_into(void **state)
{
    (void)state;
    assert_int_equal(told_with_start(own_start_ticks(), false), 0);
    assert_true(told_with_start(0, false) >= N_NAPS * 9 / 10);
}

/* ---- numbers ---- */

/* The number that the next thread gets, where we may choose it and nobody takes it first. */
static bool set_next_tid(uint32_t tid)
{
    char text[16];
    _cleanup_(fd_closep) int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    int n_bytes = snprintf(text, sizeof(text), "%u", tid - 1);
    return fd >= 0 && write(fd, text, (size_t)n_bytes) == n_bytes;
}

/* A thread that has the number of a dead one has its stacks told anew. */
static void a_number_that_comes_again_is_another_thread(void **state)
{
    (void)state;
    struct watch_fixture *watch = watch_begin(&(struct sched_watch_config){0});
    uint32_t tid = 0, tids[20];
    uint64_t born_ns[20];
    size_t n_lives = 0;
    watch_attach(watch);
    tid = nap_in_a_thread();
    for (int i = 0; i < 200 && n_lives < 20; i++) {
        if (!set_next_tid(tid)) {
            break;
        }
        born_ns[n_lives] = clock_now_ns();
        tids[n_lives] = nap_in_a_thread();
        n_lives += tids[n_lives] == tid;
    }
    watch_detach(watch);
    printf("one number for %zu threads\n", n_lives + 1);
    if (n_lives < 2) {
        watch_end(watch);
        skip();
    }
    for (size_t life = 0; life < n_lives; life++) {
        uint64_t end_ns = life + 1 < n_lives ? born_ns[life + 1] : UINT64_MAX;
        size_t n_waits = 0, n_early = 0;
        for (size_t i = 0; i < watch->n_told; i++) {
            const struct sched_payload *sched = &watch->told[i].sched;
            if (sched->time_ns < born_ns[life] || sched->time_ns >= end_ns) {
                continue;
            }
            /* The last switch of the one before can come behind its join. */
            bool is_wait = sched->prev_tid == tid && sched->prev_state != 0 &&
                           !(sched->prev_state & TASK_DEAD);
            if (is_wait && n_waits++ == 0) {
                assert_true(sched->flags & SCHED_FLAG_PREV_STACK);
            }
            n_early += (sched->flags & SCHED_FLAG_NEXT) && sched->next_tid == tid &&
                       sched->next_wake_ns != 0 && sched->next_wake_ns < born_ns[life];
        }
        assert_true(n_waits >= N_NAPS * 9 / 10);
        assert_int_equal(n_early, 0);
    }
    watch_end(watch);
}

struct napper {
    pthread_t thread;
    uint32_t tid;
    int go, n_naps;
    uint64_t start_ns, end_ns;
};

static void *nap_when_told(void *userdata)
{
    struct napper *napper = userdata;
    __atomic_store_n(&napper->tid, own_tid(), __ATOMIC_RELEASE);
    while (!__atomic_load_n(&napper->go, __ATOMIC_ACQUIRE)) {
        usleep(100);
    }
    napper->start_ns = clock_now_ns();
    for (int i = 0; i < napper->n_naps; i++) {
        nap(NAP_NS);
    }
    napper->end_ns = clock_now_ns();
    return NULL;
}

/* A thread whose number is `tid`; false where others were faster, or we may not choose. */
static bool start_with_tid(struct napper *napper, uint32_t tid)
{
    for (int i = 0; i < 50; i++) {
        *napper = (struct napper){.n_naps = 500};
        if (tid != 0 && !set_next_tid(tid)) {
            return false;
        }
        assert_int_equal(pthread_create(&napper->thread, NULL, nap_when_told, napper), 0);
        while (__atomic_load_n(&napper->tid, __ATOMIC_ACQUIRE) == 0) {
            sched_yield();
        }
        if (tid == 0 || napper->tid == tid) {
            return true;
        }
        napper->n_naps = 0;
        __atomic_store_n(&napper->go, 1, __ATOMIC_RELEASE);
        pthread_join(napper->thread, NULL);
    }
    return false;
}

/* All waits of both are told, whatever place they share; stacks may be told more often. */
static void test_alike(uint32_t distance)
{
    struct watch_fixture *watch = watch_begin(&(struct sched_watch_config){0});
    struct napper nappers[2];
    bool are_there =
        start_with_tid(&nappers[0], 0) &&
        (start_with_tid(&nappers[1], nappers[0].tid + distance) ||
         (nappers[0].tid > 2 * distance && start_with_tid(&nappers[1], nappers[0].tid - distance)));
    watch_attach(watch);
    for (size_t i = 0; i < (are_there ? 2 : 1); i++) {
        __atomic_store_n(&nappers[i].go, 1, __ATOMIC_RELEASE);
    }
    for (size_t i = 0; i < (are_there ? 2 : 1); i++) {
        pthread_join(nappers[i].thread, NULL);
    }
    watch_detach(watch);
    if (!are_there) {
        printf("numbers cannot be chosen here\n");
        watch_end(watch);
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        size_t n_waits = 0, n_stacks = 0, n_absurd = 0, n_woken = 0;
        uint64_t out_ns = 0;
        for (size_t k = 0; k < watch->n_told; k++) {
            const struct sched_payload *sched = &watch->told[k].sched;
            if (sched->time_ns < nappers[i].start_ns || sched->time_ns > nappers[i].end_ns) {
                continue;
            }
            if (sched->prev_tid == nappers[i].tid && sched->prev_state != 0) {
                n_waits++;
                n_stacks += (sched->flags & SCHED_FLAG_PREV_STACK) != 0;
                out_ns = sched->time_ns;
            }
            if (sched->next_tid == nappers[i].tid && (sched->flags & SCHED_FLAG_NEXT) && out_ns) {
                n_woken += sched->next_wake_ns != 0;
                n_absurd += sched->next_wake_ns > sched->time_ns;
                out_ns = 0;
            }
        }
        printf("%u apart: %zu waits, told with a stack %zu, with their end %zu\n", distance,
               n_waits, n_stacks, n_woken);
        assert_true(n_waits >= 450);
        assert_true(n_woken <= n_waits);
        assert_int_equal(n_absurd, 0);
        /* Of threads with places of their own every wait has its end. */
        assert_true(distance % SCHED_STATES == 0 || n_woken + 3 >= n_waits);
    }
    watch_end(watch);
}

static void threads_whose_memos_are_one_place(void **state)
{
    (void)state;
    test_alike(SCHED_MEMOS);
}

static void threads_whose_states_are_one_place(void **state)
{
    (void)state;
    test_alike(SCHED_STATES);
}

/* ---- nobody reads ---- */

/* What a small ring has no room for and what it has are together what a large one has. */
static void what_finds_no_room_is_counted(void **state)
{
    (void)state;
    struct watch_fixture *large = watch_begin(&(struct sched_watch_config){0});
    struct watch_fixture *small =
        watch_begin(&(struct sched_watch_config){.ring_bytes = (uint32_t)sysconf(_SC_PAGESIZE)});
    watch_attach(large);
    watch_attach(small);
    for (int i = 0; i < 20; i++) {
        (void)nap_in_a_thread();
    }
    watch_detach(small);
    watch_detach(large);
    size_t n_small = small->n_told + (size_t)watch_lost(small);
    printf("%zu records; of the small ring %zu told, %lu lost\n", large->n_told, small->n_told,
           (unsigned long)watch_lost(small));
    assert_int_equal(watch_lost(large), 0);
    assert_true(large->n_told > 1500);
    assert_true(watch_lost(small) > 1000);
    /* One is attached a little earlier and detached a little later; and stacks that were lost are
     * told again, some in a record of their own. */
    assert_in_range(n_small, large->n_told - 10, large->n_told + large->n_told / 10);
    watch_end(small);
    watch_end(large);
}

/* Of a stack that found no room nobody knows what its serial means: the next wait tells it again.
 */
static void a_stack_that_was_lost_is_told_again(void **state)
{
    (void)state;
    struct watch_fixture *watch =
        watch_begin(&(struct sched_watch_config){.ring_bytes = (uint32_t)sysconf(_SC_PAGESIZE)});
    uint32_t known = 0, n_told = 0, n_waits = 0;
    watch_attach(watch);
    while (watch_lost(watch) == 0) {
        (void)nap_in_a_thread();
    }
    for (int i = 0; i < N_NAPS; i++) {
        nap(NAP_NS); /* the first ones find no room */
        if (i % 5 != 4) {
            continue;
        }
        watch_read(watch);
        for (size_t at = 0; at < watch->n_told; at++) {
            const struct sched_payload *sched = &watch->told[at].sched;
            if (sched->prev_tid != own_tid() || sched->prev_state == 0) {
                continue;
            }
            if (sched->flags & SCHED_FLAG_PREV_STACK) {
                known = sched->prev_serial;
                n_told++;
            }
            assert_true(i < 5 || sched->prev_serial == known);
            n_waits++;
        }
    }
    watch_detach(watch);
    printf("%u waits, %u stacks\n", n_waits, n_told);
    assert_true(n_waits >= N_NAPS / 2);
    watch_end(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_told_as_wakers_only),
        cmocka_unit_test(children_are_told_where_wanted),
        cmocka_unit_test(only_the_process_that_was_meant),
        cmocka_unit_test(nothing_that_its_owner_may_not_look_into),
        cmocka_unit_test(a_number_that_comes_again_is_another_thread),
        cmocka_unit_test(threads_whose_memos_are_one_place),
        cmocka_unit_test(threads_whose_states_are_one_place),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(a_stack_that_was_lost_is_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
