/* SPDX-License-Identifier: MIT */
#include "server/job_queue.h"

#include <assert.h>

static void run_next(struct job_queue *queue);

void job_queue_init(struct job_queue *queue, uv_loop_t *loop)
{
    *queue = (struct job_queue){.loop = loop};
}

static void work(uv_work_t *request)
{
    struct job *job = request->data;
    job->work(job);
}

static void after_work(uv_work_t *request, int status)
{
    struct job *job = request->data;
    struct job_queue *queue = job->queue;
    for (size_t i = 0; i < JOB_QUEUE_THREADS; i++) {
        if (queue->running[i] == job) {
            queue->running[i] = NULL;
        }
    }
    job->done(job, status < 0);
    run_next(queue);
}

static size_t count_running(const struct job_queue *queue, const struct connection *owner)
{
    size_t n_running = 0;
    for (size_t i = 0; i < JOB_QUEUE_THREADS; i++) {
        n_running += queue->running[i] && queue->running[i]->owner == owner;
    }
    return n_running;
}

static bool has_free_thread(const struct job_queue *queue)
{
    for (size_t i = 0; i < JOB_QUEUE_THREADS; i++) {
        if (!queue->running[i]) {
            return true;
        }
    }
    return false;
}

static void start(struct job_queue *queue, struct job *job)
{
    size_t slot = 0;
    while (queue->running[slot]) {
        slot++;
    }
    queue->running[slot] = job;
    job->request.data = job;
    int r = uv_queue_work(queue->loop, &job->request, work, after_work);
    assert(r == 0); /* only a missing function is an error */
    (void)r;
}

/* The oldest job of the connection with the fewest at work; NULL when none may run now. */
static struct job *take_next(struct job_queue *queue)
{
    struct job *best = NULL, *before_best = NULL, *before = NULL;
    size_t fewest = JOB_QUEUE_MAX_PER_OWNER;
    for (struct job *job = queue->oldest; job; before = job, job = job->next) {
        size_t n_running = count_running(queue, job->owner);
        if (n_running < fewest) {
            fewest = n_running;
            best = job;
            before_best = before;
        }
    }
    if (!best) {
        return NULL;
    }
    if (before_best) {
        before_best->next = best->next;
    } else {
        queue->oldest = best->next;
    }
    if (queue->newest == best) {
        queue->newest = before_best;
    }
    best->next = NULL;
    queue->n_waiting--;
    return best;
}

static void run_next(struct job_queue *queue)
{
    while (has_free_thread(queue)) {
        struct job *job = take_next(queue);
        if (!job) {
            return;
        }
        if (job->owner && !connection_is_present(job->owner)) {
            job->done(job, true);
        } else {
            start(queue, job);
        }
    }
}

void job_queue_add(struct job_queue *queue, struct job *job)
{
    job->queue = queue;
    job->next = NULL;
    if (!queue->oldest && has_free_thread(queue) &&
        count_running(queue, job->owner) < JOB_QUEUE_MAX_PER_OWNER) {
        start(queue, job);
        return;
    }
    if (queue->newest) {
        queue->newest->next = job;
    } else {
        queue->oldest = job;
    }
    queue->newest = job;
    queue->n_waiting++;
    /* Whoever waits already may be over its share, and this one not. */
    if (has_free_thread(queue) && count_running(queue, job->owner) < JOB_QUEUE_MAX_PER_OWNER) {
        struct job *next = take_next(queue);
        start(queue, next);
    }
}
