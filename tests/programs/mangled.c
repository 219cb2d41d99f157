/* SPDX-License-Identifier: MIT */

/*
 * mangled - functions whose symbols are C++ and Rust names
 *
 * The symbols are set by hand, so that no other compiler is needed:
 *   C++ (Itanium)   engine::Solver::step(int)
 *   Rust (legacy)   engine::solver::run
 *   Rust (v0)       engine::advance
 */

#include <unistd.h>

#include "burn.h"
#include "truth.h"

void cpp_step(uint64_t n_iterations) __asm__("_ZN6engine6Solver4stepEi");
void rust_legacy(uint64_t n_iterations) __asm__("_ZN6engine6solver3run17h0123456789abcdefE");
void rust_v0(uint64_t n_iterations) __asm__("_RNvCs15kBYyAo9fc_6engine7advance");

__attribute__((noinline)) void cpp_step(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

__attribute__((noinline)) void rust_legacy(uint64_t n_iterations)
{
    uint64_t x = 2;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(2862933555777941757));
    }
}

__attribute__((noinline)) void rust_v0(uint64_t n_iterations)
{
    uint64_t x = 3;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(3202034522624059733));
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        option_usage("mangled CPU_MS_EACH");
    }
    const uint64_t n_ms = option_count(argv[1], "CPU_MS_EACH");
    const uint64_t iterations_per_ms = burn_calibrate();

    for (uint64_t i = 0; i < n_ms; i++) {
        cpp_step(iterations_per_ms);
        rust_legacy(iterations_per_ms);
        rust_v0(iterations_per_ms);
    }
    FILE *truth = truth_open(NULL);
    fprintf(truth, "{\"program\": \"mangled\", \"pid\": %d, \"cpu_ns\": %lu}", getpid(),
            clock_ns(CLOCK_THREAD_CPUTIME_ID));
    truth_close(truth);
    return 0;
}
