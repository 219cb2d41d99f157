/* SPDX-License-Identifier: MIT */
#include "jit/jit_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define MAX_PROC_FILE_BYTES (1u << 16)
#define START_FIELD 22                      /* of proc_pid_stat(5) */
#define START_SLACK_NS NS_PER_S             /* the kernel rounds starts to ticks */
#define FILE_TIME_SLACK_NS (20 * NS_PER_MS) /* and times of files to its timer's */

static char *read_proc(int64_t pid, const char *name)
{
    char path[64];
    char *text;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/%s", pid, name);
    return fd_read_file(path, MAX_PROC_FILE_BYTES, &text, NULL) < 0 ? NULL : text;
}

/* The number in column `column` of a line of status, counted from 1; 0: the last one. */
static bool status_number(const char *status, const char *field, int column, uint64_t *ret_number)
{
    const char *line = strstr(status, field);
    if (!line) {
        return false;
    }
    const char *at = line + strlen(field);
    bool is_found = false;
    for (int i = 1; column == 0 || i <= column; i++) {
        at += strspn(at, " \t");
        char *end;
        uint64_t number = strtoull(at, &end, 10);
        if (end == at) {
            break;
        }
        at = end;
        *ret_number = number;
        is_found = column == 0 || i == column;
    }
    return is_found;
}

static void read_status(struct jit_process *process)
{
    _cleanup_(freep) char *status = read_proc(process->pid, "status");
    uint64_t number;
    if (!status) {
        return;
    }
    if (status_number(status, "\nNSpid:", 0, &number)) {
        process->inner_pid = (int64_t)number;
    }
    if (status_number(status, "\nUid:", 2, &number)) {
        process->uid = (uint32_t)number;
    }
}

/* 0: unknown, or there is no such process. */
static uint64_t read_start_ticks(int64_t pid)
{
    _cleanup_(freep) char *stat = read_proc(pid, "stat");
    const char *at = stat ? strrchr(stat, ')') : NULL; /* the name before it may hold anything */
    if (!at) {
        return 0;
    }
    /* Behind the name comes field 3. */
    at++;
    for (int field = 3; field < START_FIELD && at; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

static void read_start(struct jit_process *process)
{
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    process->start_ticks = read_start_ticks(process->pid);
    if (process->start_ticks > 0 && ticks_per_s > 0) {
        uint64_t since_boot_ns = process->start_ticks * (NS_PER_S / (uint64_t)ticks_per_s);
        uint64_t boot_ns = clock_now_unix_ns() - clock_read_ns(CLOCK_BOOTTIME);
        process->start_unix_ns = boot_ns + since_boot_ns;
    }
}

bool jit_process_is_replaced(const struct jit_process *process)
{
    uint64_t now_ticks = read_start_ticks(process->pid);
    return now_ticks != 0 && now_ticks != process->start_ticks;
}

void jit_process_exec(struct jit_process *process, uint64_t time_ns)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t ago_ns = time_ns < now_ns ? now_ns - time_ns : 0;
    process->start_unix_ns = clock_now_unix_ns() - ago_ns + START_SLACK_NS - FILE_TIME_SLACK_NS;
}

int64_t jit_process_parent_of(int64_t pid)
{
    _cleanup_(freep) char *status = read_proc(pid, "status");
    uint64_t number;
    return status && status_number(status, "\nPPid:", 1, &number) ? (int64_t)number : -1;
}

int jit_process_open(int64_t pid, struct jit_process *ret_process)
{
    *ret_process = (struct jit_process){
        .pid = pid, .inner_pid = pid, .uid = (uint32_t)geteuid(), .pidfd = -1, .tmp_fd = -1};
    ret_process->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    int r = ret_process->pidfd < 0 && errno == ESRCH ? -ESRCH : 0;
    read_status(ret_process);
    read_start(ret_process);
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/root/tmp", pid);
    ret_process->tmp_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ret_process->tmp_fd < 0) {
        ret_process->tmp_fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return r;
}

void jit_process_release(struct jit_process *process)
{
    process->pidfd = fd_close(process->pidfd);
    process->tmp_fd = fd_close(process->tmp_fd);
}

bool jit_process_has_ended(const struct jit_process *process)
{
    if (process->pidfd < 0) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%" PRId64, process->pid);
        return access(path, F_OK) < 0;
    }
    struct pollfd ended = {.fd = process->pidfd, .events = POLLIN};
    return poll(&ended, 1, 0) > 0;
}

int jit_process_check_file(const struct jit_process *process, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || (status.st_uid != process->uid && status.st_uid != 0)) {
        return -EPERM;
    }
    uint64_t modified_ns =
        (uint64_t)status.st_mtim.tv_sec * NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    return modified_ns + START_SLACK_NS < process->start_unix_ns ? -ESTALE : 0;
}

int jit_process_open_file(const struct jit_process *process, const char *prefix, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof(name), "%s%" PRId64 "%s", prefix, process->inner_pid, suffix);
    if (process->tmp_fd < 0) {
        return -ENOENT;
    }
    _cleanup_(fd_closep) int fd =
        openat(process->tmp_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int r = jit_process_check_file(process, fd);
    return r < 0 ? r : TAKE_FD(fd);
}
