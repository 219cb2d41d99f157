/* SPDX-License-Identifier: MIT */
/*
 * thread_pool - a lane for each worker, and a thread that waits for them
 *
 * The wait is reported with the work it was for: only then is the work shown
 * below the stack that waited.
 *
 *     stax record -- ./thread_pool; stax flame; stax target lanes
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include <stax/target.h>

#define N_WORKERS 2

struct worker {
    pthread_t thread;
    stax_lane lane;
    stax_origin origin; /* of the job */
    uint64_t start_ns, end_ns;
    bool has_job, is_over;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct worker workers[N_WORKERS];

static void resize_image(void)
{
    for (volatile unsigned i = 0; i < 2000000; i++) {
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;

    pthread_mutex_lock(&lock);
    while (!worker->is_over) {
        if (!worker->has_job) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        worker->start_ns = stax_now_ns();
        resize_image();
        worker->end_ns = stax_now_ns();
        pthread_mutex_lock(&lock);
        worker->has_job = false;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void resize_all(void)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_WORKERS; i++) {
        workers[i].origin = stax_origin_capture(workers[i].lane);
        workers[i].has_job = true;
    }
    pthread_cond_broadcast(&changed);
    for (int i = 0; i < N_WORKERS; i++) {
        struct worker *worker = &workers[i];
        stax_origin waiter = stax_origin_capture(worker->lane);
        stax_span_builder span;
        while (worker->has_job) {
            pthread_cond_wait(&changed, &lock);
        }
        stax_builder_init(&span, worker->lane, "resize image", worker->origin);
        stax_builder_waited(&span, waiter, stax_now_ns());
        stax_builder_report(&span, worker->start_ns, worker->end_ns);
    }
    pthread_mutex_unlock(&lock);
}

int main(void)
{
    time_t end = time(NULL) + 2;

    for (int i = 0; i < N_WORKERS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "worker %d", i);
        workers[i].lane = stax_lane_new_kind(name, STAX_LANE_EXECUTOR);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            return 1;
        }
    }
    while (time(NULL) < end) {
        resize_all();
    }
    pthread_mutex_lock(&lock);
    for (int i = 0; i < N_WORKERS; i++) {
        workers[i].is_over = true;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < N_WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    return 0;
}
