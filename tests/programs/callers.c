/* SPDX-License-Identifier: MIT */
/*
 * callers MODE SECONDS - stacks whose outer frames are easily taken for others
 *
 *   phases     two functions with frames of one size take turns, 30 ms and 90 ms, to call the same
 *              deep recursion
 *   quick      the same in turns of 0.3 ms and 0.9 ms
 *   recursion  a thread's own function calls itself LEVELS times
 *   number     code without unwind information uses the frame pointer's register for a number: 0
 *
 * The last line that it prints says how much CPU time each of the two had.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WHOLE_FUNCTION __attribute__((noinline))
#define ENGINE_LEVELS 20
#define LEVELS 30

static volatile uint64_t sink;
static uint64_t end_ns;

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

WHOLE_FUNCTION static void spin(uint64_t until_ns)
{
    while (now_ns(CLOCK_MONOTONIC) < until_ns) {
        for (int i = 0; i < 2000; i++) {
            sink += (uint64_t)i;
        }
    }
}

WHOLE_FUNCTION static void engine(int level, uint64_t until_ns)
{
    volatile char room[200];
    room[0] = (char)level;
    if (level > 0) {
        engine(level - 1, until_ns);
    } else {
        spin(until_ns);
    }
    sink += (uint64_t)room[0];
}

WHOLE_FUNCTION static void short_phase(uint64_t n_ns)
{
    volatile char room[64];
    room[0] = 1;
    engine(ENGINE_LEVELS, now_ns(CLOCK_MONOTONIC) + n_ns);
    sink += (uint64_t)room[0];
}

WHOLE_FUNCTION static void long_phase(uint64_t n_ns)
{
    volatile char room[64];
    room[0] = 2;
    engine(ENGINE_LEVELS, now_ns(CLOCK_MONOTONIC) + n_ns);
    sink += (uint64_t)room[0];
}

static void take_turns(uint64_t n_ns)
{
    uint64_t short_ns = 0, long_ns = 0, at_ns = now_ns(CLOCK_THREAD_CPUTIME_ID), then_ns;
    while (now_ns(CLOCK_MONOTONIC) < end_ns) {
        short_phase(n_ns);
        then_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        short_ns += then_ns - at_ns;
        long_phase(3 * n_ns);
        at_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        long_ns += at_ns - then_ns;
    }
    printf("{\"short_ns\": %llu, \"long_ns\": %llu}\n", (unsigned long long)short_ns,
           (unsigned long long)long_ns);
}

WHOLE_FUNCTION static void *call_itself(void *userdata)
{
    uintptr_t level = (uintptr_t)userdata;
    volatile char room[64];
    room[0] = (char)level;
    if (level > 0) {
        call_itself((void *)(level - 1));
    } else {
        spin(end_ns);
    }
    return room[0] ? userdata : NULL;
}

static void recurse(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, call_itself, (void *)(uintptr_t)LEVELS) == 0) {
        pthread_join(thread, NULL);
    }
}

#if defined(__x86_64__)
void compute_with_number(void);
__asm__(".text\n"
        ".globl compute_with_number\n"
        ".type compute_with_number, @function\n"
        "compute_with_number:\n"
        "    push %rbp\n"
        "    xor %ebp, %ebp\n"
        "    mov $2000000, %ecx\n"
        "1:  imul %rcx, %rax\n"
        "    dec %rcx\n"
        "    jnz 1b\n"
        "    pop %rbp\n"
        "    ret\n"
        ".size compute_with_number, . - compute_with_number\n");
#else
static void compute_with_number(void)
{
}
#endif

WHOLE_FUNCTION static void call_number(void)
{
    compute_with_number();
    sink += 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: callers phases|quick|recursion|number SECONDS\n");
        return 2;
    }
    end_ns = now_ns(CLOCK_MONOTONIC) + (uint64_t)(strtod(argv[2], NULL) * 1e9);
    if (strcmp(argv[1], "phases") == 0) {
        take_turns(30000000);
    } else if (strcmp(argv[1], "quick") == 0) {
        take_turns(300000);
    } else if (strcmp(argv[1], "recursion") == 0) {
        recurse();
    } else {
        while (now_ns(CLOCK_MONOTONIC) < end_ns) {
            call_number();
        }
    }
    return 0;
}
