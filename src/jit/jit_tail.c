/* SPDX-License-Identifier: MIT */
#include "jit/jit_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "images/image_file.h"
#include "jit/jit_dump.h"
#include "jit/jit_map.h"
#include "jit/jit_process.h"

/* How often files are looked at: while they grow, while they do not, and after the run. */
#define GROWING_MS 40
#define QUIET_MS 200
#define STOPPED_MS 1000
#define GROWING_FOR_NS (2 * NS_PER_S)
/* How often files that are not there yet are looked for. */
#define PROBE_OFTEN_NS (100 * NS_PER_MS)
#define PROBE_OFTEN_FOR_NS (3 * NS_PER_S)
#define PROBE_SELDOM_NS NS_PER_S

enum notice_kind { NOTICE_PROCESS, NOTICE_DUMP, NOTICE_EXEC, NOTICE_FORK };

struct notice {
    struct notice *next;
    enum notice_kind kind;
    int64_t pid, parent_pid;
    uint64_t time_ns;
    struct image image; /* NOTICE_DUMP; its strings follow the notice */
    char path[];
};

struct tailed_process {
    struct jit_process process;
    struct jit_map *map;
    bool has_dump, has_ended;
    uint64_t began_ns, probe_at_ns;
};

struct jit_tail {
    struct jit_code *code;
    int wake_fd, wakes_fd; /* a pipe: read by the thread, written to wake it */
    pthread_t thread;
    atomic_bool has_thread;
    int64_t last_pid, last_fork_pid; /* the aggregator's: the usual repeats */
    pthread_mutex_t lock;
    pthread_cond_t has_passed;
    /* Under the lock: */
    struct notice *first_notice, *last_notice;
    size_t n_notices;
    uint64_t n_passes_wanted, n_passes;
    bool is_ending, is_stopping, has_finished;
    char trouble[160];
    /* The thread's: */
    struct tailed_process *processes;
    size_t n_processes;
    struct jit_dump *dumps[JIT_TAIL_MAX_DUMPS];
    size_t n_dumps;
    uint64_t grew_ns, publish_at_ns;
    bool has_unpublished;
};

int jit_tail_new(struct jit_code *code, struct jit_tail **ret_tail)
{
    struct jit_tail *tail = calloc(1, sizeof(*tail));
    if (!tail) {
        return -ENOMEM;
    }
    tail->code = code;
    tail->last_pid = -1;
    tail->wake_fd = tail->wakes_fd = -1;
    tail->processes = calloc(JIT_TAIL_MAX_PROCESSES, sizeof(*tail->processes));
    if (!tail->processes) {
        free(tail);
        return -ENOMEM;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&tail->lock, NULL);
    pthread_cond_init(&tail->has_passed, &attributes);
    pthread_condattr_destroy(&attributes);
    *ret_tail = tail;
    return 0;
}

/* Under the lock: the thread closes the pipe when it ends. */
static void wake(struct jit_tail *tail)
{
    const char one = 1;
    if (tail->wakes_fd >= 0) {
        (void)!write(tail->wakes_fd, &one, sizeof(one)); /* a full pipe wakes as well */
    }
}

/* Runs are kept long after their end: they must not hold descriptors. */
static void close_pipe(struct jit_tail *tail)
{
    fd_close(tail->wake_fd);
    fd_close(tail->wakes_fd);
    tail->wake_fd = tail->wakes_fd = -1;
}

struct jit_tail *jit_tail_free(struct jit_tail *tail)
{
    if (!tail) {
        return NULL;
    }
    if (tail->has_thread) {
        pthread_mutex_lock(&tail->lock);
        tail->is_stopping = true;
        wake(tail);
        pthread_mutex_unlock(&tail->lock);
        pthread_join(tail->thread, NULL);
    }
    while (tail->first_notice) {
        struct notice *notice = tail->first_notice;
        tail->first_notice = notice->next;
        free(notice);
    }
    for (size_t i = 0; i < tail->n_processes; i++) {
        jit_map_free(tail->processes[i].map);
        jit_process_release(&tail->processes[i].process);
    }
    for (size_t i = 0; i < tail->n_dumps; i++) {
        jit_dump_free(tail->dumps[i]);
    }
    close_pipe(tail);
    pthread_cond_destroy(&tail->has_passed);
    pthread_mutex_destroy(&tail->lock);
    free(tail->processes);
    free(tail);
    return NULL;
}

static void set_trouble(struct jit_tail *tail, const char *text)
{
    pthread_mutex_lock(&tail->lock);
    snprintf(tail->trouble, sizeof(tail->trouble), "%s", text);
    pthread_mutex_unlock(&tail->lock);
}

void jit_tail_describe(struct jit_tail *tail, char *ret_text, size_t n_bytes)
{
    pthread_mutex_lock(&tail->lock);
    snprintf(ret_text, n_bytes, "%s", tail->trouble);
    pthread_mutex_unlock(&tail->lock);
}

/* The thread --------------------------------------------------------------------------- */

static struct tailed_process *find_process(struct jit_tail *tail, int64_t pid)
{
    for (size_t i = 0; i < tail->n_processes; i++) {
        if (tail->processes[i].process.pid == pid) {
            return &tail->processes[i];
        }
    }
    return NULL;
}

/* A pid that was taken again is another process: with what is left of the old one we are done. */
static struct tailed_process *get_process(struct jit_tail *tail, int64_t pid)
{
    struct tailed_process *process = find_process(tail, pid);
    if (process && !process->has_ended) {
        return process;
    }
    if (process) {
        process->map = jit_map_free(process->map);
    } else if (tail->n_processes == JIT_TAIL_MAX_PROCESSES) {
        set_trouble(tail, "more processes make code than can be followed: names are missing");
        return NULL;
    } else {
        process = &tail->processes[tail->n_processes++];
    }
    *process = (struct tailed_process){.began_ns = clock_now_ns()};
    (void)jit_process_open(pid, &process->process); /* its files may have outlived it */
    return process;
}

static void follow_dump(struct jit_tail *tail, struct tailed_process *process, int takes_fd)
{
    _cleanup_(fd_closep) int fd = takes_fd;
    struct stat status;
    if (fstat(fd, &status) < 0 || jit_process_check_file(&process->process, fd) == -EPERM) {
        set_trouble(tail, "a jitdump belongs to another user: it is not read");
        return;
    }
    for (size_t i = 0; i < tail->n_dumps; i++) {
        if (jit_dump_is_file(tail->dumps[i], status.st_dev, status.st_ino)) {
            return;
        }
    }
    struct jit_dump *dump;
    if (tail->n_dumps == JIT_TAIL_MAX_DUMPS ||
        jit_dump_open(tail->code, process->process.pid, TAKE_FD(fd), &dump) < 0) {
        set_trouble(tail, "more jitdumps than can be followed: names are missing");
        return;
    }
    tail->dumps[tail->n_dumps++] = dump;
    process->has_dump = true;
}

static void take_dump(struct jit_tail *tail, struct tailed_process *process,
                      const struct image *image)
{
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    struct error error = {0};
    if (image_file_open(image, &file, &error) < 0) {
        char text[160];
        snprintf(text, sizeof(text), "jitdump %.60s: %.80s", image->name, error.message);
        set_trouble(tail, text);
        return;
    }
    /* A descriptor of its own: the image file closes the other. */
    int fd = fcntl(image_file_descriptor(file), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) {
        follow_dump(tail, process, fd);
    }
}

/* Looks for the files that a process may have begun meanwhile. */
static void probe(struct jit_tail *tail, struct tailed_process *process, uint64_t now_ns)
{
    if (process->map && process->has_dump) {
        return;
    }
    if (!process->map) {
        int fd = jit_process_open_file(&process->process, "perf-", ".map");
        if (fd >= 0 && jit_map_open(tail->code, process->process.pid, fd, &process->map) < 0) {
            process->map = NULL;
        } else if (fd == -EPERM || fd == -EACCES) {
            set_trouble(tail, "the map in /tmp belongs to another user: it is not read");
        }
    }
    if (!process->has_dump) {
        int fd = jit_process_open_file(&process->process, "jit-", ".dump");
        if (fd >= 0) {
            follow_dump(tail, process, fd);
        }
    }
    bool is_young = now_ns - process->began_ns < PROBE_OFTEN_FOR_NS;
    process->probe_at_ns = now_ns + (is_young ? PROBE_OFTEN_NS : PROBE_SELDOM_NS);
}

/* Everything that is there now. */
static void read_all(struct jit_tail *tail, uint64_t now_ns, bool is_last)
{
    int64_t n_added = 0;
    for (size_t i = 0; i < tail->n_processes; i++) {
        struct tailed_process *process = &tail->processes[i];
        bool has_ended = is_last || jit_process_has_ended(&process->process);
        if (!process->has_ended && (has_ended || now_ns >= process->probe_at_ns)) {
            probe(tail, process, now_ns);
        }
        if (process->map && !process->has_ended) {
            int64_t n_lines = jit_map_read(process->map, has_ended);
            n_added += n_lines > 0 ? n_lines : 0;
        }
        process->has_ended = process->has_ended || has_ended;
    }
    /* After the ends of processes were seen: what they wrote before is there. */
    for (size_t i = 0; i < tail->n_dumps; i++) {
        int64_t n_records = jit_dump_read(tail->dumps[i]);
        n_added += n_records > 0 ? n_records : 0;
        if (jit_dump_has_foreign_clock(tail->dumps[i])) {
            set_trouble(tail, "a jitdump has processor ticks for times: code memory that it uses "
                              "again is told apart by when it was read");
        } else if (n_records == -ENOTSUP || n_records == -EBADMSG) {
            set_trouble(tail, "a jitdump makes no sense from some place on: names are missing");
        }
    }
    if (n_added > 0) {
        tail->grew_ns = now_ns;
        tail->has_unpublished = true;
    }
}

/* Publishing costs more the more there is: never more than a tenth of the time. */
static void publish(struct jit_tail *tail, bool is_now)
{
    uint64_t start_ns = clock_now_ns();
    if (tail->has_unpublished && (is_now || start_ns >= tail->publish_at_ns)) {
        tail->has_unpublished = jit_code_publish(tail->code) < 0;
        uint64_t end_ns = clock_now_ns();
        tail->publish_at_ns = end_ns + 10 * (end_ns - start_ns);
    }
}

static void obey(struct jit_tail *tail, const struct notice *notice)
{
    struct tailed_process *process;
    switch (notice->kind) {
    case NOTICE_PROCESS:
        (void)get_process(tail, notice->pid);
        break;
    case NOTICE_DUMP:
        process = get_process(tail, notice->pid);
        if (process) {
            take_dump(tail, process, &notice->image);
        }
        break;
    case NOTICE_EXEC:
        if (find_process(tail, notice->pid)) {
            read_all(tail, clock_now_ns(), false);
            jit_code_exec(tail->code, notice->pid, notice->time_ns);
        }
        break;
    case NOTICE_FORK:
        if (find_process(tail, notice->parent_pid)) {
            jit_code_fork(tail->code, notice->pid, notice->parent_pid, notice->time_ns);
        }
        break;
    }
}

static bool has_running(const struct jit_tail *tail)
{
    for (size_t i = 0; i < tail->n_processes; i++) {
        if (!tail->processes[i].has_ended) {
            return true;
        }
    }
    return false;
}

static void sleep_until_due(struct jit_tail *tail, bool is_ending)
{
    struct pollfd waits[JIT_TAIL_MAX_PROCESSES + 1];
    nfds_t n_waits = 0;
    waits[n_waits++] = (struct pollfd){.fd = tail->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < tail->n_processes; i++) {
        if (!tail->processes[i].has_ended && tail->processes[i].process.pidfd >= 0) {
            waits[n_waits++] =
                (struct pollfd){.fd = tail->processes[i].process.pidfd, .events = POLLIN};
        }
    }
    bool is_growing = clock_now_ns() - tail->grew_ns < GROWING_FOR_NS || tail->has_unpublished;
    int wait_ms = is_ending ? STOPPED_MS : is_growing ? GROWING_MS : QUIET_MS;
    if (poll(waits, n_waits, wait_ms) > 0 && waits[0].revents) {
        char wakes[64];
        (void)!read(tail->wake_fd, wakes, sizeof(wakes));
    }
}

static void *run_tail(void *userdata)
{
    struct jit_tail *tail = userdata;
    pthread_mutex_lock(&tail->lock);
    while (!tail->is_stopping) {
        struct notice *notices = tail->first_notice;
        tail->first_notice = tail->last_notice = NULL;
        tail->n_notices = 0;
        uint64_t pass = tail->n_passes_wanted;
        bool is_ending = tail->is_ending;
        pthread_mutex_unlock(&tail->lock);
        while (notices) {
            struct notice *notice = notices;
            notices = notice->next;
            obey(tail, notice);
            free(notice);
        }
        read_all(tail, clock_now_ns(), false);
        bool is_over = is_ending && !has_running(tail);
        publish(tail, is_over || pass > tail->n_passes);
        if (is_over) {
            jit_code_settle(tail->code);
        }
        pthread_mutex_lock(&tail->lock);
        tail->n_passes = pass;
        tail->has_finished = is_over;
        pthread_cond_broadcast(&tail->has_passed);
        if (is_over) {
            close_pipe(tail);
            break;
        }
        if (!tail->is_stopping && !tail->first_notice && tail->n_passes_wanted == pass) {
            pthread_mutex_unlock(&tail->lock);
            sleep_until_due(tail, is_ending);
            pthread_mutex_lock(&tail->lock);
        }
    }
    pthread_mutex_unlock(&tail->lock);
    return NULL;
}

/* The other side ----------------------------------------------------------------------- */

static void start(struct jit_tail *tail)
{
    sigset_t all, before;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return; /* the next notice tries again */
    }
    pthread_mutex_lock(&tail->lock);
    tail->wake_fd = ends[0];
    tail->wakes_fd = ends[1];
    pthread_mutex_unlock(&tail->lock);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&tail->has_thread, pthread_create(&tail->thread, NULL, run_tail, tail) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (tail->has_thread) {
        (void)pthread_setname_np(tail->thread, "stax-jit");
    } else {
        pthread_mutex_lock(&tail->lock);
        close_pipe(tail);
        pthread_mutex_unlock(&tail->lock);
    }
}

static void notify(struct jit_tail *tail, enum notice_kind kind, const struct event *event)
{
    const char *path = kind == NOTICE_DUMP ? event->image->path : "";
    size_t n_path_bytes = strnlen(path, LIMIT_PATH_BYTES - 1) + 1;
    struct notice *notice = calloc(1, sizeof(*notice) + n_path_bytes);
    if (!notice) {
        return;
    }
    memcpy(notice->path, path, n_path_bytes - 1);
    const char *slash = strrchr(notice->path, '/');
    notice->kind = kind;
    notice->pid = event->pid;
    notice->parent_pid = event->image->parent_pid;
    notice->time_ns = event->time_ns;
    notice->image = (struct image){
        .kind = IMAGE_KIND_FILE,
        .path = notice->path,
        .name = slash ? slash + 1 : notice->path,
        .inode = event->image->inode,
        .device_major = event->image->device_major,
        .device_minor = event->image->device_minor,
        .pid = event->pid,
        .start_ip = event->image->start_ip,
        .end_ip = event->image->end_ip,
    };
    pthread_mutex_lock(&tail->lock);
    bool is_taken = tail->n_notices < JIT_TAIL_MAX_NOTICES && !tail->has_finished;
    if (is_taken) {
        if (tail->last_notice) {
            tail->last_notice->next = notice;
        } else {
            tail->first_notice = notice;
        }
        tail->last_notice = notice;
        tail->n_notices++;
    }
    pthread_mutex_unlock(&tail->lock);
    if (!is_taken) {
        free(notice);
        return;
    }
    if (!tail->has_thread) {
        start(tail);
    }
    pthread_mutex_lock(&tail->lock);
    wake(tail);
    pthread_mutex_unlock(&tail->lock);
}

bool jit_tail_is_dump(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *at = slash ? slash + 1 : path;
    if (strncmp(at, "jit-", 4) != 0) {
        return false;
    }
    at += 4;
    size_t n_digits = strspn(at, "0123456789");
    static const char suffix[] = ".dump";
    return n_digits > 0 && strncmp(at + n_digits, suffix, sizeof(suffix) - 1) == 0 &&
           (at[n_digits + sizeof(suffix) - 1] == '\0' || at[n_digits + sizeof(suffix) - 1] == ' ');
}

/* As images/image_table.c tells memory without a file. */
static bool is_without_file(const char *path)
{
    return path[0] != '/' ? strncmp(path, "[vdso]", 6) != 0 && strncmp(path, "[vsys", 5) != 0 &&
                                strncmp(path, "[kernel", 7) != 0
                          : strncmp(path, "//anon", 6) == 0 || strncmp(path, "/dev/zero", 9) == 0 ||
                                strncmp(path, "/memfd:doublemapper", 19) == 0 ||
                                strncmp(path, "/anon_hugepage", 14) == 0;
}

void jit_tail_on_image(struct jit_tail *tail, const struct event *event)
{
    switch (event->image->change) {
    case EVENT_IMAGE_MAPPED: {
        const char *path = event->image->path ? event->image->path : "";
        if (path[0] == '/' && jit_tail_is_dump(path)) {
            notify(tail, NOTICE_DUMP, event);
        } else if (event->pid != tail->last_pid && is_without_file(path)) {
            /* Made code is mapped piece by piece, mostly by the process of the last time. */
            tail->last_pid = event->pid;
            notify(tail, NOTICE_PROCESS, event);
        }
        break;
    }
    case EVENT_IMAGE_EXEC:
        if (event->pid == tail->last_pid) {
            tail->last_pid = -1;
        }
        if (tail->has_thread) {
            notify(tail, NOTICE_EXEC, event);
        }
        break;
    case EVENT_IMAGE_FORKED:
        if (tail->has_thread) {
            notify(tail, NOTICE_FORK, event);
        }
        break;
    case EVENT_IMAGE_UNMAPPED:
        break;
    }
}

void jit_tail_end(struct jit_tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    tail->is_ending = true;
    wake(tail);
    pthread_mutex_unlock(&tail->lock);
    if (!tail->has_thread) {
        jit_code_settle(tail->code);
    }
}

bool jit_tail_wait(struct jit_tail *tail, int timeout_ms)
{
    uint64_t until_ns = clock_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
    struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_S),
        .tv_nsec = (long)(until_ns % NS_PER_S),
    };
    if (!tail->has_thread) {
        return true;
    }
    pthread_mutex_lock(&tail->lock);
    uint64_t wanted = ++tail->n_passes_wanted;
    wake(tail);
    int r = 0;
    while (tail->n_passes < wanted && !tail->has_finished && r == 0) {
        r = pthread_cond_timedwait(&tail->has_passed, &tail->lock, &until);
    }
    bool is_read = tail->n_passes >= wanted || tail->has_finished;
    pthread_mutex_unlock(&tail->lock);
    return is_read;
}
