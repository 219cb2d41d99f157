/* SPDX-License-Identifier: MIT */

/*
 * A device with a clock: it runs one kernel after another, each as long as a
 * table says, and tells when each began and ended. One thread queues kernels
 * and never waits for any (asynchronous); another queues one and waits until it
 * has ended (synchronous), and says so.
 */

#include "corpus.h"

static struct series matmul = {
    .lane_name = "GPU 0", .name = "matmul", .queued_by = "corpus_queue_kernels"};
static struct series softmax = {
    .lane_name = "GPU 0", .name = "softmax", .queued_by = "corpus_queue_kernels"};
static struct series readback = {
    .lane_name = "GPU copy", .name = "read back", .queued_by = "corpus_wait_for_copy"};

static stax_lane compute, copy;
static pthread_t queueing, waiting;

/* What ends in the future is told when it has ended, as devices do. */
static void sleep_until(uint64_t until_ns)
{
    for (uint64_t now_ns = stax_now_ns(); now_ns <= until_ns; now_ns = stax_now_ns()) {
        corpus_sleep_ns(until_ns - now_ns + 1);
    }
}

static void report_matmul(uint64_t start_ns, uint64_t end_ns, stax_origin origin, uint64_t dispatch)
{
    static const uint32_t shape[] = {64, 128};
    stax_span_builder builder;

    stax_builder_init(&builder, compute, matmul.name, origin);
    stax_builder_ids(&builder, 1, dispatch / 2 + 1, dispatch);
    stax_builder_source(&builder, "kernels/matmul.metal", 42, "matmul_tiled");
    stax_builder_counter(&builder, "flops", 2.0 * 64 * 128, "flop");
    stax_builder_attachment(&builder, "weights", sizeof(float) * 64 * 128, shape, 2);
    stax_builder_completed(&builder, stax_origin_capture(compute));
    if (stax_recording_active()) {
        stax_builder_report(&builder, start_ns, end_ns);
        series_note(&matmul, end_ns - start_ns);
    }
}

/* Works around the moment in which it queues; see corpus_executor.c. */
KEPT stax_origin corpus_queue_kernels(void)
{
    CORPUS_BURN_CPU_MS(3)
    const stax_origin origin = stax_origin_capture(compute);
    CORPUS_BURN_CPU_MS(3)
    return origin;
}

KEPT void *corpus_queueing(void *argument)
{
    uint64_t state = 2463534242u, free_ns = 0, dispatch = 0;

    (void)argument;
    corpus_name_thread("queueing");
    while (corpus_goes_on) {
        const stax_origin origin = corpus_queue_kernels();
        const uint64_t now_ns = stax_now_ns();
        const uint64_t first_ns = now_ns > free_ns ? now_ns : free_ns;
        const uint64_t second_ns =
            first_ns + 20 * NS_PER_US + random_next(&state) % (4 * NS_PER_MS);
        const uint64_t end_ns = second_ns + 3 * NS_PER_US + random_next(&state) % NS_PER_MS;
        free_ns = end_ns;
        sleep_until(end_ns);
        report_matmul(first_ns, second_ns, origin, ++dispatch);
        series_report(&softmax, second_ns, end_ns, origin);
        corpus_sleep_ns(5 * NS_PER_MS);
    }
    return NULL;
}

/* The wait that proves that a CPU thread needed the copy: begun in this function. */
KEPT stax_origin corpus_wait_for_copy(uint64_t end_ns)
{
    const stax_origin waiter = stax_origin_capture(copy);
    sleep_until(end_ns);
    return waiter;
}

KEPT void *corpus_waiting(void *argument)
{
    uint64_t state = 123456789u;

    (void)argument;
    corpus_name_thread("waiting");
    while (corpus_goes_on) {
        const uint64_t start_ns = stax_now_ns();
        const uint64_t end_ns = start_ns + 500 * NS_PER_US + random_next(&state) % (3 * NS_PER_MS);
        const stax_origin waiter = corpus_wait_for_copy(end_ns);
        const uint64_t woken_ns = stax_now_ns();
        stax_span_builder builder;
        stax_builder_init(&builder, copy, readback.name, waiter);
        stax_builder_waited(&builder, waiter, woken_ns);
        if (stax_recording_active() && waiter.tid != 0) {
            stax_builder_report(&builder, start_ns, end_ns);
            series_note(&readback, end_ns - start_ns);
            readback.n_waits++;
            readback.waited_ns += end_ns - waiter.time_ns;
        }
        corpus_sleep_ns(7 * NS_PER_MS);
    }
    return NULL;
}

void corpus_gpu_start(void)
{
    compute = stax_lane_new_kind("GPU 0", STAX_LANE_GPU);
    copy = stax_lane_new_kind("GPU copy", STAX_LANE_GPU);
    series_begin(&matmul, compute);
    series_begin(&softmax, compute);
    series_begin(&readback, copy);
    must(pthread_create(&queueing, NULL, corpus_queueing, NULL) == 0 &&
             pthread_create(&waiting, NULL, corpus_waiting, NULL) == 0,
         "pthread_create");
}

void corpus_gpu_end(void)
{
    pthread_join(queueing, NULL);
    pthread_join(waiting, NULL);
}

void corpus_gpu_print(FILE *truth)
{
    series_print(truth, &matmul, ", ");
    series_print(truth, &softmax, ", ");
    series_print(truth, &readback, ", ");
}
