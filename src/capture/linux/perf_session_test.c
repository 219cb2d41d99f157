/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture.h"
#include "capture/linux/host.h"
#include "unwind/code_map.h"

/*
 * Real recordings of a child that only computes. The clock decides how much it
 * gets done, so the number of samples is compared with the CPU time that the
 * kernel has accounted to it.
 */
#define RECORD_NS (2 * NS_PER_S)
#define CHANGE_EVERY_NS (700 * NS_PER_MS) /* longer than a wish must last to be followed */
#define PERIOD_NS (NS_PER_S / 900)
#define SMALL_BYTES 5120u /* what a wish for little leads to at first */

struct target {
    pid_t pid;
    int pidfd;
};

struct received {
    uint64_t n_samples, n_with_copy, n_close, n_bad_copies;
    uint64_t n_sizes[2]; /* copies of up to SMALL_BYTES, larger ones */
    uint64_t last_ns[1024];
    int64_t last_tid[1024];
};

/* AddressSanitizer would put the room elsewhere than on the stack. */
__attribute__((no_sanitize_address)) static void *compute(void *userdata)
{
    volatile uint64_t *sum = userdata;
    char pad[16384];
    memset(pad, 1, sizeof(pad));
    for (;;) {
        *sum += (uint64_t)pad[*sum % sizeof(pad)];
    }
    return NULL;
}

/* A thread that is followed by another; not so many that their periods are drawn
 * (birth_period.h). */
static void *live_shortly(void *userdata)
{
    volatile uint64_t sum = 0;
    uint64_t end_ns = clock_now_ns() + 100 * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
        sum++;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, live_shortly, userdata) == 0) {
        pthread_detach(thread);
    }
    return NULL;
}

static struct target launch(bool with_births)
{
    struct target target = {.pid = fork()};
    assert_true(target.pid >= 0);
    if (target.pid == 0) {
        static uint64_t sums[2];
        pthread_t thread;
        alarm(60);
        (void)pthread_create(&thread, NULL, with_births ? live_shortly : compute, &sums[0]);
        (void)compute(&sums[1]);
    }
    target.pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);
    assert_true(target.pidfd >= 0);
    return target;
}

static void end(struct target *target)
{
    kill(target->pid, SIGKILL);
    waitpid(target->pid, NULL, 0);
    close(target->pidfd);
}

static uint64_t cpu_time_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec total;
    assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
    assert_int_equal(clock_gettime(clock, &total), 0);
    return (uint64_t)total.tv_sec * NS_PER_S + (uint64_t)total.tv_nsec;
}

static void take_sample(struct received *received, const struct event *event)
{
    size_t slot = (size_t)event->tid % 1024;
    received->n_samples++;
    if (received->last_tid[slot] == event->tid &&
        event->time_ns - received->last_ns[slot] < PERIOD_NS / 4) {
        received->n_close++;
    }
    received->last_tid[slot] = event->tid;
    received->last_ns[slot] = event->time_ns;
    const struct event_stack_copy *copy = event->stack.copy;
    if (!copy) {
        return;
    }
    received->n_with_copy++;
    received->n_sizes[copy->n_bytes > SMALL_BYTES]++;
    uint64_t first_ip = event->stack.n_ips > event->stack.n_kernel_ips
                            ? event->stack.ips[event->stack.n_kernel_ips]
                            : copy->ip;
    if (copy->ip != first_ip || copy->sp == 0 || copy->n_bytes > LIMIT_STACK_COPY_BYTES) {
        received->n_bad_copies++;
    }
}

static int on_events(void *userdata, const struct event *events, size_t n_events)
{
    for (size_t i = 0; i < n_events; i++) {
        if (events[i].kind == EVENT_SAMPLE) {
            take_sample(userdata, &events[i]);
        }
    }
    return 0;
}

/* Records while the wish goes up and down; returns the share of its CPU time that was sampled. */
static double record(const struct capture_config *base, bool with_births, bool with_wishes,
                     struct received *received, struct capture_stats *ret_stats)
{
    const struct capture_ops *ops = &capture_linux_ops;
    struct target target = launch(with_births);
    struct capture_config config = *base;
    struct capture *capture;
    struct error error = {0};
    const struct timespec settle = {.tv_nsec = 50 * 1000 * 1000};
    (void)nanosleep(&settle, NULL);
    config.pid = target.pid;
    config.pidfd = target.pidfd;
    config.frequency_hz = 900;
    *received = (struct received){0};
    const struct event_sink sink = {.userdata = received, .on_events = on_events};
    assert_int_equal(ops->open(&config, sink, &capture, &error), 0);
    assert_int_equal(ops->start(capture), 0);
    uint64_t before_ns = cpu_time_ns(target.pid), began_ns = clock_now_ns(), now_ns;
    while ((now_ns = clock_now_ns()) < began_ns + RECORD_NS) {
        enum capture_state state;
        if (with_wishes) {
            bool is_large = (now_ns - began_ns) / CHANGE_EVERY_NS % 2 != 0;
            ops->want_stack_bytes(capture, is_large ? 9000 : 500);
        }
        assert_int_equal(ops->drain(capture, 20, &state), 0);
        assert_int_equal(state, CAPTURE_RUNNING);
    }
    assert_int_equal(ops->stop(capture), 0);
    uint64_t used_ns = cpu_time_ns(target.pid) - before_ns;
    ops->stats(capture, ret_stats);
    ops->free(capture);
    end(&target);
    assert_int_equal(ret_stats->records_undecodable, 0);
    assert_int_equal(received->n_bad_copies, 0);
    return (double)(received->n_samples * PERIOD_NS) / (double)used_ns;
}

static void assert_whole(double share, const struct received *received)
{
    print_message("          %.1f %% of the CPU time is sampled, %u samples come too close\n",
                  share * 100, (unsigned)received->n_close);
    assert_true(share > 0.8 && share < 1.1);
    assert_true(received->n_close * 20 <= received->n_samples + 20);
}

/* Events bound to threads: what an ordinary user has. Following children asks for them. */
static const struct capture_config bound = {.follow_children = true};

static void nothing_is_copied_unless_it_is_wanted(void **state)
{
    (void)state;
    struct capture_config config = bound;
    config.no_unwind = true;
    struct received received;
    struct capture_stats stats;
    assert_whole(record(&config, false, true, &received, &stats), &received);
    assert_int_equal(received.n_with_copy, 0);
    assert_int_equal(stats.stack_bytes_now, 0);
    assert_int_equal(stats.stack_bytes_copied, 0);
    assert_true(stats.sample_bytes_read / stats.samples_read < 400);
}

static void a_fixed_size_stays(void **state)
{
    (void)state;
    struct capture_config config = bound;
    config.stack_bytes = 2041; /* not a multiple of 8 */
    struct received received;
    struct capture_stats stats;
    assert_whole(record(&config, false, true, &received, &stats), &received);
    assert_int_equal(stats.stack_bytes_now, 2048);
    assert_int_equal(stats.samples_with_copy, received.n_with_copy);
    assert_true(received.n_with_copy * 10 > received.n_samples * 9);
    assert_true(stats.stack_bytes_copied <= received.n_with_copy * 2048);
    assert_true(stats.stack_bytes_copied > received.n_with_copy * 1024);
    assert_int_equal(stats.records_lost, 0);
}

static void the_size_follows_without_a_gap(void **state)
{
    (void)state;
    struct received received;
    struct capture_stats stats;
    assert_whole(record(&bound, false, true, &received, &stats), &received);
    assert_true(received.n_sizes[0] > 50);
    assert_true(received.n_sizes[1] > 50);
    assert_int_equal(stats.records_lost, 0);
}

static void threads_that_come_and_go_are_sampled_once(void **state)
{
    (void)state;
    struct received received;
    struct capture_stats stats;
    assert_whole(record(&bound, true, true, &received, &stats), &received);
    assert_true(received.n_sizes[0] > 50);
    assert_true(received.n_sizes[1] > 50);
}

static void so_it_is_per_cpu(void **state)
{
    (void)state;
    struct host host;
    host_read(&host);
    if (!host.is_privileged || !host.can_load_bpf) {
        skip();
    }
    /* Without the walk inside the kernel, whose stacks need no copies. */
    setenv("STAX_KERNEL_WALK", "0", 1);
    const struct capture_config wide = {.frequency_hz = 900};
    struct received received;
    struct capture_stats stats;
    double share = record(&wide, true, true, &received, &stats);
    unsetenv("STAX_KERNEL_WALK");
    assert_whole(share, &received);
    assert_true(received.n_sizes[0] > 50);
    assert_true(received.n_sizes[1] > 50);
    assert_int_equal(stats.records_lost, 0);
}

struct teller {
    struct capture *capture;
    atomic_bool is_over;
    uint64_t n_told;
};

static void *tell_of_code(void *userdata)
{
    struct teller *teller = userdata;
    const struct cfi_table table = {.machine = CFI_MACHINE_X86_64,
                                    .n_rows = 1,
                                    .rows = (struct cfi_row[1]){{0}},
                                    .pages = (uint32_t[2]){0}};
    const struct code_range range = {
        .start_ip = 0x10000, .end_ip = 0x20000, .state = CODE_READY, .table = &table};
    while (!atomic_load(&teller->is_over)) {
        const struct code_map map = {
            .pid = getpid(), .generation = ++teller->n_told, .n_ranges = 1, .ranges = &range};
        capture_linux_ops.set_code(teller->capture, &map);
    }
    return NULL;
}

/* The unwinder does not know that the recording has been stopped; only free() is behind it. */
static void code_is_told_while_it_stops(void **state)
{
    (void)state;
    const struct capture_ops *ops = &capture_linux_ops;
    struct received received = {0};
    const struct event_sink sink = {.userdata = &received, .on_events = on_events};
    const struct capture_config config = {.pid = getpid(), .pidfd = -1, .frequency_hz = 900};
    for (int i = 0; i < 5; i++) {
        struct teller teller = {0};
        struct error error = {0};
        pthread_t thread;
        assert_int_equal(ops->open(&config, sink, &teller.capture, &error), 0);
        assert_int_equal(ops->start(teller.capture), 0);
        assert_int_equal(pthread_create(&thread, NULL, tell_of_code, &teller), 0);
        const struct timespec settle = {.tv_nsec = 10 * 1000 * 1000};
        (void)nanosleep(&settle, NULL);
        assert_int_equal(ops->stop(teller.capture), 0);
        (void)nanosleep(&settle, NULL);
        atomic_store(&teller.is_over, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(teller.n_told > 0);
        ops->free(teller.capture);
    }
}

int main(void)
{
    struct host host;
    host_read(&host);
    if (!host_allows_user(&host)) {
        print_message("the kernel gives this user no sampling events\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_copied_unless_it_is_wanted),
        cmocka_unit_test(a_fixed_size_stays),
        cmocka_unit_test(the_size_follows_without_a_gap),
        cmocka_unit_test(threads_that_come_and_go_are_sampled_once),
        cmocka_unit_test(so_it_is_per_cpu),
        cmocka_unit_test(code_is_told_while_it_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
