/* SPDX-License-Identifier: MIT */
/*
 * archive_times FOLDER ROUNDS SAMPLES STACKS DEPTH TAIL SWITCHES - what it takes
 * to save a run and to open it again
 *
 * Makes a run of SAMPLES samples in STACKS distinct stacks of DEPTH frames, of
 * which two have all but about TAIL frames in common with another, on 4 CPUs at
 * 900 Hz, with SWITCHES of 16 threads for 100 samples. Then it is saved and
 * opened ROUNDS times in each container. Prints one JSON object.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/run_history.h"
#include "base/hash_table.h"

#define PID 1000
#define ROUNDS_MAX 100u
#define N_THREADS 16u
#define N_CPUS 4u
#define N_FUNCTIONS 8000u
#define FUNCTION_BYTES 256u
#define CODE_IP UINT64_C(0x400000)
#define DEPTH_MAX 200u
#define PERIOD_NS UINT64_C(1111111)

struct making {
    struct aggregate *aggregate;
    uint64_t random;
    uint64_t *ips; /* n_stacks × depth, innermost first */
    uint64_t n_stacks, n_depth, n_tail;
    uint64_t now_ns;
    uint32_t running[N_CPUS];
    bool is_busy[N_THREADS];
    uint32_t serials[N_THREADS];
};

static uint64_t below(struct making *making, uint64_t bound)
{
    making->random = making->random * 6364136223846793005u + 1442695040888963407u;
    return bound > 0 ? (making->random >> 24) % bound : 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A place in the function that the one at `caller` calls: one function mostly, seldom another. */
static uint64_t callee_of(struct making *making, uint64_t caller)
{
    uint64_t choice = below(making, 100) < 85 ? 0 : 1 + below(making, 3);
    uint64_t function = hash_u64(4 * caller + choice) % N_FUNCTIONS;
    return CODE_IP + FUNCTION_BYTES * function + 9 * below(making, 8);
}

/* Each stack is another one up to some depth, and goes on from there by itself. */
static void make_stacks(struct making *making)
{
    for (uint64_t i = 0; i < making->n_stacks; i++) {
        uint64_t *ips = making->ips + i * making->n_depth;
        uint64_t n_own = i == 0 ? making->n_depth : 1;
        while (i > 0 && n_own < making->n_depth && below(making, making->n_tail) > 0) {
            n_own++;
        }
        if (i > 0) {
            memcpy(ips, making->ips + below(making, i) * making->n_depth,
                   making->n_depth * sizeof(*ips));
        }
        for (uint64_t k = n_own; k-- > 0;) {
            uint64_t caller = k + 1 < making->n_depth ? ips[k + 1] : 0;
            ips[k] = callee_of(making, caller);
        }
    }
}

static struct event event_of(const struct making *making, enum event_kind kind, uint32_t thread)
{
    return (struct event){
        .kind = kind, .time_ns = making->now_ns, .pid = PID, .tid = PID + (int64_t)thread};
}

static void tell(struct making *making, const struct event *event)
{
    if (aggregate_apply(making->aggregate, event, 1) != 0) {
        exit(1);
    }
}

/* Every stack once, at even distances; and in between some of them far more often than others:
 * the first half as often as the first quarter, that as often as the first eighth. */
static const uint64_t *some_stack(struct making *making, uint64_t i, uint64_t n_samples)
{
    uint64_t n_met = i * making->n_stacks / n_samples;
    uint64_t number = n_met;
    if ((i + 1) * making->n_stacks / n_samples == n_met) {
        unsigned int n_halvings = 0;
        while (making->n_stacks >> n_halvings > 1) {
            n_halvings++;
        }
        number = below(making, making->n_stacks >> below(making, n_halvings));
    }
    return making->ips + number * making->n_depth;
}

static void switch_cpu(struct making *making, uint32_t cpu)
{
    uint32_t thread = making->running[cpu];
    struct event out = event_of(making, EVENT_SWITCH_OUT, thread);
    out.cpu = (uint16_t)cpu;
    out.is_preempted = below(making, 5) == 0;
    out.switch_out.object =
        (struct event_wait_object){.syscall = 202, .argument = 16 * below(making, 30)};
    out.switch_out.stack_serial = ++making->serials[thread];
    out.stack = (struct event_stack){
        .ips = making->ips + below(making, 50) * making->n_depth,
        .n_ips = (uint32_t)making->n_depth,
        .source = EVENT_STACK_WALKED,
        .end = EVENT_STACK_END_COMPLETE,
    };
    tell(making, &out);
    making->is_busy[thread] = false;
    uint32_t next = (uint32_t)below(making, N_THREADS);
    while (making->is_busy[next]) {
        next = (next + 1) % N_THREADS;
    }
    making->now_ns += 1500 + below(making, 2000);
    struct event in = event_of(making, EVENT_SWITCH_IN, next);
    in.cpu = (uint16_t)cpu;
    in.switch_in.wake_ns = making->now_ns - 1000 - below(making, 20000);
    in.switch_in.waker_tid = PID + (int64_t)below(making, N_THREADS + 1);
    tell(making, &in);
    making->is_busy[next] = true;
    making->running[cpu] = next;
}

static void begin(struct making *making)
{
    making->now_ns = UINT64_C(1000000000000);
    const struct event_image image = {.change = EVENT_IMAGE_MAPPED,
                                      .start_ip = CODE_IP,
                                      .end_ip = CODE_IP + (uint64_t)FUNCTION_BYTES * N_FUNCTIONS,
                                      .path = "/usr/bin/program",
                                      .inode = 1};
    struct event mapped = event_of(making, EVENT_IMAGE, 0);
    mapped.image = &image;
    tell(making, &mapped);
    for (uint32_t i = 0; i < N_THREADS; i++) {
        struct event present = event_of(making, EVENT_THREAD, i);
        present.thread.change = EVENT_THREAD_PRESENT;
        present.thread.name = i == 0 ? "program" : "worker";
        tell(making, &present);
    }
    for (uint32_t cpu = 0; cpu < N_CPUS; cpu++) {
        struct event in = event_of(making, EVENT_SWITCH_IN, cpu);
        tell(making, &in);
        making->running[cpu] = cpu;
        making->is_busy[cpu] = true;
    }
}

static void make_run(struct making *making, uint64_t n_samples, uint64_t n_switches_per_100)
{
    begin(making);
    uint64_t start_ns = making->now_ns, owed = 0;
    for (uint64_t i = 0; i < n_samples; i++) {
        uint32_t cpu = (uint32_t)(i % N_CPUS);
        /* Timers of the CPUs lie apart; each is late by some microseconds. */
        uint64_t due_ns =
            start_ns + (i / N_CPUS + 1) * PERIOD_NS + cpu * 270000 + below(making, 4000);
        for (owed += n_switches_per_100; owed >= 100; owed -= 100) {
            uint64_t room_ns = due_ns > making->now_ns ? due_ns - making->now_ns : 1;
            making->now_ns += below(making, room_ns);
            switch_cpu(making, (uint32_t)below(making, N_CPUS));
        }
        making->now_ns = due_ns > making->now_ns ? due_ns : making->now_ns;
        struct event sample = event_of(making, EVENT_SAMPLE, making->running[cpu]);
        sample.cpu = (uint16_t)cpu;
        sample.sample.period_ns = PERIOD_NS;
        sample.stack = (struct event_stack){
            .ips = some_stack(making, i, n_samples),
            .n_ips = (uint32_t)making->n_depth,
            .source = EVENT_STACK_WALKED,
            .end = EVENT_STACK_END_COMPLETE,
        };
        tell(making, &sample);
    }
}

static void check(int r, const struct error *error, const char *doing)
{
    if (r != 0) {
        fprintf(stderr, "archive_times: %s: %s\n", doing,
                error_is_set(error) ? error->message : strerror(-r));
        exit(1);
    }
}

static void save(const char *path, const struct snapshot *snapshot)
{
    struct error error = {0};
    _cleanup_(archive_writer_freep) struct archive_writer *writer = NULL;
    check(archive_writer_new(path, &writer, &error), &error, "new");
    check(run_history_write(snapshot, writer, &error), &error, "write");
    check(archive_writer_finish(writer, "{}", &error), &error, "finish");
}

static struct aggregate *open_again(const char *path)
{
    struct error error = {0};
    const struct aggregate_config config = {0};
    struct run_history_damage damage;
    struct aggregate *aggregate = NULL;
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    check(archive_reader_open(path, &reader, &error), &error, "open");
    check(run_history_read(reader, &config, &aggregate, &damage, &error), &error, "read");
    check(damage.n_losses > 0 || damage.n_rows_mended > 0 ? -EBADMSG : 0, &error, "damage");
    return aggregate;
}

struct times {
    uint64_t saved_ns, opened_ns;
};

static struct times measure(const char *folder, const char *name, const struct snapshot *snapshot)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    uint64_t start_ns = now_ns();
    save(path, snapshot);
    uint64_t saved_ns = now_ns();
    struct aggregate *aggregate = open_again(path);
    uint64_t opened_ns = now_ns();
    aggregate_free(aggregate);
    return (struct times){.saved_ns = saved_ns - start_ns, .opened_ns = opened_ns - saved_ns};
}

/* Both containers in turn, so that what else goes on meets both. */
static void measure_all(const char *folder, unsigned int n_rounds, const struct snapshot *snapshot)
{
    static const char *const names[] = {"folder", "run.stax"};
    struct times times[2][ROUNDS_MAX];
    for (unsigned int i = 0; i < n_rounds; i++) {
        times[0][i] = measure(folder, names[0], snapshot);
        times[1][i] = measure(folder, names[1], snapshot);
    }
    for (size_t k = 0; k < 2; k++) {
        printf(", \"%s\": [", names[k]);
        for (unsigned int i = 0; i < n_rounds; i++) {
            printf("%s[%" PRIu64 ", %" PRIu64 "]", i > 0 ? ", " : "", times[k][i].saved_ns,
                   times[k][i].opened_ns);
        }
        printf("]");
    }
}

/* What the members of the last one take. */
static void print_members(const char *path)
{
    struct error error = {0};
    _cleanup_(archive_reader_freep) struct archive_reader *reader = NULL;
    check(archive_reader_open(path, &reader, &error), &error, "open");
    printf(", \"members\": {");
    for (size_t i = 0; i < archive_reader_count(reader); i++) {
        struct archive_member member = archive_reader_member(reader, i);
        printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", member.name, member.n_bytes);
    }
    printf("}");
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "archive_times FOLDER ROUNDS SAMPLES STACKS DEPTH TAIL SWITCHES\n");
        return 2;
    }
    struct making making = {
        .random = 1,
        .n_stacks = strtoull(argv[4], NULL, 10),
        .n_depth = strtoull(argv[5], NULL, 10),
        .n_tail = strtoull(argv[6], NULL, 10),
    };
    unsigned long n_rounds = strtoul(argv[2], NULL, 10);
    if (n_rounds > ROUNDS_MAX || making.n_depth == 0 || making.n_depth > DEPTH_MAX ||
        making.n_stacks < 50 || making.n_tail == 0) {
        fprintf(stderr, "archive_times: up to %u rounds, at least 50 stacks of 1 to %u frames\n",
                ROUNDS_MAX, DEPTH_MAX);
        return 2;
    }
    const struct aggregate_config config = {0};
    making.ips = calloc(making.n_stacks * making.n_depth, sizeof(*making.ips));
    check(making.ips ? aggregate_new(&config, &making.aggregate) : -ENOMEM, &(struct error){0},
          "memory");
    make_stacks(&making);
    make_run(&making, strtoull(argv[3], NULL, 10), strtoull(argv[7], NULL, 10));
    aggregate_end(making.aggregate, making.now_ns);
    struct snapshot *snapshot = aggregate_snapshot(making.aggregate, 0);
    check(snapshot ? 0 : -ENOMEM, &(struct error){0}, "memory");
    printf("{\"samples\": %" PRIu64 ", \"slices\": %" PRIu64 ", \"waits\": %" PRIu64
           ", \"stacks\": %u, \"frames\": %u, \"pairs\": %zu, \"memory_bytes\": %" PRIu64,
           snapshot->n_samples, snapshot->n_slices, snapshot->n_waits, snapshot->n_stacks,
           snapshot->n_frames, snapshot->n_pairs, snapshot->memory_bytes);
    measure_all(argv[1], (unsigned int)n_rounds, snapshot);
    char path[4096];
    snprintf(path, sizeof(path), "%s/run.stax", argv[1]);
    print_members(path);
    printf("}\n");
    snapshot_unref(snapshot);
    aggregate_free(making.aggregate);
    free(making.ips);
    return 0;
}
