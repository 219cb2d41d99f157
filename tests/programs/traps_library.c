/* SPDX-License-Identifier: MIT */

/* traps_library - the libraries of traps: WORK names the function, ROOM_BYTES is its frame's */

#include "burn.h"

void WORK(uint64_t n_iterations);

__attribute__((noinline)) void WORK(uint64_t n_iterations)
{
    volatile char room[ROOM_BYTES];
    uint64_t x = 1;
    room[0] = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
    room[1] = room[0];
}
