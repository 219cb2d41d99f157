/* SPDX-License-Identifier: MIT */
#include "wake_path.h"

#include <stdlib.h>
#include <unistd.h>

#include "burn.h"

uint64_t compute_a(uint64_t n_iterations);
uint64_t compute_b(uint64_t n_iterations);
uint64_t compute_c(uint64_t n_iterations);
void pass_on(struct wake_stage *stage);
void *thread_of_stage(void *argument);
void *thread_of_nothing(void *argument);

#define KEPT __attribute__((noinline))

#define COMPUTE(stage, constant)                                                                   \
    KEPT uint64_t compute_##stage(uint64_t n_iterations)                                           \
    {                                                                                              \
        uint64_t x = 1;                                                                            \
        for (uint64_t i = 0; i < n_iterations; i++) {                                              \
            BURN_STEP(x, UINT64_C(constant));                                                      \
        }                                                                                          \
        return x;                                                                                  \
    }

COMPUTE(a, 6364136223846793005)
COMPUTE(b, 2862933555777941757)
COMPUTE(c, 3202034522624059733)

KEPT void pass_on(struct wake_stage *stage)
{
    wake_futex_give(stage->next);
}

KEPT void *thread_of_stage(void *argument)
{
    struct wake_stage *stage = argument;

    pthread_setname_np(pthread_self(), stage->name);
    stage->tid = gettid();
    for (uint64_t i = 0; i < stage->n_jobs; i++) {
        wake_futex_take(&stage->begin);
        const uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        stage->start_ns[i] = clock_ns(CLOCK_MONOTONIC);
        stage->compute(stage->n_iterations);
        stage->end_ns[i] = clock_ns(CLOCK_MONOTONIC);
        stage->cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
        pass_on(stage);
    }
    return NULL;
}

KEPT void *thread_of_nothing(void *argument)
{
    pthread_setname_np(pthread_self(), "job-idle");
    wake_futex_take(argument);
    return NULL;
}

static uint64_t *times(uint64_t n)
{
    uint64_t *array = calloc(n, sizeof *array);
    if (array == NULL) {
        exit(1);
    }
    return array;
}

void wake_path_run(struct wake_path *path, uint64_t n_jobs, uint64_t iterations_per_ms)
{
    static const struct wake_stage stages[WAKE_STAGE_N] = {
        {.name = "job-a", .function = "compute_a", .compute = compute_a, .n_iterations = 3},
        {.name = "job-b", .function = "compute_b", .compute = compute_b, .n_iterations = 7},
        {.name = "job-c", .function = "compute_c", .compute = compute_c, .n_iterations = 11}};
    struct wake_futex end = {.n_given = 0};
    pthread_t idle;

    path->n_jobs = n_jobs < WAKE_MOST_JOBS ? n_jobs : WAKE_MOST_JOBS;
    if (n_jobs == 0 || pthread_create(&idle, NULL, thread_of_nothing, &end) != 0) {
        return;
    }
    for (int i = 0; i < WAKE_STAGE_N; i++) {
        struct wake_stage *stage = &path->stages[i];
        *stage = stages[i];
        stage->n_jobs = path->n_jobs;
        stage->n_iterations *= iterations_per_ms;
        stage->next = i + 1 < WAKE_STAGE_N ? &path->stages[i + 1].begin : &path->done;
        stage->start_ns = times(path->n_jobs);
        stage->end_ns = times(path->n_jobs);
    }
    for (int i = 0; i < WAKE_STAGE_N; i++) {
        if (pthread_create(&path->stages[i].thread, NULL, thread_of_stage, &path->stages[i]) != 0) {
            exit(1);
        }
    }
    path->start_ns = clock_ns(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < path->n_jobs; i++) {
        wake_futex_give(&path->stages[0].begin);
        wake_futex_take(&path->done);
    }
    path->end_ns = clock_ns(CLOCK_MONOTONIC);
    wake_futex_give(&end);
    for (int i = 0; i < WAKE_STAGE_N; i++) {
        pthread_join(path->stages[i].thread, NULL);
    }
    pthread_join(idle, NULL);
}

void wake_path_print(const struct wake_path *path, FILE *truth)
{
    fprintf(truth, "\"path\": {\"jobs\": %lu, \"start_ns\": %lu, \"end_ns\": %lu, \"stages\": [",
            path->n_jobs, path->start_ns, path->end_ns);
    for (int i = 0; i < WAKE_STAGE_N && path->n_jobs > 0; i++) {
        const struct wake_stage *stage = &path->stages[i];
        fprintf(truth, "%s{\"tid\": %d, \"name\": \"%s\", \"function\": \"%s\", \"cpu_ns\": %lu, ",
                i > 0 ? ", " : "", stage->tid, stage->name, stage->function, stage->cpu_ns);
        fprintf(truth, "\"waker_function\": \"pass_on\", \"worked\": [");
        for (uint64_t k = 0; k < stage->n_jobs; k++) {
            fprintf(truth, "%s[%lu, %lu]", k > 0 ? ", " : "", stage->start_ns[k],
                    stage->end_ns[k] - stage->start_ns[k]);
        }
        fprintf(truth, "]}");
    }
    fprintf(truth, "]}");
}
