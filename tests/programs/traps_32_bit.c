/* SPDX-License-Identifier: MIT */

/*
 * traps_32_bit - 32-bit code with frame pointers
 *
 * Runs for two seconds. No C library: many hosts have none for 32 bits.
 */

static volatile unsigned int sink;

struct time_32_bit {
    int s, ns;
};

static int system_call(int number, int first, const void *second)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second) : "memory");
    return result;
}

static int now_ms(void)
{
    struct time_32_bit now = {0, 0};
    (void)system_call(265, 1, &now); /* clock_gettime, CLOCK_MONOTONIC */
    return now.s * 1000 + now.ns / 1000000;
}

__attribute__((noinline)) static void work_32(int end_ms)
{
    while (now_ms() < end_ms) {
        for (unsigned int i = 0; i < 100000; i++) {
            sink += i;
        }
    }
}

__attribute__((noinline)) static void middle_32(int end_ms)
{
    volatile int room[40];
    room[0] = 1;
    work_32(end_ms);
    sink += (unsigned int)room[0];
}

__attribute__((noinline)) static void outer_32(int end_ms)
{
    middle_32(end_ms);
    sink++;
}

void _start(void);

__attribute__((force_align_arg_pointer)) void _start(void)
{
    outer_32(now_ms() + 2000);
    (void)system_call(1, 0, 0); /* exit */
}
