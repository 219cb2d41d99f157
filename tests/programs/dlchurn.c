/* SPDX-License-Identifier: MIT */

/*
 * dlchurn - two libraries, loaded in turn at the same address
 *
 * libdl_red.so has red_work() where libdl_blue.so has blue_work(): only a
 * profiler that knows what was mapped when can tell their samples apart.
 * Truth: CPU time in each, and whether the addresses were really the same.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define PATH_BYTES 4096

typedef void (*burner)(uint64_t n_iterations);

static uint64_t iterations_per_ms;

/* Loads, works for cpu_ns, unloads; returns where the function stood. */
static uintptr_t run_library(const char *directory, const char *colour, uint64_t cpu_ns,
                             uint64_t *used_ns)
{
    char path[PATH_BYTES], name[64];

    snprintf(path, sizeof path, "%s/libdl_%s.so", directory, colour);
    snprintf(name, sizeof name, "%s_work", colour);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    burner work;
    *(void **)&work = dlsym(library, name);
    if (work == NULL) {
        exit(1);
    }
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns < cpu_ns) {
        work(burn_iterations(iterations_per_ms, 2 * NS_PER_MS));
    }
    *used_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    const uintptr_t address = (uintptr_t)work;
    dlclose(library);
    return address;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        option_usage("dlchurn DIRECTORY ROUNDS CPU_MS_EACH (red gets it twice)");
    }
    const uint64_t n_rounds = option_count(argv[2], "ROUNDS");
    const uint64_t cpu_ns = option_count(argv[3], "CPU_MS_EACH") * NS_PER_MS;
    uint64_t red_ns = 0, blue_ns = 0, n_same = 0;

    iterations_per_ms = burn_calibrate();
    for (uint64_t i = 0; i < n_rounds; i++) {
        const uintptr_t red = run_library(argv[1], "red", 2 * cpu_ns, &red_ns);
        const uintptr_t blue = run_library(argv[1], "blue", cpu_ns, &blue_ns);
        n_same += red == blue;
    }
    FILE *truth = truth_open(NULL);
    fprintf(truth, "{\"program\": \"dlchurn\", \"pid\": %d, \"rounds\": %lu, \"same\": %lu, ",
            getpid(), n_rounds, n_same);
    fprintf(truth, "\"red_cpu_ns\": %lu, \"blue_cpu_ns\": %lu}", red_ns, blue_ns);
    truth_close(truth);
    return 0;
}
