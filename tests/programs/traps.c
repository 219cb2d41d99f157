/* SPDX-License-Identifier: MIT */

/*
 * traps - programs whose callers are known, where it is easy to name wrong ones
 *
 * usage: traps replaced DIRECTORY MS   work_in_turn() calls into a library, then
 *                                      into another one at the same addresses
 *        traps pages MS                a thread's stack that is new all the way
 * It keeps no frame pointers. Truth of `replaced`: whether the addresses were
 * the same, and the CPU time in each library.
 */

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "burn.h"
#include "truth.h"

#define PATH_BYTES 4096

/* A function of its own, whoever calls it with what. */
#if defined(__clang__)
#define WHOLE_FUNCTION __attribute__((noinline))
#else
#define WHOLE_FUNCTION __attribute__((noipa))
#endif

typedef void (*burner)(uint64_t n_iterations);

static uint64_t iterations_per_ms;

WHOLE_FUNCTION static void work_in_turn(burner work, uint64_t cpu_ns)
{
    volatile char room[88];
    room[0] = 1;
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns < cpu_ns) {
        work(burn_iterations(iterations_per_ms, 10 * NS_PER_MS));
        room[0]++;
    }
}

static uintptr_t run_library(const char *directory, const char *shape, uint64_t cpu_ns)
{
    char path[PATH_BYTES], name[64];

    snprintf(path, sizeof path, "%s/libtraps_%s.so", directory, shape);
    snprintf(name, sizeof name, "%s_work", shape);
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
    work_in_turn(work, cpu_ns);
    dlclose(library);
    return (uintptr_t)work;
}

static int run_replaced(const char *directory, uint64_t cpu_ns)
{
    const uintptr_t first = run_library(directory, "small", cpu_ns);
    const uintptr_t second = run_library(directory, "large", cpu_ns);
    FILE *truth = truth_open(NULL);
    fprintf(truth, "{\"program\": \"traps\", \"same\": %s, \"cpu_ns\": %lu}",
            first / 4096 == second / 4096 ? "true" : "false", 2 * cpu_ns);
    truth_close(truth);
    return 0;
}

#define STACK_BYTES (4u << 20)
#define ROOM_BYTES 4080
#define N_ROOMS 500 /* together less than STACK_BYTES */

WHOLE_FUNCTION static int touch_pages(int n_left)
{
    volatile char room[ROOM_BYTES];
    room[0] = (char)n_left;
    int n = n_left > 0 ? touch_pages(n_left - 1) : 0;
    return n + room[0];
}

WHOLE_FUNCTION static int use_new_stack(void)
{
    return 1 + touch_pages(N_ROOMS);
}

static void *run_thread(void *unused)
{
    (void)use_new_stack();
    return unused;
}

static int run_pages(uint64_t wall_ns)
{
    const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + wall_ns;
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
        pthread_attr_t attributes;
        pthread_t thread;
        void *stack =
            mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED || pthread_attr_init(&attributes) != 0 ||
            pthread_attr_setstack(&attributes, stack, STACK_BYTES) != 0 ||
            pthread_create(&thread, &attributes, run_thread, NULL) != 0) {
            return 1;
        }
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        munmap(stack, STACK_BYTES);
    }
    return 0;
}

int main(int argc, char **argv)
{
    iterations_per_ms = burn_calibrate();
    if (argc == 4 && strcmp(argv[1], "replaced") == 0) {
        return run_replaced(argv[2], option_count(argv[3], "MS") * NS_PER_MS);
    }
    if (argc == 3 && strcmp(argv[1], "pages") == 0) {
        return run_pages(option_count(argv[2], "MS") * NS_PER_MS);
    }
    option_usage("traps replaced DIRECTORY MS | pages MS");
}
