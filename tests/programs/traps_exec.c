/* SPDX-License-Identifier: MIT */

/*
 * traps_exec - a program at a fixed address that becomes another one there
 *
 * usage: traps_exec MS. WORK names the function, ROOM_BYTES is its frame's, and
 * NEXT the program that follows ("": none), in the directory of this one. It
 * keeps no frame pointers.
 */

#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

/* A function of its own, whoever calls it with what. */
#if defined(__clang__)
#define WHOLE_FUNCTION __attribute__((noinline))
#else
#define WHOLE_FUNCTION __attribute__((noipa))
#endif

void WORK(uint64_t cpu_ns);

WHOLE_FUNCTION void WORK(uint64_t cpu_ns)
{
    volatile char room[ROOM_BYTES];
    uint64_t x = 1;
    room[0] = 1;
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns < cpu_ns) {
        for (int i = 0; i < 3000000; i++) {
            BURN_STEP(x, UINT64_C(6364136223846793005));
        }
        room[0]++;
    }
}

WHOLE_FUNCTION static int work_in_turn(uint64_t cpu_ns)
{
    WORK(cpu_ns);
    return 1;
}

int main(int argc, char **argv)
{
    char path[4096];
    if (argc != 2) {
        option_usage("traps_exec MS");
    }
    const int result = work_in_turn(option_count(argv[1], "MS") * NS_PER_MS);
    if (NEXT[0] != '\0') {
        snprintf(path, sizeof path, "%s/%s", dirname(argv[0]), NEXT);
        execl(path, path, argv[1], (char *)NULL);
        return 1;
    }
    return result - 1;
}
