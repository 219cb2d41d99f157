/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_kinds - kinds of waiting, one thread each, with the thread that ends the wait
 *
 * A kind's thread runs its own start function (thread_pipe), which waits again
 * and again in its own function (wait_on_pipe). Where somebody has to end the
 * wait that is the kind's partner: a thread that sleeps for as long as the wait
 * is to last and then does what ends it (release_pipe). Neither tells the other
 * anything else, so that there is no second kind of waiting.
 *
 * Owner:   main() owns the waiter; the thread owns its log.
 * Threads: waiter and partner.
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wait_log.h"

struct waiter;

struct wait_kind {
    const char *name;
    const char *reason;          /* by which a profiler should know it */
    const char *wait_function;   /* wait_on_... */
    const char *thread_function; /* thread_... */
    void *(*thread)(void *waiter);
    bool (*prepare)(struct waiter *waiter); /* by main(); false with errno: impossible here */
    void (*hold)(struct waiter *waiter);    /* by the partner, before the first wait; or NULL */
    void (*release)(struct waiter *waiter); /* by the partner, ends a wait; NULL: no partner */
    void (*before)(struct waiter *waiter);  /* by the waiter, outside of the bracket; or NULL */
};

struct waiter {
    const struct wait_kind *kind;
    struct wait_log log;
    pthread_t thread, partner;
    atomic_int tid, partner_tid;
    uint64_t end_ns; /* of CLOCK_MONOTONIC */
    uint64_t random, partner_random;
    atomic_bool has_ended;
    sem_t is_held;

    /* Which of these is used depends on the kind. */
    pthread_mutex_t locks[2]; /* the partner always holds one of them */
    unsigned lock_to_wait_for, lock_held;
    pthread_cond_t condition;
    bool is_given; /* under locks[0] */
    sem_t semaphore;
    int fds[2]; /* to wait on, to write to; or a file, and the same past the page cache */
    int epoll_fd;
    uint8_t *buffer, *mapping;
    uint64_t file_bytes, offset, n_read_bytes, n_done;
    char path[256];
};

extern const struct wait_kind wait_kinds[];
extern const size_t n_wait_kinds;

/* Those that wait for a disk: wait_files.c. */
bool prepare_read(struct waiter *waiter);
bool prepare_fsync(struct waiter *waiter);
bool prepare_page(struct waiter *waiter);
void before_read(struct waiter *waiter);
void before_fsync(struct waiter *waiter);
void before_page(struct waiter *waiter);
void wait_on_read(struct waiter *waiter);
void wait_on_fsync(struct waiter *waiter);
void wait_on_page(struct waiter *waiter);

/* Where they make their files, "./" unless told; ends with a slash. Before prepare(). */
void wait_files_in(const char *folder);

/* Removes them. */
void wait_files_remove(struct waiter *waiter);

/* Half of them 100-300 us, the others 1-20 ms. */
uint64_t wait_next_ns(uint64_t *state);

/* nanosleep() for so long. */
void wait_sleep_ns(uint64_t duration_ns);

/* Calls `wait` between brackets until the time is over; the body of each thread_...(). */
void wait_again_and_again(struct waiter *waiter, void (*wait)(struct waiter *waiter));
