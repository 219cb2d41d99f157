/* SPDX-License-Identifier: MIT */

/*
 * pages - two functions that touch a known number of fresh pages
 *
 *   thread → turn → touch_many (2/3 of the pages), touch_few (1/3)
 *
 * Each first touch of a page is one page fault, which the kernel counts for
 * the thread; some work after each makes the touching last.
 * Truth: pages by thread and function, and the thread's own count of faults.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

#define THREADS_MAX 64
#define PAGE_BYTES 4096u

static const char usage[] =
    "pages [--pages N] [--turns N] [--threads N] [--page-us N] [--start-us N] [--out FILE]";

struct worker {
    pthread_t thread;
    int64_t tid;
    uint64_t n_many, n_few, n_faults;
};

static uint64_t n_pages = 30000, n_turns = 2, n_threads = 2, page_us = 20, start_us;
static uint64_t iterations_per_page;

void touch_many(uint8_t *memory, uint64_t n);
void touch_few(uint8_t *memory, uint64_t n);
void turn(struct worker *worker);

__attribute__((noinline)) void touch_many(uint8_t *memory, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        memory[i * PAGE_BYTES] = 1;
        uint64_t x = i;
        for (uint64_t k = 0; k < iterations_per_page; k++) {
            BURN_STEP(x, 3);
        }
    }
}

__attribute__((noinline)) void touch_few(uint8_t *memory, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        memory[i * PAGE_BYTES] = 2;
        uint64_t x = i;
        for (uint64_t k = 0; k < iterations_per_page; k++) {
            BURN_STEP(x, 5);
        }
    }
}

static uint8_t *fresh(uint64_t n)
{
    uint8_t *memory =
        mmap(NULL, n * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, n * PAGE_BYTES, MADV_NOHUGEPAGE) != 0) {
        perror("pages: memory");
        exit(1);
    }
    return memory;
}

__attribute__((noinline)) void turn(struct worker *worker)
{
    uint64_t n_many = n_pages * 2 / 3, n_few = n_pages - n_many;
    uint8_t *memory = fresh(n_many);
    touch_many(memory, n_many);
    munmap(memory, n_many * PAGE_BYTES);
    memory = fresh(n_few);
    touch_few(memory, n_few);
    munmap(memory, n_few * PAGE_BYTES);
    worker->n_many += n_many;
    worker->n_few += n_few;
}

static void *work(void *userdata)
{
    struct worker *worker = userdata;
    struct rusage usage_now;
    worker->tid = syscall(SYS_gettid);
    usleep((useconds_t)start_us);
    for (uint64_t i = 0; i < n_turns; i++) {
        turn(worker);
    }
    getrusage(RUSAGE_THREAD, &usage_now);
    worker->n_faults = (uint64_t)usage_now.ru_minflt;
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"pages", required_argument, NULL, 'p'},
        {"turns", required_argument, NULL, 't'},
        {"threads", required_argument, NULL, 'n'},
        {"page-us", required_argument, NULL, 'u'},
        {"start-us", required_argument, NULL, 's'},
        {"out", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    static struct worker workers[THREADS_MAX];
    const char *out = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            n_pages = option_count(optarg, "--pages");
            break;
        case 't':
            n_turns = option_count(optarg, "--turns");
            break;
        case 'n':
            n_threads = option_count(optarg, "--threads");
            break;
        case 'u':
            page_us = option_count(optarg, "--page-us");
            break;
        case 's':
            start_us = option_count(optarg, "--start-us");
            break;
        case 'o':
            out = optarg;
            break;
        default:
            option_usage(usage);
        }
    }
    if (optind != argc || n_threads == 0 || n_threads > THREADS_MAX || n_pages < 3) {
        option_usage(usage);
    }
    iterations_per_page = burn_iterations(burn_calibrate(), page_us * NS_PER_US);
    for (uint64_t i = 0; i < n_threads; i++) {
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            perror("pages: pthread_create");
            return 1;
        }
    }
    FILE *truth = truth_open(out);
    fprintf(truth, "{\"threads\": [");
    for (uint64_t i = 0; i < n_threads; i++) {
        pthread_join(workers[i].thread, NULL);
        fprintf(truth,
                "%s{\"tid\": %lld, \"touch_many\": %llu, \"touch_few\": %llu, \"faults\": %llu}",
                i > 0 ? ", " : "", (long long)workers[i].tid, (unsigned long long)workers[i].n_many,
                (unsigned long long)workers[i].n_few, (unsigned long long)workers[i].n_faults);
    }
    fprintf(truth, "]}");
    truth_close(truth);
    return 0;
}
