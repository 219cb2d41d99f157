/* SPDX-License-Identifier: MIT */

/*
 * stax-corpus - one program that shows all that target spans can be
 *
 * Hot loops with stable names, sleeps and waits for a lock; an executor whose
 * jobs are queued by two known functions; a device with timestamps of its own,
 * kernels that somebody waits for and kernels that nobody does; and origins
 * that are broken in every way there is.
 *
 * Truth: per lane and name count, total, minimum, maximum and percentiles of
 * the spans that were reported while somebody recorded, who queued them, how
 * long they were waited for; what each broken origin is broken by; the CPU time
 * of the hot loops.
 */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "corpus.h"
#include "truth.h"

atomic_bool corpus_goes_on = true;
uint64_t corpus_iterations_per_ms;

void must(int is_done, const char *what)
{
    if (!is_done) {
        perror(what);
        exit(1);
    }
}

void corpus_name_thread(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}

void corpus_sleep_ns(uint64_t duration_ns)
{
    struct timespec left = {.tv_sec = (time_t)(duration_ns / NS_PER_S),
                            .tv_nsec = (long)(duration_ns % NS_PER_S)};

    while (nanosleep(&left, &left) != 0) {
    }
}

void series_begin(struct series *series, stax_lane lane)
{
    series->lane = lane;
    series->id = series->outer ? stax_name_inside(stax_name(series->outer), series->name)
                               : stax_name(series->name);
}

void series_note(struct series *series, uint64_t length_ns)
{
    if (series->n_spans == series->capacity) {
        series->capacity = series->capacity ? 2 * series->capacity : 1024;
        series->lengths_ns =
            realloc(series->lengths_ns, series->capacity * sizeof *series->lengths_ns);
        must(series->lengths_ns != NULL, "realloc");
    }
    series->lengths_ns[series->n_spans++] = length_ns;
}

void series_report(struct series *series, uint64_t start_ns, uint64_t end_ns, stax_origin origin)
{
    if (stax_recording_active()) {
        stax_span_report_named(series->lane, series->id, start_ns, end_ns, origin);
        series_note(series, end_ns - start_ns);
    }
}

static int by_length(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;

    return (*one > *other) - (*one < *other);
}

/* The length that at least this part of all spans does not exceed. */
static uint64_t percentile(const struct series *series, unsigned percent)
{
    size_t rank = (series->n_spans * percent + 99) / 100;

    return series->lengths_ns[rank ? rank - 1 : 0];
}

void series_print(FILE *truth, const struct series *series, const char *before)
{
    uint64_t total_ns = 0;

    fprintf(truth, "%s{\"lane\": \"%s\", \"name\": \"%s\", \"count\": %zu", before,
            series->lane_name, series->name, series->n_spans);
    for (size_t i = 0; i < series->n_spans; i++) {
        total_ns += series->lengths_ns[i];
    }
    fprintf(truth, ", \"total_ns\": %lu", total_ns);
    if (series->outer) {
        fprintf(truth, ", \"outer\": \"%s\"", series->outer);
    }
    if (series->queued_by) {
        fprintf(truth, ", \"queued_by\": \"%s\"", series->queued_by);
    }
    if (series->n_waits > 0) {
        fprintf(truth, ", \"waits\": %lu, \"waited_ns\": %lu", series->n_waits, series->waited_ns);
    }
    if (series->n_spans > 0) {
        qsort(series->lengths_ns, series->n_spans, sizeof *series->lengths_ns, by_length);
        fprintf(truth,
                ", \"min_ns\": %lu, \"max_ns\": %lu, \"p50_ns\": %lu, \"p95_ns\": %lu"
                ", \"p99_ns\": %lu",
                series->lengths_ns[0], series->lengths_ns[series->n_spans - 1],
                percentile(series, 50), percentile(series, 95), percentile(series, 99));
    }
    fputc('}', truth);
}

/* Until somebody records; 0: does not wait. */
static void await_recording(double seconds)
{
    uint64_t until_ns = stax_now_ns() + (uint64_t)(seconds * 1e9);

    while (!stax_recording_active() && stax_now_ns() < until_ns) {
        corpus_sleep_ns(NS_PER_MS);
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"seconds", required_argument, NULL, 's'},
                                          {"wait", required_argument, NULL, 'w'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    double seconds = 3, wait_seconds = 0;
    const char *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 's') {
            seconds = option_number(optarg, "--seconds");
        } else if (c == 'w') {
            wait_seconds = option_number(optarg, "--wait");
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("stax-corpus [--seconds S] [--wait S] [--out FILE]\n"
                         "  --wait S  begin when somebody records, or after so many seconds");
        }
    }
    FILE *truth = truth_open(out);
    stax_lane_new_kind("executor", STAX_LANE_EXECUTOR);
    await_recording(wait_seconds);
    corpus_iterations_per_ms = burn_calibrate();
    corpus_cpu_start();
    corpus_executor_start();
    corpus_gpu_start();
    corpus_origins_start();
    corpus_sleep_ns((uint64_t)(seconds * 1e9));
    corpus_goes_on = false;
    corpus_origins_end();
    corpus_gpu_end();
    corpus_executor_end();
    corpus_cpu_end();

    stax_stats stats = {.size = sizeof stats};
    stax_target_stats(&stats);
    fprintf(truth,
            "{\"program\": \"corpus\", \"pid\": %d, \"queued\": %lu, \"dropped\": %lu, \"cpu\": {",
            getpid(), stats.n_queued, stats.n_dropped_full + stats.n_dropped_no_server);
    corpus_cpu_print(truth);
    fputs("}, \"series\": [", truth);
    corpus_executor_print(truth);
    corpus_gpu_print(truth);
    fputs("], \"origins\": {", truth);
    corpus_origins_print(truth);
    fputs("}}", truth);
    truth_close(truth);
    return 0;
}
