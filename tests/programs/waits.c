/* SPDX-License-Identifier: MIT */

/*
 * waits - threads that wait, each in a way of its own, and know what it cost them
 *
 * Twelve kinds of waiting and two more (wait_kinds.h, wait_files.c), one thread
 * each, which has the name of its kind and does nothing else from its first
 * instruction to its last. Waits last 100-300 us or 1-20 ms where the program
 * decides; a disk decides itself.
 *
 * Truth, per thread: wall, CPU and run-queue time of its life by the kernel's
 * accounts, what is left of it (blocked), the same of its waits alone, and the
 * list of those that lasted.
 *
 *   --kinds a,b     only these
 *   --folder DIR/   for the files; the working directory unless given
 *   --hold          start the threads when a line comes in on stdin, after "ready" on stderr
 */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"
#include "wait_kinds.h"

#define MOST_WAITERS 32
#define MOST_LISTED 200000

static void *thread_partner(void *argument)
{
    struct waiter *waiter = argument;
    char name[16];

    waiter->partner_tid = gettid();
    snprintf(name, sizeof name, "p-%s", waiter->kind->name);
    pthread_setname_np(pthread_self(), name);
    if (waiter->kind->hold != NULL) {
        waiter->kind->hold(waiter);
    }
    sem_post(&waiter->is_held);
    while (!waiter->has_ended) {
        wait_sleep_ns(wait_next_ns(&waiter->partner_random));
        waiter->kind->release(waiter);
    }
    return NULL;
}

static void start_partner(struct waiter *waiter)
{
    if (waiter->kind->release == NULL) {
        return;
    }
    sem_init(&waiter->is_held, 0, 0);
    if (pthread_create(&waiter->partner, NULL, thread_partner, waiter) != 0) {
        exit(1);
    }
    while (sem_wait(&waiter->is_held) != 0) {
    }
}

/* The mutex' partner ends while it holds one: its waiter has ended before. */
static void join(struct waiter *waiter)
{
    pthread_join(waiter->thread, NULL);
    if (waiter->kind->release != NULL) {
        pthread_join(waiter->partner, NULL);
    }
}

static bool is_wanted(const char *kinds, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = kinds; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0')) {
            return true;
        }
    }
    return kinds == NULL;
}

static size_t prepare(struct waiter *waiters, const char *kinds)
{
    size_t n_waiters = 0;

    for (size_t i = 0; i < n_wait_kinds && n_waiters < MOST_WAITERS; i++) {
        struct waiter *waiter = &waiters[n_waiters];
        if (!is_wanted(kinds, wait_kinds[i].name)) {
            continue;
        }
        waiter->kind = &wait_kinds[i];
        waiter->random = 77 + i;
        waiter->partner_random = 7777 + i;
        if (!waiter->kind->prepare(waiter)) {
            fprintf(stderr, "%s: %s\n", waiter->kind->name, strerror(errno));
            wait_files_remove(waiter);
            exit(1);
        }
        wait_log_init(&waiter->log, MOST_LISTED, 50 * NS_PER_US);
        n_waiters++;
    }
    return n_waiters;
}

static void print_waiter(FILE *truth, const struct waiter *waiter)
{
    const struct wait_log *log = &waiter->log;
    const struct wait_account *used = &log->used;

    fprintf(truth, "{\"tid\": %d, \"kind\": \"%s\", \"name\": \"%s\", \"reason\": \"%s\", ",
            waiter->tid, waiter->kind->name, waiter->kind->name, waiter->kind->reason);
    fprintf(truth, "\"wait_function\": \"%s\", \"thread_function\": \"%s\", \"partner_tid\": %d, ",
            waiter->kind->wait_function, waiter->kind->thread_function, waiter->partner_tid);
    fprintf(truth, "\"start_ns\": %lu, \"end_ns\": %lu, \"wall_ns\": %lu, ", log->at_start.wall_ns,
            log->at_start.wall_ns + used->wall_ns, used->wall_ns);
    fprintf(truth, "\"cpu_ns\": %lu, \"runq_ns\": %lu, \"blocked_ns\": %lu, \"switches\": %lu, ",
            used->cpu_ns, used->runq_ns, used->wall_ns - used->cpu_ns - used->runq_ns,
            used->n_switches);
    fprintf(truth, "\"n_waits\": %lu, \"waits_ns\": %lu, \"waits_blocked_ns\": %lu, ", log->n_waits,
            log->duration_ns, log->blocked_ns);
    fprintf(truth, "\"n_unlisted\": %zu, \"waits\": [", log->n_unlisted);
    for (size_t i = 0; i < log->n_records; i++) {
        const struct wait_record *record = &log->records[i];
        fprintf(truth, "%s[%lu, %lu, %lu, %lu, %lu]", i > 0 ? ", " : "", record->start_ns,
                record->duration_ns, record->blocked_ns, record->runq_ns, record->n_preempted);
    }
    fprintf(truth, "]}");
}

static void run(struct waiter *waiters, size_t n_waiters, double seconds)
{
    /* Timers of helpers end when they should, and not up to 50 us later. Threads inherit it. */
    prctl(PR_SET_TIMERSLACK, 1);
    const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    for (size_t i = 0; i < n_waiters; i++) {
        waiters[i].end_ns = end_ns;
        start_partner(&waiters[i]);
        if (pthread_create(&waiters[i].thread, NULL, waiters[i].kind->thread, &waiters[i]) != 0) {
            exit(1);
        }
    }
    for (size_t i = 0; i < n_waiters; i++) {
        join(&waiters[i]);
        wait_files_remove(&waiters[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'}, {"kinds", required_argument, NULL, 'k'},
        {"folder", required_argument, NULL, 'f'},  {"hold", no_argument, NULL, 'h'},
        {"out", required_argument, NULL, 'o'},     {NULL, 0, NULL, 0}};
    static struct waiter waiters[MOST_WAITERS];
    double seconds = 3;
    bool is_held = false;
    const char *kinds = NULL, *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') {
            seconds = option_number(optarg, "--seconds");
        } else if (c == 'k') {
            kinds = optarg;
        } else if (c == 'f') {
            wait_files_in(optarg);
        } else if (c == 'h') {
            is_held = true;
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("waits [--seconds S] [--kinds A,B] [--folder DIR/] [--hold] [--out FILE]");
        }
    }
    const size_t n_waiters = prepare(waiters, kinds);
    if (n_waiters == 0) {
        option_usage("waits --kinds A,B: none of these is known");
    }
    fprintf(stderr, "ready %d\n", getpid());
    if (is_held) {
        for (int c = getchar(); c != '\n' && c != EOF;) {
            c = getchar();
        }
    }
    run(waiters, n_waiters, seconds);

    FILE *truth = truth_open(out);
    fprintf(truth, "{\"program\": \"waits\", \"pid\": %d, \"main_tid\": %d, \"threads\": [",
            getpid(), gettid());
    for (size_t i = 0; i < n_waiters; i++) {
        fprintf(truth, i > 0 ? ", " : "");
        print_waiter(truth, &waiters[i]);
    }
    fprintf(truth, "]}");
    truth_close(truth);
    return 0;
}
