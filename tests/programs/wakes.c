/* SPDX-License-Identifier: MIT */

/*
 * wakes - threads that wake each other, and know who woke whom how often
 *
 * The graph: for each kind of waking three threads, `w-KIND` wakes `b-KIND` by
 * it, that wakes `c-KIND` by futex, once per round. A round begins when the
 * kernel says that both sleep off their CPU, so each wakeup ends a wait and the
 * counts are exact. `w-KIND` itself sleeps by the clock in between, and so do
 * `t-nanosleep` and `t-timerfd`: those are woken by nobody.
 *
 * The path (wake_path.c): one job that three threads do after each other, each
 * as soon as the one before wakes it.
 *
 * Truth: per edge the two threads, the function that wakes and the count; per
 * sleeper how often it wanted to sleep, and did; per stage of the path when it
 * worked.
 *
 *   --rounds N     of the graph, 200 unless given; 0: no graph
 *   --jobs N       of the path, 0 unless given
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "burn.h"
#include "truth.h"
#include "wake_futex.h"
#include "wake_path.h"

enum { FUTEX, CONDITION, EVENTFD, PIPE, KIND_N };

struct chain {
    int kind;
    pthread_t waker, second, third;
    atomic_int waker_tid, second_tid, third_tid;
    uint64_t n_rounds;
    uint64_t n_asked, n_slept;      /* by the waker, by the clock: so often it did sleep */
    atomic_ulong n_second, n_third; /* rounds that they were woken in */

    struct wake_futex futex;   /* wakes the second */
    struct wake_futex to_last; /* wakes the third */
    pthread_mutex_t lock;
    pthread_cond_t condition;
    uint64_t n_given; /* under the lock */
    int event_fd, fds[2];
};

struct sleeper {
    const char *name;
    pthread_t thread;
    atomic_int tid;
    uint64_t n_sleeps, n_slept;
};

/* The functions that stacks are asked for; not static, so that none gets another name. */
void wake_by_futex(struct chain *chain);
void wake_by_condition(struct chain *chain);
void wake_by_eventfd(struct chain *chain);
void wake_by_pipe(struct chain *chain);
void wake_the_third(struct chain *chain);
void *thread_waker(void *argument);
void *thread_second(void *argument);
void *thread_third(void *argument);
void *thread_nanosleep(void *argument);
void *thread_timerfd(void *argument);

#define KEPT __attribute__((noinline))

static void must(bool is_done, const char *what)
{
    if (!is_done) {
        perror(what);
        exit(1);
    }
}

/* How often the calling thread has left its CPU of its own accord. */
static uint64_t count_leaves(void)
{
    struct rusage usage;

    must(getrusage(RUSAGE_THREAD, &usage) == 0, "getrusage");
    return (uint64_t)usage.ru_nvcsw;
}

/* 1; or 0 where the time was over before the thread, held up, came to sleep. */
static uint64_t sleep_ns(uint64_t duration_ns)
{
    struct timespec left = {.tv_nsec = (long)duration_ns};
    const uint64_t n_leaves = count_leaves();

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    return count_leaves() > n_leaves;
}

/* One letter of /proc says that it is about to sleep; that it has left its CPU, only this does. */
static bool is_asleep(int tid)
{
    char path[64], text[64];

    snprintf(path, sizeof path, "/proc/self/task/%d/wchan", tid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, path);
    const ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return n > 0 && text[0] != '0';
}

KEPT void wake_by_futex(struct chain *chain)
{
    wake_futex_give(&chain->futex);
}

KEPT void wake_by_condition(struct chain *chain)
{
    pthread_mutex_lock(&chain->lock);
    chain->n_given++;
    pthread_mutex_unlock(&chain->lock);
    pthread_cond_signal(&chain->condition);
}

KEPT void wake_by_eventfd(struct chain *chain)
{
    const uint64_t one = 1;
    must(write(chain->event_fd, &one, sizeof one) == sizeof one, "write");
}

KEPT void wake_by_pipe(struct chain *chain)
{
    must(write(chain->fds[1], "w", 1) == 1, "write");
}

KEPT void wake_the_third(struct chain *chain)
{
    wake_futex_give(&chain->to_last);
}

static void be_woken_by_condition(struct chain *chain)
{
    pthread_mutex_lock(&chain->lock);
    while (chain->n_given == 0) {
        pthread_cond_wait(&chain->condition, &chain->lock);
    }
    chain->n_given--;
    pthread_mutex_unlock(&chain->lock);
}

static void be_woken_by_read(int fd, size_t n_bytes)
{
    char bytes[8];
    must(read(fd, bytes, n_bytes) == (ssize_t)n_bytes, "read");
}

static void be_woken(struct chain *chain)
{
    switch (chain->kind) {
    case FUTEX:
        wake_futex_take(&chain->futex);
        break;
    case CONDITION:
        be_woken_by_condition(chain);
        break;
    case EVENTFD:
        be_woken_by_read(chain->event_fd, sizeof(uint64_t));
        break;
    default:
        be_woken_by_read(chain->fds[0], 1);
    }
}

static const struct {
    const char *name, *waker_function;
    void (*wake)(struct chain *chain);
} kinds[KIND_N] = {{"futex", "wake_by_futex", wake_by_futex},
                   {"condition", "wake_by_condition", wake_by_condition},
                   {"eventfd", "wake_by_eventfd", wake_by_eventfd},
                   {"pipe", "wake_by_pipe", wake_by_pipe}};

static void introduce(atomic_int *ret_tid, const char *prefix, const char *kind)
{
    char name[16];

    snprintf(name, sizeof name, "%s-%s", prefix, kind);
    pthread_setname_np(pthread_self(), name);
    *ret_tid = gettid();
}

static void sleep_between(struct chain *chain, uint64_t duration_ns)
{
    chain->n_asked++;
    chain->n_slept += sleep_ns(duration_ns);
}

/* Ends when the round is over: both were woken, and went to sleep for the next one. */
static void await_sleepers(struct chain *chain, uint64_t n_rounds)
{
    while (chain->second_tid == 0 || chain->third_tid == 0 || chain->n_second < n_rounds ||
           chain->n_third < n_rounds || !is_asleep(chain->second_tid) ||
           !is_asleep(chain->third_tid)) {
        sleep_between(chain, 100 * NS_PER_US);
    }
}

KEPT void *thread_waker(void *argument)
{
    struct chain *chain = argument;

    introduce(&chain->waker_tid, "w", kinds[chain->kind].name);
    for (uint64_t i = 0; i < chain->n_rounds; i++) {
        await_sleepers(chain, i);
        sleep_between(chain, 200 * NS_PER_US);
        kinds[chain->kind].wake(chain);
    }
    return NULL;
}

KEPT void *thread_second(void *argument)
{
    struct chain *chain = argument;

    introduce(&chain->second_tid, "b", kinds[chain->kind].name);
    for (uint64_t i = 0; i < chain->n_rounds; i++) {
        be_woken(chain);
        wake_the_third(chain);
        chain->n_second++;
    }
    return NULL;
}

KEPT void *thread_third(void *argument)
{
    struct chain *chain = argument;

    introduce(&chain->third_tid, "c", kinds[chain->kind].name);
    for (uint64_t i = 0; i < chain->n_rounds; i++) {
        wake_futex_take(&chain->to_last);
        chain->n_third++;
    }
    return NULL;
}

KEPT void *thread_nanosleep(void *argument)
{
    struct sleeper *sleeper = argument;

    introduce(&sleeper->tid, "t", sleeper->name);
    for (uint64_t i = 0; i < sleeper->n_sleeps; i++) {
        sleeper->n_slept += sleep_ns(NS_PER_MS);
    }
    return NULL;
}

KEPT void *thread_timerfd(void *argument)
{
    struct sleeper *sleeper = argument;
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const struct itimerspec once = {.it_value.tv_nsec = (long)NS_PER_MS};
    uint64_t n_expired;

    introduce(&sleeper->tid, "t", sleeper->name);
    for (uint64_t i = 0; i < sleeper->n_sleeps; i++) {
        const uint64_t n_leaves = count_leaves();
        must(timerfd_settime(fd, 0, &once, NULL) == 0, "timerfd_settime");
        must(read(fd, &n_expired, sizeof n_expired) == sizeof n_expired, "read");
        sleeper->n_slept += count_leaves() > n_leaves;
    }
    close(fd);
    return NULL;
}

static void start(pthread_t *ret_thread, void *(*function)(void *argument), void *argument)
{
    errno = pthread_create(ret_thread, NULL, function, argument);
    must(errno == 0, "pthread_create");
}

static void chain_start(struct chain *chain, int kind, uint64_t n_rounds)
{
    chain->kind = kind;
    chain->n_rounds = n_rounds;
    pthread_mutex_init(&chain->lock, NULL);
    pthread_cond_init(&chain->condition, NULL);
    chain->event_fd = eventfd(0, EFD_CLOEXEC);
    must(chain->event_fd >= 0 && pipe(chain->fds) == 0, "eventfd, pipe");
    start(&chain->third, thread_third, chain);
    start(&chain->second, thread_second, chain);
    start(&chain->waker, thread_waker, chain);
}

static void run_graph(struct chain chains[KIND_N], struct sleeper sleepers[2], uint64_t n_rounds)
{
    static void *(*const functions[2])(void *argument) = {thread_nanosleep, thread_timerfd};

    for (int kind = 0; kind < KIND_N; kind++) {
        chain_start(&chains[kind], kind, n_rounds);
    }
    for (int i = 0; i < 2; i++) {
        sleepers[i].n_sleeps = n_rounds;
        start(&sleepers[i].thread, functions[i], &sleepers[i]);
    }
    for (int kind = 0; kind < KIND_N; kind++) {
        pthread_join(chains[kind].waker, NULL);
        pthread_join(chains[kind].second, NULL);
        pthread_join(chains[kind].third, NULL);
    }
    pthread_join(sleepers[0].thread, NULL);
    pthread_join(sleepers[1].thread, NULL);
}

static void print_edge(FILE *truth, const struct chain *chain, bool is_second)
{
    const char *name = kinds[chain->kind].name;

    fprintf(truth, "{\"kind\": \"%s\", \"count\": %lu, ", is_second ? "futex" : name,
            chain->n_rounds);
    fprintf(truth, "\"waker_tid\": %d, \"waker_name\": \"%s-%s\", ",
            is_second ? chain->second_tid : chain->waker_tid, is_second ? "b" : "w", name);
    fprintf(truth, "\"wakee_tid\": %d, \"wakee_name\": \"%s-%s\", ",
            is_second ? chain->third_tid : chain->second_tid, is_second ? "c" : "b", name);
    fprintf(truth, "\"waker_function\": \"%s\", \"waker_thread_function\": \"%s\"}",
            is_second ? "wake_the_third" : kinds[chain->kind].waker_function,
            is_second ? "thread_second" : "thread_waker");
}

static void print_graph(FILE *truth, const struct chain *chains, const struct sleeper *sleepers)
{
    fprintf(truth, "\"edges\": [");
    for (int kind = 0; kind < KIND_N && chains[0].n_rounds > 0; kind++) {
        fprintf(truth, kind > 0 ? ", " : "");
        print_edge(truth, &chains[kind], false);
        fprintf(truth, ", ");
        print_edge(truth, &chains[kind], true);
    }
    fprintf(truth, "], \"sleepers\": [");
    for (int i = 0; i < 2 && chains[0].n_rounds > 0; i++) {
        fprintf(truth, "%s{\"tid\": %d, \"name\": \"t-%s\", \"asked\": %lu, \"count\": %lu}",
                i > 0 ? ", " : "", sleepers[i].tid, sleepers[i].name, sleepers[i].n_sleeps,
                sleepers[i].n_slept);
    }
    for (int kind = 0; kind < KIND_N && chains[0].n_rounds > 0; kind++) {
        fprintf(truth, ", {\"tid\": %d, \"name\": \"w-%s\", \"asked\": %lu, \"count\": %lu}",
                chains[kind].waker_tid, kinds[kind].name, chains[kind].n_asked,
                chains[kind].n_slept);
    }
    fprintf(truth, "]");
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    static struct chain chains[KIND_N];
    static struct sleeper sleepers[2] = {{.name = "nanosleep"}, {.name = "timerfd"}};
    static struct wake_path path;
    uint64_t n_rounds = 200, n_jobs = 0;
    const char *out = NULL;

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'r') {
            n_rounds = option_count(optarg, "--rounds");
        } else if (c == 'j') {
            n_jobs = option_count(optarg, "--jobs");
        } else if (c == 'o') {
            out = optarg;
        } else {
            option_usage("wakes [--rounds N] [--jobs N] [--out FILE]");
        }
    }
    const uint64_t iterations_per_ms = burn_calibrate();
    prctl(PR_SET_TIMERSLACK, 1); /* threads inherit it */
    if (n_rounds > 0) {
        run_graph(chains, sleepers, n_rounds);
    }
    wake_path_run(&path, n_jobs, iterations_per_ms);

    FILE *truth = truth_open(out);
    fprintf(truth, "{\"program\": \"wakes\", \"pid\": %d, \"main_tid\": %d, ", getpid(), gettid());
    print_graph(truth, chains, sleepers);
    fprintf(truth, ", ");
    wake_path_print(&path, truth);
    fprintf(truth, "}");
    truth_close(truth);
    return 0;
}
