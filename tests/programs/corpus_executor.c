/* SPDX-License-Identifier: MIT */

/*
 * An executor: two functions queue jobs of two names, one thread runs them.
 * The queueing functions work for some milliseconds around the moment in which
 * they queue, so that what was sampled next to it was sampled in them. Each job
 * has a step inside of it.
 */

#include "corpus.h"

#define JOBS_MAX 64u

struct job {
    struct series *series, *step;
    stax_origin origin;
    uint64_t length_ns;
};

static struct series decode = {
    .lane_name = "executor", .name = "decode frame", .queued_by = "corpus_submit_decode"};
static struct series decode_step = {.lane_name = "executor",
                                    .name = "read header",
                                    .outer = "decode frame",
                                    .queued_by = "corpus_submit_decode"};
static struct series encode = {
    .lane_name = "executor", .name = "encode frame", .queued_by = "corpus_submit_encode"};
static struct series encode_step = {.lane_name = "executor",
                                    .name = "write header",
                                    .outer = "encode frame",
                                    .queued_by = "corpus_submit_encode"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_job = PTHREAD_COND_INITIALIZER;
static struct job jobs[JOBS_MAX];
static unsigned n_put, n_taken;
static pthread_t submitter, executor;
static uint64_t random_state = 88172645463325252u;
static stax_lane lane;

static void put_job(const struct job *job)
{
    pthread_mutex_lock(&lock);
    if (n_put - n_taken < JOBS_MAX) {
        jobs[n_put++ % JOBS_MAX] = *job;
    }
    pthread_cond_signal(&has_job);
    pthread_mutex_unlock(&lock);
}

KEPT void corpus_submit_decode(void)
{
    CORPUS_BURN_CPU_MS(3)
    struct job job = {&decode, &decode_step, stax_origin_capture(lane),
                      50 * NS_PER_US + random_next(&random_state) % (400 * NS_PER_US)};
    put_job(&job);
    CORPUS_BURN_CPU_MS(3)
}

KEPT void corpus_submit_encode(void)
{
    CORPUS_BURN_CPU_MS(3)
    struct job job = {&encode, &encode_step, stax_origin_capture(lane),
                      200 * NS_PER_US + random_next(&random_state) % (900 * NS_PER_US)};
    put_job(&job);
    CORPUS_BURN_CPU_MS(3)
}

KEPT void *corpus_submitter(void *argument)
{
    (void)argument;
    corpus_name_thread("submitter");
    while (corpus_goes_on) {
        corpus_submit_decode();
        corpus_sleep_ns(6 * NS_PER_MS);
        corpus_submit_encode();
        corpus_sleep_ns(6 * NS_PER_MS);
    }
    return NULL;
}

KEPT static void corpus_run_job(const struct job *job)
{
    const uint64_t start_ns = stax_now_ns();
    CORPUS_BURN_NS(job->length_ns)
    const uint64_t end_ns = stax_now_ns();
    series_report(job->step, start_ns, start_ns + (end_ns - start_ns) / 3, job->origin);
    series_report(job->series, start_ns, end_ns, job->origin);
}

KEPT void *corpus_executor(void *argument)
{
    (void)argument;
    corpus_name_thread("executor");
    for (;;) {
        pthread_mutex_lock(&lock);
        while (n_put == n_taken && corpus_goes_on) {
            pthread_cond_wait(&has_job, &lock);
        }
        if (n_put == n_taken) {
            pthread_mutex_unlock(&lock);
            return NULL;
        }
        const struct job job = jobs[n_taken++ % JOBS_MAX];
        pthread_mutex_unlock(&lock);
        corpus_run_job(&job);
    }
}

void corpus_executor_start(void)
{
    lane = stax_lane_new_kind("executor", STAX_LANE_EXECUTOR);
    series_begin(&decode, lane);
    series_begin(&decode_step, lane);
    series_begin(&encode, lane);
    series_begin(&encode_step, lane);
    must(pthread_create(&submitter, NULL, corpus_submitter, NULL) == 0 &&
             pthread_create(&executor, NULL, corpus_executor, NULL) == 0,
         "pthread_create");
}

void corpus_executor_end(void)
{
    pthread_join(submitter, NULL);
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&has_job);
    pthread_mutex_unlock(&lock);
    pthread_join(executor, NULL);
}

void corpus_executor_print(FILE *truth)
{
    series_print(truth, &decode, "");
    series_print(truth, &decode_step, ", ");
    series_print(truth, &encode, ", ");
    series_print(truth, &encode_step, ", ");
}
