/* SPDX-License-Identifier: MIT */

/* dl_colour - the libraries of dlchurn; COLOUR_WORK names the function */

#include "burn.h"

void COLOUR_WORK(uint64_t n_iterations);

__attribute__((noinline)) void COLOUR_WORK(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}
