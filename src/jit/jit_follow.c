/* SPDX-License-Identifier: MIT */
/*
 * Events are applied late: a process can have ended, and its pid can have been
 * taken again, before its first event is seen. What was read to its end is
 * remembered by pid and start time, so that it is not read twice.
 */
#include "jit/jit_follow.h"

#include <errno.h>
#include <fcntl.h>
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

/* How often files that are not there yet are looked for. */
#define PROBE_OFTEN_NS (100 * NS_PER_MS)
#define PROBE_OFTEN_FOR_NS (3 * NS_PER_S)
#define PROBE_SELDOM_NS NS_PER_S

struct followed_process {
    struct jit_process process; /* without descriptors once it has ended */
    struct jit_map *map;        /* NULL: none, or it has ended */
    bool has_dump, has_ended;
    uint64_t began_ns, probe_at_ns;
    uint64_t grew_ns; /* its map did */
    uint64_t ended_ns;
};

struct followed_dump {
    struct jit_dump *dump; /* NULL: it was read to its end */
    int64_t pid;
    uint64_t start_ticks; /* of that process */
    uint64_t device, inode;
    uint64_t grew_ns;
};

struct jit_follow {
    struct jit_code *code;
    const atomic_bool *is_stopping;
    struct followed_process *processes;
    size_t n_processes;
    struct followed_dump dumps[JIT_FOLLOW_MAX_DUMPS];
    size_t n_dumps;
    uint64_t end_ns; /* UINT64_MAX: the run goes on */
    char trouble[160];
};

int jit_follow_new(struct jit_code *code, const atomic_bool *is_stopping,
                   struct jit_follow **ret_follow)
{
    struct jit_follow *follow = calloc(1, sizeof(*follow));
    if (!follow) {
        return -ENOMEM;
    }
    follow->code = code;
    follow->is_stopping = is_stopping;
    follow->end_ns = UINT64_MAX;
    follow->processes = calloc(JIT_FOLLOW_MAX_PROCESSES, sizeof(*follow->processes));
    if (!follow->processes) {
        free(follow);
        return -ENOMEM;
    }
    *ret_follow = follow;
    return 0;
}

/* What is kept of it is only who it was. */
static void end_process(struct followed_process *process)
{
    process->map = jit_map_free(process->map);
    jit_process_release(&process->process);
    process->has_ended = true;
    process->ended_ns = clock_now_ns();
}

struct jit_follow *jit_follow_free(struct jit_follow *follow)
{
    if (!follow) {
        return NULL;
    }
    for (size_t i = 0; i < follow->n_processes; i++) {
        end_process(&follow->processes[i]);
    }
    for (size_t i = 0; i < follow->n_dumps; i++) {
        jit_dump_free(follow->dumps[i].dump);
    }
    free(follow->processes);
    free(follow);
    return NULL;
}

const char *jit_follow_trouble(const struct jit_follow *follow)
{
    return follow->trouble;
}

static void set_trouble(struct jit_follow *follow, const char *text)
{
    snprintf(follow->trouble, sizeof(follow->trouble), "%s", text);
}

static struct followed_process *find_process(const struct jit_follow *follow, int64_t pid)
{
    for (size_t i = 0; i < follow->n_processes; i++) {
        if (follow->processes[i].process.pid == pid) {
            return &follow->processes[i];
        }
    }
    return NULL;
}

/* A slot for one more: a new one, or that of the process that ended first. */
static struct followed_process *find_room(struct jit_follow *follow)
{
    struct followed_process *oldest = NULL;
    if (follow->n_processes < JIT_FOLLOW_MAX_PROCESSES) {
        return &follow->processes[follow->n_processes++];
    }
    for (size_t i = 0; i < follow->n_processes; i++) {
        struct followed_process *process = &follow->processes[i];
        if (process->has_ended && (!oldest || process->ended_ns < oldest->ended_ns)) {
            oldest = process;
        }
    }
    return oldest;
}

/* Reading --------------------------------------------------------------------------------- */

static void open_map(struct jit_follow *follow, struct followed_process *process)
{
    int fd = jit_process_open_file(&process->process, "perf-", ".map");
    if (fd >= 0 && jit_map_open(follow->code, process->process.pid, fd, &process->map) < 0) {
        process->map = NULL;
    } else if (fd == -EPERM || fd == -EACCES) {
        set_trouble(follow, "the map in /tmp belongs to another user: it is not read");
    }
}

static struct followed_dump *find_dump(struct jit_follow *follow, const struct stat *status)
{
    for (size_t i = 0; i < follow->n_dumps; i++) {
        if (follow->dumps[i].device == status->st_dev && follow->dumps[i].inode == status->st_ino) {
            return &follow->dumps[i];
        }
    }
    return NULL;
}

static void open_dump(struct jit_follow *follow, struct followed_process *process, int takes_fd)
{
    _cleanup_(fd_closep) int fd = takes_fd;
    struct stat status;
    if (fstat(fd, &status) < 0 || jit_process_check_file(&process->process, fd) == -EPERM) {
        set_trouble(follow, "a jitdump belongs to another user: it is not read");
        return;
    }
    process->has_dump = true;
    struct followed_dump *followed = find_dump(follow, &status);
    bool is_same = followed && followed->pid == process->process.pid &&
                   followed->start_ticks == process->process.start_ticks;
    if (followed && (followed->dump || is_same)) {
        return;
    }
    struct jit_dump *dump;
    if ((!followed && follow->n_dumps == JIT_FOLLOW_MAX_DUMPS) ||
        jit_dump_open(follow->code, process->process.pid, TAKE_FD(fd), &dump) < 0) {
        set_trouble(follow, "more jitdumps than can be followed: names are missing");
        return;
    }
    followed = followed ? followed : &follow->dumps[follow->n_dumps++];
    *followed = (struct followed_dump){
        .dump = dump,
        .pid = process->process.pid,
        .start_ticks = process->process.start_ticks,
        .device = status.st_dev,
        .inode = status.st_ino,
    };
    jit_dump_end_at(dump, follow->end_ns);
}

/* Looks for the files that a process may have begun meanwhile. */
static void probe(struct jit_follow *follow, struct followed_process *process, uint64_t now_ns)
{
    if (process->map && process->has_dump) {
        return;
    }
    if (!process->map) {
        open_map(follow, process);
    }
    if (!process->has_dump) {
        int fd = jit_process_open_file(&process->process, "jit-", ".dump");
        if (fd >= 0) {
            open_dump(follow, process, fd);
        } else if (fd == -EPERM || fd == -EACCES) {
            set_trouble(follow, "the jitdump in /tmp belongs to another user: it is not read");
        }
    }
    bool is_young = now_ns - process->began_ns < PROBE_OFTEN_FOR_NS;
    process->probe_at_ns = now_ns + (is_young ? PROBE_OFTEN_NS : PROBE_SELDOM_NS);
}

static uint64_t read_map(struct jit_follow *follow, struct followed_process *process,
                         bool has_ended, struct jit_budget *budget)
{
    int64_t n_lines = jit_map_read(process->map, has_ended, budget);
    if (n_lines == -EFBIG) {
        set_trouble(follow, "a map in /tmp is too large: its end is not read");
        return 1; /* some lines there may have been */
    }
    if (n_lines > 0) {
        process->grew_ns = clock_now_ns();
    }
    return n_lines > 0 ? (uint64_t)n_lines : 0;
}

static uint64_t read_process(struct jit_follow *follow, struct followed_process *process,
                             struct jit_budget *budget)
{
    uint64_t now_ns = clock_now_ns(), n_added = 0;
    bool has_ended = jit_process_has_ended(&process->process);
    if (has_ended || now_ns >= process->probe_at_ns) {
        probe(follow, process, now_ns);
    }
    if (process->map) {
        n_added = read_map(follow, process, has_ended, budget);
    }
    if (has_ended && !budget->was_exceeded) {
        end_process(process);
    }
    return n_added;
}

static uint64_t read_dump(struct jit_follow *follow, struct followed_dump *followed,
                          struct jit_budget *budget)
{
    int64_t n_records = jit_dump_read(followed->dump, budget);
    if (jit_dump_has_foreign_clock(followed->dump)) {
        set_trouble(follow, "a jitdump has processor ticks for times: code memory that it uses "
                            "again is told apart by when it was read");
    } else if (n_records == -EFBIG) {
        set_trouble(follow, "a jitdump is too large: its end is not read");
    } else if (n_records == -ENOTSUP || n_records == -EBADMSG) {
        set_trouble(follow, "a jitdump makes no sense from some place on: names are missing");
    }
    if (n_records > 0) {
        followed->grew_ns = clock_now_ns();
    }
    return n_records > 0 ? (uint64_t)n_records : 0;
}

/* Is the process that wrote the dump gone? */
static bool has_writer(const struct jit_follow *follow, const struct followed_dump *followed)
{
    const struct followed_process *process = find_process(follow, followed->pid);
    return process && !process->has_ended && process->process.start_ticks == followed->start_ticks;
}

uint64_t jit_follow_read(struct jit_follow *follow, bool *ret_is_all)
{
    struct jit_budget budget = jit_budget_begin(follow->is_stopping, clock_now_ns());
    uint64_t n_added = 0;
    for (size_t i = 0; i < follow->n_processes; i++) {
        if (!follow->processes[i].has_ended) {
            n_added += read_process(follow, &follow->processes[i], &budget);
        }
    }
    /* After the ends of processes were seen: what they wrote before is there. */
    for (size_t i = 0; i < follow->n_dumps; i++) {
        struct followed_dump *followed = &follow->dumps[i];
        if (followed->dump) {
            bool is_last = !has_writer(follow, followed);
            n_added += read_dump(follow, followed, &budget);
            if (is_last && !budget.was_exceeded) {
                followed->dump = jit_dump_free(followed->dump);
            }
        }
    }
    *ret_is_all = !budget.was_exceeded;
    return n_added;
}

/* What happens ---------------------------------------------------------------------------- */

static void begin_process(struct followed_process *process, int64_t pid)
{
    *process = (struct followed_process){.began_ns = clock_now_ns()};
    (void)jit_process_open(pid, &process->process); /* its files may have outlived it */
}

/*
 * The process of that pid; NULL: there are too many. One that has ended is the
 * same still, unless the kernel knows another one by now.
 */
static struct followed_process *get_process(struct jit_follow *follow, int64_t pid,
                                            uint64_t time_ns)
{
    struct followed_process *process = find_process(follow, pid);
    if (!process) {
        process = find_room(follow);
        if (process) {
            begin_process(process, pid);
        } else {
            set_trouble(follow, "more processes make code than can be followed: names are missing");
        }
        return process;
    }
    bool has_ended = process->has_ended || jit_process_has_ended(&process->process);
    if (has_ended && jit_process_is_replaced(&process->process)) {
        bool is_all;
        (void)jit_follow_read(follow, &is_all);
        jit_code_exec(follow->code, pid, time_ns);
        end_process(process);
        begin_process(process, pid);
    }
    return process;
}

void jit_follow_process(struct jit_follow *follow, int64_t pid, uint64_t time_ns)
{
    (void)get_process(follow, pid, time_ns);
}

void jit_follow_dump(struct jit_follow *follow, const struct image *image, uint64_t time_ns)
{
    struct followed_process *process = get_process(follow, image->pid, time_ns);
    if (!process) {
        return;
    }
    _cleanup_(image_file_freep) struct image_file *file = NULL;
    struct error error = {0};
    if (image_file_open(image, &file, &error) < 0) {
        snprintf(follow->trouble, sizeof(follow->trouble), "jitdump %.60s: %.80s", image->name,
                 error.message);
        return;
    }
    /* A descriptor of its own: the image file closes the other. */
    int fd = fcntl(image_file_descriptor(file), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) {
        open_dump(follow, process, fd);
    }
}

void jit_follow_exec(struct jit_follow *follow, int64_t pid, uint64_t time_ns)
{
    struct followed_process *process = find_process(follow, pid);
    if (process && !process->has_ended) {
        bool is_all;
        (void)jit_follow_read(follow, &is_all);
    }
    /* The next program has files of its own, perhaps under the same names. */
    if (process && !process->has_ended) {
        process->map = jit_map_free(process->map);
        process->has_dump = false;
        process->probe_at_ns = 0;
        jit_process_exec(&process->process, time_ns);
    }
    jit_code_exec(follow->code, pid, time_ns);
}

void jit_follow_fork(struct jit_follow *follow, int64_t pid, int64_t parent_pid, uint64_t time_ns)
{
    struct followed_process *earlier = find_process(follow, pid);
    if (earlier) { /* of which this event would be later: its pid was free again */
        bool is_all;
        (void)jit_follow_read(follow, &is_all);
        end_process(earlier);
        earlier->process.pid = -1;
        jit_code_exec(follow->code, pid, time_ns);
    }
    if (find_process(follow, parent_pid) || jit_code_knows(follow->code, parent_pid)) {
        jit_code_fork(follow->code, pid, parent_pid, time_ns);
    }
}

/* The end of the run ---------------------------------------------------------------------- */

void jit_follow_end(struct jit_follow *follow, uint64_t end_ns)
{
    follow->end_ns = end_ns;
    for (size_t i = 0; i < follow->n_dumps; i++) {
        if (follow->dumps[i].dump) {
            jit_dump_end_at(follow->dumps[i].dump, end_ns);
        }
    }
}

static bool is_quiet(const struct jit_follow *follow, uint64_t grew_ns, uint64_t now_ns)
{
    uint64_t since_ns = grew_ns > follow->end_ns ? grew_ns : follow->end_ns;
    return now_ns > since_ns + JIT_FOLLOW_QUIET_NS ||
           now_ns > follow->end_ns + JIT_FOLLOW_LONGEST_NS;
}

/* A process that writes a dump and no map has told everything when its dump has. */
static bool is_told_by_dump(const struct jit_follow *follow, const struct followed_process *process)
{
    bool has_dump = false;
    for (size_t i = 0; i < follow->n_dumps; i++) {
        const struct followed_dump *followed = &follow->dumps[i];
        if (followed->pid == process->process.pid && followed->dump) {
            if (!jit_dump_has_passed_end(followed->dump)) {
                return false;
            }
            has_dump = true;
        }
    }
    return has_dump && !process->map;
}

bool jit_follow_is_done(const struct jit_follow *follow, uint64_t now_ns)
{
    if (follow->end_ns == UINT64_MAX) {
        return false;
    }
    for (size_t i = 0; i < follow->n_processes; i++) {
        const struct followed_process *process = &follow->processes[i];
        if (!process->has_ended && !is_told_by_dump(follow, process) &&
            !is_quiet(follow, process->grew_ns, now_ns)) {
            return false;
        }
    }
    for (size_t i = 0; i < follow->n_dumps; i++) {
        const struct followed_dump *followed = &follow->dumps[i];
        if (followed->dump && !jit_dump_has_passed_end(followed->dump) &&
            !is_quiet(follow, followed->grew_ns, now_ns)) {
            return false;
        }
    }
    return true;
}

size_t jit_follow_waits(const struct jit_follow *follow, struct pollfd *ret_waits)
{
    size_t n_waits = 0;
    for (size_t i = 0; i < follow->n_processes; i++) {
        const struct followed_process *process = &follow->processes[i];
        if (!process->has_ended && process->process.pidfd >= 0) {
            ret_waits[n_waits++] = (struct pollfd){.fd = process->process.pidfd, .events = POLLIN};
        }
    }
    return n_waits;
}
