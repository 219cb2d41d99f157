/* SPDX-License-Identifier: MIT */

/*
 * waitpaths - a thread that waits in one place, called in many ways
 *
 * Every wait is the same system call with the same argument at the same depth:
 * stack pointer, instruction pointer and frame pointer tell nothing of who
 * called. Three levels of two functions each, whose frames are of one size,
 * make eight paths; a recursion below them makes four depths of each.
 *
 *   mixed   each wait has a path and a length of its own: one in ten is long
 *   runs    so many short waits on one path, then a long one on another
 *   steady  all on one path
 *
 * Truth: of each wait when it began and ended, by CLOCK_MONOTONIC; how often it
 * switched; its path (bit k: which of the two functions of level k), its depth.
 */

#include <getopt.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define NOINLINE __attribute__((noinline, used))
#define DEPTHS 4
#define LONG_WAIT_NS 200000
#define RUN_LENGTH 12

struct wait {
    uint64_t start_ns, end_ns;
    uint32_t n_switches;
    uint8_t path, depth;
    bool is_long;
};

static struct wait *waits;
static size_t n_waits = 6000;
static uint32_t turn; /* even: the driver's; odd: the walker's */
static volatile int sink;
static pid_t walker_tid;

static void await_turn(uint32_t wanted)
{
    uint32_t now;
    while ((now = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != wanted) {
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    }
}

static void give_turn(uint32_t to)
{
    __atomic_store_n(&turn, to, __ATOMIC_RELEASE);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

NOINLINE static void wait_here(size_t index)
{
    struct rusage before, after;
    struct wait *wait = &waits[index];

    getrusage(RUSAGE_THREAD, &before);
    wait->start_ns = clock_ns(CLOCK_MONOTONIC);
    await_turn((uint32_t)(2 * index + 1));
    wait->end_ns = clock_ns(CLOCK_MONOTONIC);
    getrusage(RUSAGE_THREAD, &after);
    wait->n_switches = (uint32_t)(after.ru_nvcsw - before.ru_nvcsw);
}

#define LEVEL(name, next, number)                                                                  \
    NOINLINE static void name(size_t index)                                                        \
    {                                                                                              \
        next(index);                                                                               \
        sink += (number);                                                                          \
    }

static void call_first(size_t index);
static void call_second(size_t index);
static void call_third(size_t index);

LEVEL(third_one, wait_here, 31)
LEVEL(third_two, wait_here, 32)
LEVEL(second_one, call_third, 21)
LEVEL(second_two, call_third, 22)
LEVEL(first_one, call_second, 11)
LEVEL(first_two, call_second, 12)

NOINLINE static void call_third(size_t index)
{
    static void (*const ways[2])(size_t) = {third_one, third_two};
    ways[waits[index].path >> 2 & 1](index);
    sink += 3;
}

NOINLINE static void call_second(size_t index)
{
    static void (*const ways[2])(size_t) = {second_one, second_two};
    ways[waits[index].path >> 1 & 1](index);
    sink += 2;
}

NOINLINE static void call_first(size_t index)
{
    static void (*const ways[2])(size_t) = {first_one, first_two};
    ways[waits[index].path & 1](index);
    sink += 1;
}

NOINLINE static void go_down(size_t index, unsigned depth)
{
    if (depth > 0) {
        go_down(index, depth - 1);
    } else {
        call_first(index);
    }
    sink += 4;
}

static void *walk(void *argument)
{
    walker_tid = (pid_t)syscall(SYS_gettid);
    for (size_t i = 0; i < n_waits; i++) {
        go_down(i, waits[i].depth);
        give_turn((uint32_t)(2 * i + 2));
    }
    return argument;
}

static void drive(void)
{
    const struct timespec pause = {.tv_nsec = LONG_WAIT_NS};
    for (size_t i = 0; i < n_waits; i++) {
        await_turn((uint32_t)(2 * i));
        if (waits[i].is_long) {
            nanosleep(&pause, NULL);
        }
        give_turn((uint32_t)(2 * i + 1));
    }
}

static void choose(const char *mode)
{
    uint64_t random = 20261121;
    uint8_t path = 0, depth = 0;
    const bool is_mixed = strcmp(mode, "mixed") == 0, is_in_runs = strcmp(mode, "runs") == 0;

    for (size_t i = 0; i < n_waits; i++) {
        const bool is_long = is_mixed ? random_next(&random) % 10 == 0 : i % RUN_LENGTH == 0;
        /* In a run: another path at the same depth, then a depth of its own for the next run. */
        if (is_mixed || (is_in_runs && i % RUN_LENGTH == 1)) {
            path = random_next(&random) % 8;
            depth = random_next(&random) % DEPTHS;
        } else if (is_in_runs && is_long) {
            path = (uint8_t)((path + 1 + random_next(&random) % 7) % 8);
        }
        waits[i] = (struct wait){.path = path, .depth = depth, .is_long = is_long};
    }
}

static void pin_to_one_cpu(void)
{
    cpu_set_t allowed, one;

    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    sched_setaffinity(0, sizeof one, &one);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"mode", required_argument, NULL, 'm'},
                                          {"waits", required_argument, NULL, 'w'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    const char *usage = "waitpaths [--mode mixed|runs|steady] [--waits N] [--out FILE]";
    const char *mode = "mixed", *out = NULL;
    pthread_t walker;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'm') {
            mode = optarg;
        } else if (c == 'w') {
            n_waits = option_count(optarg, "--waits");
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage(usage);
        }
    }
    waits = calloc(n_waits, sizeof *waits);
    if (waits == NULL) {
        return 1;
    }
    choose(mode);
    pin_to_one_cpu();
    pthread_create(&walker, NULL, walk, NULL);
    drive();
    pthread_join(walker, NULL);

    FILE *truth = truth_open(out);
    fprintf(truth, "{\"tid\":%d,\"long_ns\":%d,\"waits\":[", (int)walker_tid, LONG_WAIT_NS);
    for (size_t i = 0; i < n_waits; i++) {
        fprintf(truth, "%s[%llu,%llu,%u,%u,%u]", i > 0 ? "," : "",
                (unsigned long long)waits[i].start_ns, (unsigned long long)waits[i].end_ns,
                waits[i].n_switches, waits[i].path, waits[i].depth);
    }
    fprintf(truth, "]}");
    truth_close(truth);
    return 0;
}
