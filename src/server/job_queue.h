/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * job_queue - who gets a thread of the pool next
 *
 * libuv's pool is first come, first served: one client with many expensive
 * questions would make all others wait. Here jobs wait under the connection
 * that asked; the next thread goes to the connection with the fewest jobs at
 * work, then to the oldest job. Jobs of a client that is gone are not done.
 *
 * Owner:   jobs belong to whoever adds them, from done() on again.
 * Threads: the main loop; work() runs in the pool.
 * Limits:  JOB_QUEUE_THREADS jobs at a time, JOB_QUEUE_MAX_PER_OWNER of one
 *          connection. How many wait is bounded by the connections' own limits.
 * Tests:   job_queue_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "server/connection.h"

#define JOB_QUEUE_THREADS 4u /* also UV_THREADPOOL_SIZE */
#define JOB_QUEUE_MAX_PER_OWNER 2u

struct job_queue;

struct job {
    struct connection *owner; /* borrowed; NULL: the server itself */
    void (*work)(struct job *job);
    /* is_cancelled: work() was not called, because the owner is gone. */
    void (*done)(struct job *job, bool is_cancelled);

    /* The queue's. */
    struct job_queue *queue;
    struct job *next;
    uv_work_t request;
};

struct job_queue {
    uv_loop_t *loop;
    struct job *running[JOB_QUEUE_THREADS];
    struct job *oldest, *newest; /* waiting */
    size_t n_waiting;
};

void job_queue_init(struct job_queue *queue, uv_loop_t *loop);

/* done() follows, never before this returns. */
void job_queue_add(struct job_queue *queue, struct job *job);
