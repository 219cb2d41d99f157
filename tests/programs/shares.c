/* SPDX-License-Identifier: MIT */

/*
 * shares - three functions that take 50, 30 and 20 % of the CPU
 *
 *   serve → parse → work_50,   serve → render → work_30,   housekeep → work_20
 *
 * Modes (what is dealt is a shuffled deck, so that no period can fall into
 * step with a sampling timer, while the shares stay exact):
 *   plain              turns of 2–18 ms, back to back
 *   --burst-us N       turns of N µs of CPU, a sleep after each
 *   --burst-mix        turns of 3 ms, 1 ms and 0.2 ms for work_50, _30, _20
 *   --thread-ms N      threads that live N ms of CPU and run all three in order
 * Truth: CLOCK_THREAD_CPUTIME_ID around every turn, per function; per thread
 * as the last thing it does.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"

/*
 * Even with -fno-omit-frame-pointer gcc sets up no frame in a function that calls
 * nothing and keeps nothing on its stack; its caller is then missing from every
 * frame-pointer chain. Asking for the frame's address makes it set one up.
 */
#ifdef FRAMELESS_LEAVES
#define LEAF_FRAME()
#else
#define LEAF_FRAME() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))
#endif

#define FUNCTION_N 3
#define DECK_MAX 64
#define THREADS_TOLD_MAX 512

static const char usage[] = "shares [--seconds S] [--threads N] [--burst-us N | --burst-mix | "
                            "--thread-ms N] [--sleep-us N] [--out FILE]";

struct options {
    double seconds;
    uint64_t n_threads, burst_us, thread_ms, sleep_us;
    bool burst_mix, has_sleep;
    const char *out;
};

struct account {
    uint64_t cpu_ns[FUNCTION_N], turns[FUNCTION_N], iterations;
};

struct worker {
    pthread_t thread;
    int64_t tid;
    uint64_t seed, cpu_ns;
    struct account account;
};

struct lives { /* of --thread-ms: every thread that ever lived */
    pthread_mutex_t lock;
    struct account account;
    uint64_t n_lived, cpu_ns;
};

static struct options options = {.seconds = 10, .n_threads = 1};
static uint64_t iterations_per_ms, end_ns;
static struct lives lives = {.lock = PTHREAD_MUTEX_INITIALIZER};

void work_50(uint64_t n_iterations);
void work_30(uint64_t n_iterations);
void work_20(uint64_t n_iterations);
void parse(uint64_t n_iterations, struct account *account);
void render(uint64_t n_iterations, struct account *account);
void serve(int function, uint64_t n_iterations, struct account *account);
void housekeep(uint64_t n_iterations, struct account *account);

__attribute__((noinline)) void work_50(uint64_t n_iterations)
{
    uint64_t x = 50;

    LEAF_FRAME();
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(6364136223846793005));
    }
}

__attribute__((noinline)) void work_30(uint64_t n_iterations)
{
    uint64_t x = 30;

    LEAF_FRAME();
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(2862933555777941757));
    }
}

__attribute__((noinline)) void work_20(uint64_t n_iterations)
{
    uint64_t x = 20;

    LEAF_FRAME();
    for (uint64_t i = 0; i < n_iterations; i++) {
        BURN_STEP(x, UINT64_C(3202034522624059733));
    }
}

static void book(struct account *account, int function, uint64_t start_ns, uint64_t n_iterations)
{
    account->cpu_ns[function] += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
    account->turns[function]++;
    account->iterations += n_iterations;
}

__attribute__((noinline)) void parse(uint64_t n_iterations, struct account *account)
{
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    work_50(n_iterations);
    book(account, 0, start_ns, n_iterations);
}

__attribute__((noinline)) void render(uint64_t n_iterations, struct account *account)
{
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    work_30(n_iterations);
    book(account, 1, start_ns, n_iterations);
}

__attribute__((noinline)) void housekeep(uint64_t n_iterations, struct account *account)
{
    const uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    work_20(n_iterations);
    book(account, 2, start_ns, n_iterations);
}

__attribute__((noinline)) void serve(int function, uint64_t n_iterations, struct account *account)
{
    if (function == 0) {
        parse(n_iterations, account);
    } else {
        render(n_iterations, account);
    }
}

static void take_turn(int function, uint64_t cpu_ns, struct account *account)
{
    const uint64_t n_iterations = burn_iterations(iterations_per_ms, cpu_ns);

    if (function == 2) {
        housekeep(n_iterations, account);
    } else {
        serve(function, n_iterations, account);
    }
}

static void shuffle(int *deck, size_t n_cards, uint64_t *seed)
{
    for (size_t i = n_cards - 1; i > 0; i--) {
        const size_t other = random_next(seed) % (i + 1);
        const int card = deck[i];
        deck[i] = deck[other];
        deck[other] = card;
    }
}

static void sleep_us(uint64_t us)
{
    const struct timespec pause = {.tv_sec = (time_t)(us / 1000000),
                                   .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&pause, NULL);
}

/* 5:3:2 turns of equal length, or 5:9:30 turns of 3, 1 and 0.2 ms: both make 50:30:20. */
static size_t fill_deck(int *deck)
{
    static const int equal[FUNCTION_N] = {5, 3, 2}, mixed[FUNCTION_N] = {5, 9, 30};
    const int *counts = options.burst_mix ? mixed : equal;
    size_t n_cards = 0;

    for (int function = 0; function < FUNCTION_N; function++) {
        for (int i = 0; i < counts[function]; i++) {
            deck[n_cards++] = function;
        }
    }
    return n_cards;
}

static uint64_t turn_cpu_ns(int function, uint64_t *seed)
{
    static const uint64_t mix_us[FUNCTION_N] = {3000, 1000, 200};

    if (options.burst_mix) {
        return mix_us[function] * NS_PER_US;
    }
    if (options.burst_us > 0) {
        return options.burst_us * NS_PER_US;
    }
    return 2 * NS_PER_MS + random_next(seed) % (16 * NS_PER_MS);
}

static void *deal_turns(void *argument)
{
    struct worker *worker = argument;
    int deck[DECK_MAX];
    const size_t n_cards = fill_deck(deck);

    worker->tid = syscall(SYS_gettid);
    for (size_t i = 0; clock_ns(CLOCK_MONOTONIC) < end_ns; i++) {
        if (i % n_cards == 0) {
            shuffle(deck, n_cards, &worker->seed);
        }
        const int function = deck[i % n_cards];
        take_turn(function, turn_cpu_ns(function, &worker->seed), &worker->account);
        if (options.sleep_us > 0) {
            sleep_us(options.sleep_us);
        }
    }
    worker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void *live_shortly(void *argument)
{
    struct account account = {0};
    const uint64_t unit_ns = options.thread_ms * NS_PER_MS / 10;

    (void)argument;
    take_turn(0, 5 * unit_ns, &account);
    take_turn(1, 3 * unit_ns, &account);
    take_turn(2, 2 * unit_ns, &account);
    pthread_mutex_lock(&lives.lock);
    for (int i = 0; i < FUNCTION_N; i++) {
        lives.account.cpu_ns[i] += account.cpu_ns[i];
        lives.account.turns[i] += account.turns[i];
    }
    lives.account.iterations += account.iterations;
    lives.n_lived++;
    lives.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID);
    pthread_mutex_unlock(&lives.lock);
    return NULL;
}

static void *raise_threads(void *argument)
{
    struct worker *worker = argument;

    worker->tid = syscall(SYS_gettid);
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live_shortly, NULL) != 0) {
            break;
        }
        pthread_join(thread, NULL);
        if (options.sleep_us > 0) {
            sleep_us(options.sleep_us);
        }
    }
    worker->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void tell(const struct worker *workers, uint64_t wall_ns)
{
    static const char *const names[FUNCTION_N] = {"work_50", "work_30", "work_20"};
    struct account sum = lives.account;
    uint64_t cpu_ns = lives.cpu_ns, work_ns = 0;
    FILE *truth = truth_open(options.out);

    for (uint64_t t = 0; t < options.n_threads; t++) {
        for (int i = 0; i < FUNCTION_N; i++) {
            sum.cpu_ns[i] += workers[t].account.cpu_ns[i];
            sum.turns[i] += workers[t].account.turns[i];
        }
        sum.iterations += workers[t].account.iterations;
        cpu_ns += workers[t].cpu_ns;
    }
    for (int i = 0; i < FUNCTION_N; i++) {
        work_ns += sum.cpu_ns[i];
    }
    fprintf(truth, "{\"program\": \"shares\", \"pid\": %d, \"wall_ns\": %lu, \"cpu_ns\": %lu, ",
            getpid(), wall_ns, cpu_ns);
    fprintf(truth, "\"process_cpu_ns\": %lu, \"iterations\": %lu, \"threads_lived\": %lu, ",
            clock_ns(CLOCK_PROCESS_CPUTIME_ID), sum.iterations, lives.n_lived);
    fprintf(truth, "\"functions\": {");
    for (int i = 0; i < FUNCTION_N; i++) {
        fprintf(truth, "%s\"%s\": {\"cpu_ns\": %lu, \"turns\": %lu, \"pct\": %.4f}",
                i == 0 ? "" : ", ", names[i], sum.cpu_ns[i], sum.turns[i],
                work_ns == 0 ? 0.0 : 100.0 * (double)sum.cpu_ns[i] / (double)work_ns);
    }
    fprintf(truth, "}, \"threads\": [");
    for (uint64_t t = 0; t < options.n_threads && t < THREADS_TOLD_MAX; t++) {
        fprintf(truth, "%s{\"tid\": %ld, \"cpu_ns\": %lu}", t == 0 ? "" : ", ", workers[t].tid,
                workers[t].cpu_ns);
    }
    fprintf(truth, "]}");
    truth_close(truth);
}

static void parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"seconds", required_argument, NULL, 's'},   {"threads", required_argument, NULL, 't'},
        {"burst-us", required_argument, NULL, 'b'},  {"burst-mix", no_argument, NULL, 'm'},
        {"thread-ms", required_argument, NULL, 'l'}, {"sleep-us", required_argument, NULL, 'z'},
        {"out", required_argument, NULL, 'o'},       {NULL, 0, NULL, 0}};

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (c) {
        case 's':
            options.seconds = option_number(optarg, "--seconds");
            break;
        case 't':
            options.n_threads = option_count(optarg, "--threads");
            break;
        case 'b':
            options.burst_us = option_count(optarg, "--burst-us");
            break;
        case 'm':
            options.burst_mix = true;
            break;
        case 'l':
            options.thread_ms = option_count(optarg, "--thread-ms");
            break;
        case 'z':
            options.sleep_us = option_count(optarg, "--sleep-us");
            options.has_sleep = true;
            break;
        case 'o':
            options.out = optarg;
            break;
        default:
            option_usage(usage);
        }
    }
    if (optind != argc || options.n_threads == 0) {
        option_usage(usage);
    }
    if (!options.has_sleep && options.burst_mix) {
        options.sleep_us = 300;
    } else if (!options.has_sleep && options.burst_us > 0) {
        options.sleep_us = options.burst_us;
    }
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    struct worker *workers = calloc(options.n_threads, sizeof *workers);
    if (workers == NULL) {
        return 1;
    }
    iterations_per_ms = burn_calibrate();
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    end_ns = start_ns + (uint64_t)(options.seconds * 1e9);

    void *(*const job)(void *) = options.thread_ms > 0 ? raise_threads : deal_turns;
    for (uint64_t t = 0; t < options.n_threads; t++) {
        workers[t].seed = 88172645463325252u + t * 7919;
        if (t > 0 && pthread_create(&workers[t].thread, NULL, job, &workers[t]) != 0) {
            return 1;
        }
    }
    job(&workers[0]); /* the main thread is the first worker */
    for (uint64_t t = 1; t < options.n_threads; t++) {
        pthread_join(workers[t].thread, NULL);
    }
    workers[0].cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    tell(workers, clock_ns(CLOCK_MONOTONIC) - start_ns);
    free(workers);
    return 0;
}
