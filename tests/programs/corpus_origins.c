/* SPDX-License-Identifier: MIT */

/*
 * Origins that are broken, a few of each kind, on a lane whose spans are named
 * by what is wrong with them; and spans that end before they begin.
 */

#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "corpus.h"

#define N_EACH 7
#define NO_SUCH_TID                                                                                \
    4194301u /* the kernel's largest is below 4194304; nobody gets that far here                   \
              */
#define KERNEL_BYTES (32u << 20)

enum broken {
    MISSING,
    NO_THREAD,
    NO_SAMPLE,
    NO_USER_STACK,
    TOO_FAR,
    SYNTHETIC,
    WRONG_PID,
    OUTSIDE,
    BROKEN_N
};

static struct series broken[BROKEN_N] = {
    [MISSING] = {.lane_name = "broken origins", .name = "missing origin"},
    [NO_THREAD] = {.lane_name = "broken origins", .name = "no such thread"},
    [NO_SAMPLE] = {.lane_name = "broken origins", .name = "no sample on that thread"},
    [NO_USER_STACK] = {.lane_name = "broken origins", .name = "no user stack"},
    [TOO_FAR] = {.lane_name = "broken origins", .name = "too far"},
    [SYNTHETIC] = {.lane_name = "broken origins", .name = "synthetic tid"},
    [WRONG_PID] = {.lane_name = "broken origins", .name = "wrong pid"},
    [OUTSIDE] = {.lane_name = "broken origins", .name = "outside the run"},
};

static stax_lane lane;
static pthread_t reporter, long_sleeper;
static stax_origin asleep; /* since when, and who */
static atomic_bool is_asleep;
static uint64_t n_bad_durations;

static void report(enum broken kind, stax_origin origin)
{
    const uint64_t end_ns = stax_now_ns();

    series_report(&broken[kind], end_ns - 50 * NS_PER_US, end_ns, origin);
}

/* It sleeps from before the first span until after the last. */
KEPT void *corpus_long_sleeper(void *argument)
{
    (void)argument;
    corpus_name_thread("long sleeper");
    asleep = stax_origin_capture(lane);
    is_asleep = true;
    while (corpus_goes_on) {
        corpus_sleep_ns(NS_PER_S);
    }
    return NULL;
}

/* Lives too shortly for any look at it. */
KEPT void *corpus_short_lived(void *argument)
{
    *(stax_origin *)argument = stax_origin_capture(lane);
    return NULL;
}

static void report_short_lived(void)
{
    stax_origin origin = {0, 0, 0};
    pthread_t thread;

    must(pthread_create(&thread, NULL, corpus_short_lived, &origin) == 0, "pthread_create");
    pthread_join(thread, NULL);
    if (origin.tid != 0) {
        report(NO_SAMPLE, origin);
    }
}

/* A thread of the kernel that works for this process: it has no stack of the program. */
static uint32_t find_kernel_worker(void)
{
    DIR *folder = opendir("/proc/self/task");
    uint32_t tid = 0;

    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char path[288], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strncmp(name, "iou-wrk", 7) == 0) {
            tid = (uint32_t)strtoul(entry->d_name, NULL, 10);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return tid;
}

struct kernel_queue {
    int fd, zero_fd;
    struct io_uring_params params;
    uint8_t *submissions;
    struct io_uring_sqe *entries;
    uint8_t *memory;
};

static int open_kernel_queue(struct kernel_queue *queue)
{
    memset(queue, 0, sizeof *queue);
    queue->fd = (int)syscall(SYS_io_uring_setup, 8, &queue->params);
    queue->zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (queue->fd < 0 || queue->zero_fd < 0) {
        return 0;
    }
    const struct io_sqring_offsets *at = &queue->params.sq_off;
    queue->submissions = mmap(NULL, at->array + queue->params.sq_entries * sizeof(uint32_t),
                              PROT_READ | PROT_WRITE, MAP_SHARED, queue->fd, IORING_OFF_SQ_RING);
    queue->entries = mmap(NULL, queue->params.sq_entries * sizeof *queue->entries,
                          PROT_READ | PROT_WRITE, MAP_SHARED, queue->fd, IORING_OFF_SQES);
    queue->memory = malloc(KERNEL_BYTES);
    return queue->submissions != MAP_FAILED && queue->entries != MAP_FAILED && queue->memory;
}

/* A read that a worker of the kernel does: long enough to be sampled. Waits for its end. */
static void read_by_kernel(struct kernel_queue *queue)
{
    const struct io_sqring_offsets *at = &queue->params.sq_off;
    _Atomic uint32_t *tail = (void *)(queue->submissions + at->tail);
    uint32_t mask = *(uint32_t *)(void *)(queue->submissions + at->ring_mask);
    uint32_t slot = *tail & mask;

    memset(&queue->entries[slot], 0, sizeof queue->entries[slot]);
    queue->entries[slot].opcode = IORING_OP_READ;
    queue->entries[slot].flags = IOSQE_ASYNC;
    queue->entries[slot].fd = queue->zero_fd;
    queue->entries[slot].addr = (uintptr_t)queue->memory;
    queue->entries[slot].len = KERNEL_BYTES;
    ((uint32_t *)(void *)(queue->submissions + at->array))[slot] = slot;
    atomic_store(tail, *tail + 1);
    syscall(SYS_io_uring_enter, queue->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

/* Where the kernel allows it; else there are none of this kind. */
static void report_kernel_worker(void)
{
    struct kernel_queue queue;

    if (open_kernel_queue(&queue)) {
        /* Completions are never taken: their queue holds twice as many as are asked for at once. */
        for (int i = 0; i < N_EACH; i++) {
            const uint64_t begin_ns = stax_now_ns();
            read_by_kernel(&queue);
            const uint64_t end_ns = stax_now_ns();
            const stax_origin origin = {begin_ns + (end_ns - begin_ns) / 2, find_kernel_worker(),
                                        (uint32_t)getpid()};
            if (origin.tid != 0) {
                report(NO_USER_STACK, origin);
            }
        }
    }
    if (queue.fd >= 0) {
        close(queue.fd);
    }
    if (queue.zero_fd >= 0) {
        close(queue.zero_fd);
    }
    free(queue.memory);
}

KEPT void *corpus_reporter(void *argument)
{
    const uint32_t pid = (uint32_t)getpid();

    (void)argument;
    corpus_name_thread("reporter");
    while (!is_asleep) {
        corpus_sleep_ns(NS_PER_MS);
    }
    corpus_sleep_ns(600 * NS_PER_MS);
    for (int i = 0; i < N_EACH; i++) {
        const stax_origin here = stax_origin_capture(lane);
        report(MISSING, stax_no_origin());
        report(NO_THREAD, (stax_origin){here.time_ns, NO_SUCH_TID, pid});
        report(TOO_FAR, (stax_origin){asleep.time_ns + 400 * NS_PER_MS, asleep.tid, pid});
        report(SYNTHETIC, (stax_origin){here.time_ns, 0xFFF00000u, pid});
        report(WRONG_PID, (stax_origin){here.time_ns, here.tid, 1});
        report(OUTSIDE, (stax_origin){1, here.tid, pid});
        report_short_lived();
        if (stax_recording_active()) {
            stax_span_report(lane, "ends before it begins", here.time_ns, here.time_ns - 1, here);
            n_bad_durations++;
        }
    }
    report_kernel_worker();
    return NULL;
}

void corpus_origins_start(void)
{
    lane = stax_lane_new("broken origins");
    for (int kind = 0; kind < BROKEN_N; kind++) {
        series_begin(&broken[kind], lane);
    }
    must(pthread_create(&long_sleeper, NULL, corpus_long_sleeper, NULL) == 0 &&
             pthread_create(&reporter, NULL, corpus_reporter, NULL) == 0,
         "pthread_create");
}

void corpus_origins_end(void)
{
    pthread_join(reporter, NULL);
    pthread_join(long_sleeper, NULL);
}

void corpus_origins_print(FILE *truth)
{
    for (int kind = 0; kind < BROKEN_N; kind++) {
        fprintf(truth, "\"%s\": %zu, ", broken[kind].name, broken[kind].n_spans);
    }
    fprintf(truth, "\"bad duration\": %lu", n_bad_durations);
}
