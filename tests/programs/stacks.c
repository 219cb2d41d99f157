/* SPDX-License-Identifier: MIT */
/*
 * Stacks whose frames are known, in code that keeps no frame pointers.
 *
 * usage: stacks MODE SECONDS [DEPTH [FRAME_BYTES]]
 *   chain    60 functions of different frames, each called by the one before
 *   libc     the same, with qsort, memcpy, malloc, snprintf and strtod at their end
 *   signals  the same, interrupted a thousand times a second by a handler that works
 *   deep     DEPTH frames of FRAME_BYTES each
 *   down     DEPTH frames, working on every level on the way down and up
 *   threads  the chain in four threads
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "truth.h"

static volatile uint64_t sink;
static int mode_is_libc;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

__attribute__((noinline)) static int by_value(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return left < right ? -1 : left > right;
}

__attribute__((noinline)) static void use_libc(int seed)
{
    int numbers[256];
    char text[256];
    for (int i = 0; i < 256; i++) {
        numbers[i] = (i * 7919 + seed) % 1009;
    }
    qsort(numbers, 256, sizeof(*numbers), by_value);
    for (int i = 0; i < 8; i++) {
        char *block = malloc(20000 + (size_t)i * 512);
        if (block) {
            memset(block, i, 20000);
            memmove(block + 64, block, 16000);
            sink += (uint64_t)block[100];
        }
        free(block);
        sink += (uint64_t)snprintf(text, sizeof(text), "%d %f %s", numbers[i], numbers[i] / 3.0,
                                   "text");
        sink += (uint64_t)strtod(text + 2, NULL);
    }
}

/* A function of its own, whoever calls it with what. */
#if defined(__clang__)
#define WHOLE_FUNCTION __attribute__((noinline))
#else
#define WHOLE_FUNCTION __attribute__((noinline, noclone))
#endif

WHOLE_FUNCTION static void work_at_the_end(int seed)
{
    if (mode_is_libc) {
        use_libc(seed);
        return;
    }
    for (int i = 0; i < 20000; i++) {
        sink += (uint64_t)(i * seed);
    }
}

/* Frames of many sizes; some keep values in registers that the callee must save. */
#define CHAIN(n, next)                                                                             \
    WHOLE_FUNCTION static void chain_##n(int seed)                                                 \
    {                                                                                              \
        volatile char room[(n) % 7 * 40 + 8];                                                      \
        int a = seed * 3 + (n), b = seed ^ (n), c = seed + 1;                                      \
        room[0] = (char)a;                                                                         \
        next(seed + room[0] % 3);                                                                  \
        sink += (uint64_t)(a + b * c + room[0]);                                                   \
    }
CHAIN(59, work_at_the_end)
/* clang-format off */
CHAIN(58, chain_59) CHAIN(57, chain_58) CHAIN(56, chain_57) CHAIN(55, chain_56)
CHAIN(54, chain_55) CHAIN(53, chain_54) CHAIN(52, chain_53) CHAIN(51, chain_52)
CHAIN(50, chain_51) CHAIN(49, chain_50) CHAIN(48, chain_49) CHAIN(47, chain_48)
CHAIN(46, chain_47) CHAIN(45, chain_46) CHAIN(44, chain_45) CHAIN(43, chain_44)
CHAIN(42, chain_43) CHAIN(41, chain_42) CHAIN(40, chain_41) CHAIN(39, chain_40)
CHAIN(38, chain_39) CHAIN(37, chain_38) CHAIN(36, chain_37) CHAIN(35, chain_36)
CHAIN(34, chain_35) CHAIN(33, chain_34) CHAIN(32, chain_33) CHAIN(31, chain_32)
CHAIN(30, chain_31) CHAIN(29, chain_30) CHAIN(28, chain_29) CHAIN(27, chain_28)
CHAIN(26, chain_27) CHAIN(25, chain_26) CHAIN(24, chain_25) CHAIN(23, chain_24)
CHAIN(22, chain_23) CHAIN(21, chain_22) CHAIN(20, chain_21) CHAIN(19, chain_20)
CHAIN(18, chain_19) CHAIN(17, chain_18) CHAIN(16, chain_17) CHAIN(15, chain_16)
CHAIN(14, chain_15) CHAIN(13, chain_14) CHAIN(12, chain_13) CHAIN(11, chain_12)
CHAIN(10, chain_11) CHAIN(9, chain_10) CHAIN(8, chain_9) CHAIN(7, chain_8)
CHAIN(6, chain_7) CHAIN(5, chain_6) CHAIN(4, chain_5) CHAIN(3, chain_4)
CHAIN(2, chain_3) CHAIN(1, chain_2) CHAIN(0, chain_1)
    /* clang-format on */

    __attribute__((noinline)) static void in_handler(void)
{
    for (int i = 0; i < 200000; i++) {
        sink += (uint64_t)i;
    }
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    in_handler();
}

static void start_signals(void)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval every = {.it_interval = {.tv_usec = 1237},
                                    .it_value = {.tv_usec = 1237}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

__attribute__((noinline)) static int go_deep(uint64_t depth, size_t frame_bytes)
{
    volatile char room[frame_bytes];
    room[0] = (char)depth;
    if (depth == 0) {
        for (int i = 0; i < 40; i++) {
            work_at_the_end(i);
        }
    } else {
        sink += (uint64_t)go_deep(depth - 1, frame_bytes);
    }
    return room[0] + 1;
}

__attribute__((noinline)) static int go_down(uint64_t depth)
{
    volatile char room[64];
    room[0] = (char)depth;
    work_at_the_end((int)depth);
    if (depth > 0) {
        sink += (uint64_t)go_down(depth - 1);
    }
    work_at_the_end((int)depth);
    return room[0] + 1;
}

struct plan {
    const char *mode;
    double end_s;
    uint64_t depth, frame_bytes;
};

static void *follow(void *userdata)
{
    const struct plan *plan = userdata;
    int seed = 1;
    while (now_s() < plan->end_s) {
        seed++;
        if (strcmp(plan->mode, "deep") == 0) {
            (void)go_deep(plan->depth, plan->frame_bytes);
        } else if (strcmp(plan->mode, "down") == 0) {
            (void)go_down(plan->depth);
        } else {
            chain_0(seed);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        option_usage("usage: stacks MODE SECONDS [DEPTH [FRAME_BYTES]]");
    }
    struct plan plan = {
        .mode = argv[1],
        .end_s = now_s() + option_number(argv[2], "SECONDS"),
        .depth = argc > 3 ? option_count(argv[3], "DEPTH") : 5000,
        .frame_bytes = argc > 4 ? option_count(argv[4], "FRAME_BYTES") : 32,
    };
    mode_is_libc = strcmp(plan.mode, "libc") == 0;
    if (strcmp(plan.mode, "signals") == 0) {
        start_signals();
    }
    if (strcmp(plan.mode, "threads") == 0) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) {
            pthread_create(&threads[i], NULL, follow, &plan);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        return 0;
    }
    (void)follow(&plan);
    return 0;
}
