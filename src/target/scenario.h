/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * scenario - a test case in a process of its own, since the library is one per process
 *
 * Owner:   nothing is kept; the folder of a scenario is removed.
 * Threads: one, before the scenario starts others.
 */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SCENARIO_WAIT_MS 20000

/* Sanitizers know nothing of a child that no handler ran for, and need memory themselves. */
#if defined(__has_feature)
#define SCENARIO_HAS(what) __has_feature(what)
#else
#define SCENARIO_HAS(what) 0
#endif
#if defined(__SANITIZE_THREAD__) || SCENARIO_HAS(thread_sanitizer)
#define SCENARIO_UNDER_TSAN true
#else
#define SCENARIO_UNDER_TSAN false
#endif
#if defined(__SANITIZE_ADDRESS__) || SCENARIO_HAS(address_sanitizer)
#define SCENARIO_UNDER_ASAN true
#else
#define SCENARIO_UNDER_ASAN false
#endif

/* What fails there fails the test here. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Waits for something that will come. */
#define CHECK_SOON(what)                                                                           \
    do {                                                                                           \
        bool is_so = what;                                                                         \
        for (int waited_ms = 0; !is_so && waited_ms < SCENARIO_WAIT_MS; waited_ms++) {             \
            usleep(1000);                                                                          \
            is_so = what;                                                                          \
        }                                                                                          \
        if (!is_so) {                                                                              \
            fprintf(stderr, "%s:%d: never %s\n", __FILE__, __LINE__, #what);                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* How the library's thread is, as in proc(5): 'S' asleep; 0: there is none. Sanitizers have threads
 * of their own. */
static inline char scenario_library_thread(void)
{
    DIR *folder = opendir("/proc/self/task");
    char found = 0;

    CHECK(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[300], name[17] = "", state = 0;
        snprintf(path, sizeof(path), "/proc/self/task/%s/stat", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%*d (%16[^)]) %c", name, &state) == 2 &&
            strcmp(name, "stax-target") == 0) {
            found = state;
        }
        if (file) {
            fclose(file);
        }
    }
    closedir(folder);
    return found;
}

/* The exit status of what it did: 0 if all that it checked was so. `socket` is where a server may
 * be made; the library will look for it there. */
static inline int scenario_run(void (*scenario)(const char *socket))
{
    char folder[] = "/tmp/stax-target-XXXXXX";
    char path[64];
    int status = -1;

    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/s", folder);
    pid_t child = fork();
    if (child == 0) {
        setenv("STAX_SERVER_SOCKET", path, 1);
        scenario(path);
        _exit(0);
    }
    waitpid(child, &status, 0);
    unlink(path);
    rmdir(folder);
    return status;
}
