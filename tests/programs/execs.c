/* SPDX-License-Identifier: MIT */

/*
 * execs - one process, three programs, one after the other
 *
 * Built three times with IMAGE_WORK and IMAGE_NEXT set and linked at fixed
 * addresses, so that different functions stand at the same address and only a
 * profiler that knows what was mapped when can tell them apart.
 * Truth: CPU time in each image; carried to the next one by its arguments.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define PATH_BYTES 4096
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

void IMAGE_WORK(uint64_t n_iterations);

__attribute__((noinline)) void IMAGE_WORK(uint64_t n_iterations)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

/* Beside the program that runs now, wherever it was started from. */
static void exec_next(char **argv)
{
    char self[PATH_BYTES], path[PATH_BYTES];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    int directory_length = 0;

    for (int i = 0; i < length; i++) {
        if (self[i] == '/') {
            directory_length = i + 1;
        }
    }
    if (snprintf(path, sizeof path, "%.*s%s", directory_length, self, IMAGE_NEXT) <
        (int)sizeof path) {
        execv(path, argv);
    }
    perror(path);
    exit(1);
}

/* execs CPU_MS [RESULT…]: each image adds what it used to the list. */
int main(int argc, char **argv)
{
    char result[160], *next_argv[8] = {(char *)IMAGE_NEXT};

    if (argc < 2 || argc > 5) {
        option_usage("execs CPU_MS");
    }
    const uint64_t cpu_ns = option_count(argv[1], "CPU_MS") * NS_PER_MS;
    const uint64_t iterations_per_ms = burn_calibrate();
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns < cpu_ns) {
        IMAGE_WORK(burn_iterations(iterations_per_ms, 5 * NS_PER_MS));
    }
    snprintf(result, sizeof result, "{\"function\": \"%s\", \"cpu_ns\": %lu}", TEXT(IMAGE_WORK),
             clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns);

    if (sizeof IMAGE_NEXT == 1) {
        FILE *truth = truth_open(NULL);
        fprintf(truth, "{\"program\": \"execs\", \"pid\": %d, \"images\": [", getpid());
        for (int i = 2; i < argc; i++) {
            fprintf(truth, "%s, ", argv[i]);
        }
        fprintf(truth, "%s]}", result);
        truth_close(truth);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        next_argv[i] = argv[i];
    }
    next_argv[argc] = result;
    exec_next(next_argv);
}
