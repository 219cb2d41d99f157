/* SPDX-License-Identifier: MIT */
#include "jit/jit_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/thread.h"
#include "jit/jit_follow.h"

/*
 * How often files are looked at. What a program tells of code that replaces other
 * code must be known before the samples in it are counted, which is one round of
 * the drain later: a look at a file costs two system calls.
 */
#define LOOK_MS 20
#define LOOK_MS_PER_PROCESS 2
#define STOPPED_MS 1000

enum notice_kind { NOTICE_PROCESS, NOTICE_DUMP, NOTICE_EXEC, NOTICE_FORK };

struct notice {
    struct notice *next;
    enum notice_kind kind;
    int64_t pid, parent_pid;
    uint64_t time_ns;
    struct image image; /* NOTICE_DUMP; its strings follow the notice */
    char path[];
};

struct jit_tail {
    struct jit_code *code;
    int wake_fd, wakes_fd; /* a pipe: read by the thread, written to wake it */
    pthread_t thread;
    atomic_bool has_thread, is_stopping;
    int64_t last_pid; /* the aggregator's: the usual repeats */
    pthread_mutex_t lock;
    pthread_cond_t has_passed;
    /* Under the lock: */
    struct notice *first_notice, *last_notice;
    size_t n_notices;
    uint64_t n_passes_wanted, n_passes;
    uint64_t end_ns; /* of the run; UINT64_MAX: it goes on */
    bool has_finished, has_lost_notices;
    char trouble[160];
    /* The thread's: */
    struct jit_follow *follow;
    uint64_t publish_at_ns;
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
    tail->end_ns = UINT64_MAX;
    tail->wake_fd = tail->wakes_fd = -1;
    int r = jit_follow_new(code, &tail->is_stopping, &tail->follow);
    if (r < 0) {
        free(tail);
        return r;
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
        atomic_store(&tail->is_stopping, true); /* which ends what it reads just now as well */
        pthread_mutex_lock(&tail->lock);
        wake(tail);
        pthread_mutex_unlock(&tail->lock);
        pthread_join(tail->thread, NULL);
    }
    while (tail->first_notice) {
        struct notice *notice = tail->first_notice;
        tail->first_notice = notice->next;
        free(notice);
    }
    jit_follow_free(tail->follow);
    close_pipe(tail);
    pthread_cond_destroy(&tail->has_passed);
    pthread_mutex_destroy(&tail->lock);
    free(tail);
    return NULL;
}

void jit_tail_describe(struct jit_tail *tail, char *ret_text, size_t n_bytes)
{
    pthread_mutex_lock(&tail->lock);
    const char *text = tail->trouble;
    if (text[0] == '\0' && tail->has_lost_notices) {
        text = "programs made code faster than could be followed: names may be missing";
    }
    snprintf(ret_text, n_bytes, "%s", text);
    pthread_mutex_unlock(&tail->lock);
}

/* The thread --------------------------------------------------------------------------- */

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
    switch (notice->kind) {
    case NOTICE_PROCESS:
        jit_follow_process(tail->follow, notice->pid, notice->time_ns);
        break;
    case NOTICE_DUMP:
        jit_follow_dump(tail->follow, &notice->image, notice->time_ns);
        break;
    case NOTICE_EXEC:
        jit_follow_exec(tail->follow, notice->pid, notice->time_ns);
        break;
    case NOTICE_FORK:
        jit_follow_fork(tail->follow, notice->pid, notice->parent_pid, notice->time_ns);
        break;
    }
}

static void obey_all(struct jit_tail *tail, struct notice *notices)
{
    while (notices) {
        struct notice *notice = notices;
        notices = notice->next;
        if (!atomic_load(&tail->is_stopping)) {
            obey(tail, notice);
        }
        free(notice);
    }
}

static void sleep_until_due(struct jit_tail *tail, bool is_ending)
{
    struct pollfd waits[JIT_FOLLOW_MAX_PROCESSES + 1];
    waits[0] = (struct pollfd){.fd = tail->wake_fd, .events = POLLIN};
    nfds_t n_waits = 1 + jit_follow_waits(tail->follow, waits + 1);
    int look_ms = LOOK_MS + LOOK_MS_PER_PROCESS * (int)n_waits;
    int wait_ms = is_ending && !tail->has_unpublished ? STOPPED_MS : look_ms;
    if (poll(waits, n_waits, wait_ms) > 0 && waits[0].revents) {
        char wakes[64];
        (void)!read(tail->wake_fd, wakes, sizeof(wakes));
    }
}

/* One look at everything. True when nothing more will come. */
static bool pass_once(struct jit_tail *tail, uint64_t end_ns, bool is_awaited, bool *ret_is_all)
{
    tail->has_unpublished |= jit_follow_read(tail->follow, ret_is_all) > 0;
    bool is_over =
        end_ns != UINT64_MAX && *ret_is_all && jit_follow_is_done(tail->follow, clock_now_ns());
    publish(tail, is_over || is_awaited);
    if (is_over) {
        jit_code_settle(tail->code);
    }
    return is_over;
}

static void *run_tail(void *userdata)
{
    struct jit_tail *tail = userdata;
    bool is_over = false;
    pthread_mutex_lock(&tail->lock);
    while (!is_over && !atomic_load(&tail->is_stopping)) {
        struct notice *notices = tail->first_notice;
        tail->first_notice = tail->last_notice = NULL;
        tail->n_notices = 0;
        uint64_t pass = tail->n_passes_wanted, end_ns = tail->end_ns;
        bool is_awaited = pass > tail->n_passes, is_all;
        pthread_mutex_unlock(&tail->lock);
        obey_all(tail, notices);
        if (end_ns != UINT64_MAX) {
            jit_follow_end(tail->follow, end_ns);
        }
        is_over = pass_once(tail, end_ns, is_awaited, &is_all);
        pthread_mutex_lock(&tail->lock);
        snprintf(tail->trouble, sizeof(tail->trouble), "%s", jit_follow_trouble(tail->follow));
        tail->n_passes = is_all ? pass : tail->n_passes;
        tail->has_finished = is_over;
        pthread_cond_broadcast(&tail->has_passed);
        bool is_idle = is_all && !tail->first_notice && tail->n_passes_wanted == pass;
        if (!is_over && is_idle && !atomic_load(&tail->is_stopping)) {
            pthread_mutex_unlock(&tail->lock);
            sleep_until_due(tail, end_ns != UINT64_MAX);
            pthread_mutex_lock(&tail->lock);
        }
    }
    if (is_over) {
        close_pipe(tail);
        tail->follow = jit_follow_free(tail->follow);
    }
    pthread_mutex_unlock(&tail->lock);
    return NULL;
}

/* The other side ----------------------------------------------------------------------- */

static void start(struct jit_tail *tail)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return; /* the next notice tries again */
    }
    pthread_mutex_lock(&tail->lock);
    tail->wake_fd = ends[0];
    tail->wakes_fd = ends[1];
    pthread_mutex_unlock(&tail->lock);
    atomic_store(&tail->has_thread, thread_start("stax-jit", run_tail, tail, &tail->thread) == 0);
    if (!tail->has_thread) {
        pthread_mutex_lock(&tail->lock);
        close_pipe(tail);
        pthread_mutex_unlock(&tail->lock);
    }
}

/* False where it cannot be taken now. */
static bool notify(struct jit_tail *tail, enum notice_kind kind, const struct event *event)
{
    const char *path = kind == NOTICE_DUMP ? event->image->path : "";
    size_t n_path_bytes = strnlen(path, LIMIT_PATH_BYTES - 1) + 1;
    struct notice *notice = calloc(1, sizeof(*notice) + n_path_bytes);
    if (!notice) {
        return false;
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
    } else if (!tail->has_finished) {
        tail->has_lost_notices = true;
    }
    pthread_mutex_unlock(&tail->lock);
    if (!is_taken) {
        free(notice);
        return false;
    }
    if (!tail->has_thread) {
        start(tail);
    }
    pthread_mutex_lock(&tail->lock);
    wake(tail);
    pthread_mutex_unlock(&tail->lock);
    return true;
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
bool jit_tail_is_made(const char *path)
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
            (void)notify(tail, NOTICE_DUMP, event);
        } else if (event->pid != tail->last_pid && jit_tail_is_made(path)) {
            /* Made code is mapped piece by piece, mostly by the process of the last time. */
            tail->last_pid = notify(tail, NOTICE_PROCESS, event) ? event->pid : -1;
        }
        break;
    }
    case EVENT_IMAGE_EXEC:
        if (event->pid == tail->last_pid) {
            tail->last_pid = -1;
        }
        if (tail->has_thread) {
            (void)notify(tail, NOTICE_EXEC, event);
        }
        break;
    case EVENT_IMAGE_FORKED:
        if (event->pid == tail->last_pid) {
            tail->last_pid = -1; /* it is another one */
        }
        if (tail->has_thread && event->pid != event->image->parent_pid) {
            (void)notify(tail, NOTICE_FORK, event);
        }
        break;
    case EVENT_IMAGE_UNMAPPED:
        break;
    }
}

void jit_tail_end(struct jit_tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    tail->end_ns = clock_now_ns();
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
