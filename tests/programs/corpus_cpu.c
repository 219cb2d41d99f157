/* SPDX-License-Identifier: MIT */

/* Two hot loops that take turns, a thread that sleeps, and one that waits for a lock. */

#include "corpus.h"

static pthread_t hot_thread, sleep_thread, holder_thread, lock_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t checksum_ns, hash_ns;
static uint64_t n_sleeps, n_locks;

KEPT void corpus_hot_checksum(uint64_t n_steps)
{
    for (uint64_t i = 0, x = 1; i < n_steps; i++) {
        BURN_STEP(x, 5);
    }
}

KEPT void corpus_hot_hash(uint64_t n_steps)
{
    for (uint64_t i = 0, x = 1; i < n_steps; i++) {
        BURN_STEP(x, 7);
    }
}

/* Three quarters of its CPU time in one, one quarter in the other; a third of a CPU. */
KEPT void *corpus_hot(void *argument)
{
    const uint64_t n_steps = burn_iterations(corpus_iterations_per_ms, NS_PER_MS);

    (void)argument;
    corpus_name_thread("hot");
    while (corpus_goes_on) {
        const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        corpus_hot_checksum(3 * n_steps);
        const uint64_t middle_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        corpus_hot_hash(n_steps);
        checksum_ns += middle_ns - start_ns;
        hash_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - middle_ns;
        corpus_sleep_ns(8 * NS_PER_MS);
    }
    return NULL;
}

KEPT void *corpus_sleeper(void *argument)
{
    (void)argument;
    corpus_name_thread("sleeper");
    while (corpus_goes_on) {
        corpus_sleep_ns(5 * NS_PER_MS);
        n_sleeps++;
    }
    return NULL;
}

KEPT void *corpus_holder(void *argument)
{
    (void)argument;
    corpus_name_thread("holder");
    while (corpus_goes_on) {
        pthread_mutex_lock(&lock);
        corpus_sleep_ns(4 * NS_PER_MS);
        pthread_mutex_unlock(&lock);
        corpus_sleep_ns(NS_PER_MS);
    }
    return NULL;
}

KEPT void *corpus_wait_for_lock(void *argument)
{
    (void)argument;
    corpus_name_thread("lock");
    while (corpus_goes_on) {
        pthread_mutex_lock(&lock);
        n_locks++;
        pthread_mutex_unlock(&lock);
        corpus_sleep_ns(2 * NS_PER_MS);
    }
    return NULL;
}

void corpus_cpu_start(void)
{
    must(pthread_create(&hot_thread, NULL, corpus_hot, NULL) == 0 &&
             pthread_create(&sleep_thread, NULL, corpus_sleeper, NULL) == 0 &&
             pthread_create(&holder_thread, NULL, corpus_holder, NULL) == 0 &&
             pthread_create(&lock_thread, NULL, corpus_wait_for_lock, NULL) == 0,
         "pthread_create");
}

void corpus_cpu_end(void)
{
    pthread_join(hot_thread, NULL);
    pthread_join(sleep_thread, NULL);
    pthread_join(holder_thread, NULL);
    pthread_join(lock_thread, NULL);
}

void corpus_cpu_print(FILE *truth)
{
    fprintf(truth,
            "\"corpus_hot_checksum_ns\": %lu, \"corpus_hot_hash_ns\": %lu, \"sleeps\": %lu, "
            "\"locks\": %lu",
            checksum_ns, hash_ns, n_sleeps, n_locks);
}
