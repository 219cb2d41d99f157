/* SPDX-License-Identifier: MIT */
#include "capture/linux/wait_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/hash_table.h"

#define STACK_BYTES 4096u
#define PROC_FILE_MAX_BYTES 256u
/* Their places are given to others when all are taken, so many at a time. */
#define GONE_MIN (WAIT_LOOK_THREADS / 16)
/* A thread that is always found at the same place is looked at less often. */
#define REST_NS UINT64_C(100000000)

struct looked_at {
    int64_t pid, tid;     /* tid 0: free */
    uint64_t out_ns;      /* blocked since; 0: it is not */
    uint64_t seen_out_ns; /* of the wait that was looked at */
    uint64_t seen_at_ns;
    uint64_t seen_sp, seen_ip;
    bool is_resting; /* it was at the same place the last two times */
    bool is_gone;
};

struct wait_look {
    struct wait_look_config config;
    struct hash_table places; /* tid → index */
    struct looked_at *threads;
    size_t n_threads;
    size_t n_gone; /* of them */
    size_t next;   /* where the next round begins */
};

int wait_look_new(const struct wait_look_config *config, struct wait_look **ret_look)
{
    _cleanup_(wait_look_freep) struct wait_look *look = calloc(1, sizeof(*look));
    if (!look) {
        return -ENOMEM;
    }
    look->config = *config;
    hash_table_init(&look->places);
    look->threads = calloc(WAIT_LOOK_THREADS, sizeof(*look->threads));
    if (!look->threads) {
        return -ENOMEM;
    }
    *ret_look = TAKE_PTR(look);
    return 0;
}

struct wait_look *wait_look_free(struct wait_look *look)
{
    if (look) {
        hash_table_release(&look->places);
        free(look->threads);
        free(look);
    }
    return NULL;
}

static struct looked_at *find(struct wait_look *look, int64_t tid)
{
    uint32_t index = hash_table_find(&look->places, (uint64_t)tid);
    return index == HASH_TABLE_NONE ? NULL : &look->threads[index];
}

static void forget_gone(struct wait_look *look)
{
    size_t n_kept = 0;
    hash_table_clear(&look->places);
    for (size_t i = 0; i < look->n_threads; i++) {
        if (!look->threads[i].is_gone &&
            hash_table_set(&look->places, (uint64_t)look->threads[i].tid, (uint32_t)n_kept) == 0) {
            look->threads[n_kept++] = look->threads[i];
        }
    }
    look->n_threads = n_kept;
    look->n_gone = 0;
    look->next = 0;
}

static void set_gone(struct wait_look *look, struct looked_at *thread, bool is_gone)
{
    look->n_gone += is_gone;
    look->n_gone -= thread->is_gone;
    *thread = (struct looked_at){.pid = thread->pid, .tid = thread->tid, .is_gone = is_gone};
}

/* NULL where there is no room: such a thread's waits stay without a place. */
static struct looked_at *find_or_add(struct wait_look *look, int64_t tid)
{
    struct looked_at *thread = find(look, tid);
    if (thread) {
        return thread;
    }
    if (look->n_threads == WAIT_LOOK_THREADS && look->n_gone >= GONE_MIN) {
        forget_gone(look);
    }
    if (look->n_threads == WAIT_LOOK_THREADS ||
        hash_table_set(&look->places, (uint64_t)tid, (uint32_t)look->n_threads) != 0) {
        return NULL;
    }
    thread = &look->threads[look->n_threads++];
    *thread = (struct looked_at){.tid = tid};
    return thread;
}

void wait_look_note_present(struct wait_look *look, int64_t pid, int64_t tid, uint64_t time_ns)
{
    struct looked_at *thread = find_or_add(look, tid);
    if (thread) {
        set_gone(look, thread, false);
        thread->pid = pid;
        thread->out_ns = time_ns;
    }
}

void wait_look_note(struct wait_look *look, const struct event *event)
{
    struct looked_at *thread;
    switch (event->kind) {
    case EVENT_SWITCH_OUT:
        if (event->is_preempted || look->config.first_only) {
            return;
        }
        thread = find_or_add(look, event->tid);
        /* The last switch of all comes after the thread's end. */
        if (thread && !thread->is_gone) {
            thread->pid = event->pid;
            thread->out_ns = event->time_ns;
        }
        return;
    case EVENT_THREAD:
        thread = find(look, event->tid);
        if (thread && (event->thread.change == EVENT_THREAD_GONE ||
                       event->thread.change == EVENT_THREAD_BORN)) {
            set_gone(look, thread, event->thread.change == EVENT_THREAD_GONE);
        }
        return;
    case EVENT_SAMPLE:
    case EVENT_SWITCH_IN:
        thread = find(look, event->tid);
        if (thread) {
            thread->out_ns = 0;
        }
        return;
    default:
        return;
    }
}

bool wait_place_parse(const char *text, struct wait_place *ret_place)
{
    uint64_t numbers[8];
    char *end;
    errno = 0;
    long long nr = strtoll(text, &end, 10);
    if (end == text || errno != 0 || nr < -1 || nr > INT32_MAX) {
        return false; /* "running" */
    }
    size_t n_wanted = nr < 0 ? 2 : 8;
    for (size_t i = 0; i < n_wanted; i++) {
        const char *start = end;
        numbers[i] = strtoull(start, &end, 16);
        if (end == start || errno != 0) {
            return false;
        }
    }
    *ret_place = (struct wait_place){
        .syscall = nr < 0 ? EVENT_NO_SYSCALL : (uint32_t)nr,
        .argument = nr < 0 ? 0 : numbers[0],
        .sp = numbers[n_wanted - 2],
        .ip = numbers[n_wanted - 1],
    };
    return true;
}

struct event_wait_object wait_place_object(const struct wait_place *place)
{
    bool is_known = place->syscall != EVENT_NO_SYSCALL && place->sp > UINT32_MAX;
    return (struct event_wait_object){
        .syscall = is_known ? place->syscall : EVENT_NO_SYSCALL,
        .argument = is_known ? place->argument : 0,
    };
}

/* "" where it cannot be read. */
static void read_line(const struct looked_at *thread, const char *file,
                      char text[PROC_FILE_MAX_BYTES])
{
    char path[96];
    size_t n_bytes;
    _cleanup_(freep) char *data = NULL;
    (void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/task/%" PRId64 "/%s", thread->pid,
                   thread->tid, file);
    text[0] = '\0';
    if (fd_read_file(path, PROC_FILE_MAX_BYTES - 1, &data, &n_bytes) == 0) {
        (void)snprintf(text, PROC_FILE_MAX_BYTES, "%.*s", (int)strcspn(data, "\n"), data);
    }
}

static bool read_place(const struct looked_at *thread, struct wait_place *ret_place)
{
    char text[PROC_FILE_MAX_BYTES];
    read_line(thread, "syscall", text);
    if (text[0] == '\0') {
        /* Not for us, where only a parent may trace (Yama); wchan can be. */
        *ret_place = (struct wait_place){.syscall = EVENT_NO_SYSCALL};
        return true;
    }
    return wait_place_parse(text, ret_place);
}

/* The stack from sp on, as far as there is any; where the thread has not moved meanwhile. */
static const struct event_stack_copy *copy_stack(struct wait_look *look,
                                                 const struct looked_at *thread,
                                                 const struct wait_place *place,
                                                 struct event_batch *batch)
{
    uint8_t bytes[STACK_BYTES], *stored;
    struct wait_place again;
    if (place->sp == 0) {
        return NULL;
    }
    ssize_t n_bytes = look->config.read_memory(look->config.userdata, thread->pid, place->sp, bytes,
                                               sizeof(bytes));
    if (n_bytes <= 0 || !read_place(thread, &again) || again.sp != place->sp ||
        again.ip != place->ip) {
        return NULL;
    }
    const struct event_stack_copy copy = {
        .ip = place->ip,
        .sp = place->sp,
        .is_innermost = true,
        .is_after_syscall = place->syscall != EVENT_NO_SYSCALL,
    };
    const struct event_stack_copy *added =
        event_batch_add_stack(batch, &copy, (size_t)n_bytes, &stored);
    if (added) {
        memcpy(stored, bytes, (size_t)n_bytes);
    }
    return added;
}

/* Returns whether anything was seen. */
static bool look_at(struct wait_look *look, struct looked_at *thread, uint64_t now_ns,
                    struct event_batch *batch)
{
    struct wait_place place;
    char site[PROC_FILE_MAX_BYTES];
    thread->seen_out_ns = thread->out_ns;
    thread->seen_at_ns = now_ns;
    if (!read_place(thread, &place)) {
        return false;
    }
    read_line(thread, "wchan", site);
    thread->is_resting = place.sp == thread->seen_sp && place.ip == thread->seen_ip;
    thread->seen_sp = place.sp;
    thread->seen_ip = place.ip;
    struct event seen = {
        .kind = EVENT_WAIT_SEEN,
        .time_ns = now_ns,
        .pid = thread->pid,
        .tid = thread->tid,
        .stack = {.copy = copy_stack(look, thread, &place, batch)},
        .wait_seen = {.object = wait_place_object(&place)},
    };
    /* "0": the kernel does not say. */
    if (site[0] != '\0' && strcmp(site, "0") != 0) {
        seen.wait_seen.site = event_batch_add_text(batch, site);
    }
    bool says_nothing =
        !seen.stack.copy && !seen.wait_seen.site && place.syscall == EVENT_NO_SYSCALL;
    return !says_nothing && event_batch_add(batch, &seen);
}

static bool is_due(const struct looked_at *thread, uint64_t now_ns)
{
    return thread->out_ns != 0 && thread->out_ns != thread->seen_out_ns &&
           now_ns > thread->out_ns + WAIT_LOOK_AFTER_NS &&
           (!thread->is_resting || now_ns > thread->seen_at_ns + REST_NS);
}

void wait_look_round(struct wait_look *look, uint64_t now_ns, struct event_batch *batch)
{
    size_t n_looks = 0;
    for (size_t i = 0; i < look->n_threads && n_looks < WAIT_LOOK_PER_ROUND; i++) {
        struct looked_at *thread = &look->threads[look->next];
        look->next = look->next + 1 < look->n_threads ? look->next + 1 : 0;
        if (is_due(thread, now_ns) && event_batch_has_room(batch)) {
            (void)look_at(look, thread, now_ns, batch);
            n_looks++;
        }
    }
}
