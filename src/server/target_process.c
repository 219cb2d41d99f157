/* SPDX-License-Identifier: MIT */
#include "server/target_process.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define MAX_STATUS_BYTES (64u << 10)
#define MAX_COMMAND_BYTES (4u << 20)
#define MAX_GENERATIONS 32

/* The members of /proc/PID/status that matter here. */
struct status {
    char name[64];
    char state;
    long long process; /* the pid, when asked for a thread */
    long long parent;
    unsigned long uids[3]; /* real, effective, saved */
};

static bool line_value(const char *text, const char *name, const char **ret_value)
{
    const char *at = strstr(text, name);
    if (!at) {
        return false;
    }
    *ret_value = at + strlen(name);
    return true;
}

static int read_status(int64_t pid, struct status *ret_status)
{
    char path[64];
    _cleanup_(freep) char *text = NULL;
    snprintf(path, sizeof(path), "/proc/%lld/status", (long long)pid);
    int r = fd_read_file(path, MAX_STATUS_BYTES, &text, NULL);
    if (r < 0) {
        return r;
    }
    const char *value;
    *ret_status = (struct status){.state = '?'};
    if (strncmp(text, "Name:\t", 6) == 0) {
        snprintf(ret_status->name, sizeof(ret_status->name), "%.*s", (int)strcspn(text + 6, "\n"),
                 text + 6);
    }
    if (line_value(text, "\nState:\t", &value)) {
        ret_status->state = *value;
    }
    if (!line_value(text, "\nTgid:\t", &value)) {
        return -EBADMSG;
    }
    ret_status->process = strtoll(value, NULL, 10);
    if (line_value(text, "\nPPid:\t", &value)) {
        ret_status->parent = strtoll(value, NULL, 10);
    }
    if (!line_value(text, "\nUid:\t", &value)) {
        return -EBADMSG;
    }
    char *at = (char *)value;
    for (size_t i = 0; i < 3; i++) { /* real, effective, saved */
        ret_status->uids[i] = strtoul(at, &at, 10);
    }
    return ret_status->process > 0 ? 0 : -EBADMSG;
}

bool target_process_descends(int64_t pid, int64_t ancestor)
{
    struct status status;
    for (int i = 0; i < MAX_GENERATIONS && pid > 1 && read_status(pid, &status) == 0; i++) {
        if (status.parent == ancestor) {
            return true;
        }
        pid = status.parent;
    }
    return false;
}

static int no_such_process(int64_t pid, struct error *reterr_error)
{
    error_set(reterr_error, "no_such_process", "there is no process %lld", (long long)pid);
    error_hint(reterr_error, "ps -e lists the processes that there are");
    return -ESRCH;
}

static int check_owner(int64_t pid, const struct status *status, struct error *reterr_error)
{
    unsigned long own = geteuid();
    if (own == 0 || (status->uids[0] == own && status->uids[1] == own && status->uids[2] == own)) {
        return 0;
    }
    char buffer[1024];
    struct passwd entry, *found = NULL;
    getpwuid_r((uid_t)status->uids[0], &entry, buffer, sizeof(buffer), &found);
    if (found) {
        error_set(reterr_error, "permission", "process %lld (%s) belongs to %s", (long long)pid,
                  status->name, found->pw_name);
    } else {
        error_set(reterr_error, "permission", "process %lld (%s) belongs to uid %lu",
                  (long long)pid, status->name, status->uids[0]);
    }
    error_hint(reterr_error, "record it as that user or as root (with a stax-server of that user)");
    return -EPERM;
}

/* Arguments are separated by NULs; those with blanks are quoted. */
static void format_arguments(const char *bytes, size_t n_bytes, char *text, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < n_bytes && at + 3 < size;) {
        const char *argument = bytes + i;
        size_t length = strnlen(argument, n_bytes - i);
        bool is_quoted = length == 0 || memchr(argument, ' ', length);
        i += length + 1;
        int n = snprintf(text + at, size - at, "%s%s%.*s%s", at ? " " : "", is_quoted ? "'" : "",
                         length > INT_MAX ? INT_MAX : (int)length, argument, is_quoted ? "'" : "");
        if (n < 0) {
            break;
        }
        at += (size_t)n < size - at ? (size_t)n : size - at - 1;
    }
    for (char *character = text; *character; character++) {
        if ((unsigned char)*character < ' ' || *character == 0x7f) {
            *character = '?';
        }
    }
}

static void read_command(const struct status *status, struct target_process *target)
{
    char path[64];
    _cleanup_(freep) char *bytes = NULL;
    size_t n_bytes = 0;
    snprintf(path, sizeof(path), "/proc/%lld/cmdline", (long long)target->pid);
    if (fd_read_file(path, MAX_COMMAND_BYTES, &bytes, &n_bytes) == 0 && n_bytes > 0) {
        /* A program that writes over its title leaves NULs behind it. */
        while (n_bytes > 1 && bytes[n_bytes - 1] == '\0' && bytes[n_bytes - 2] == '\0') {
            n_bytes--;
        }
        format_arguments(bytes, n_bytes, target->command, sizeof(target->command));
    }
    if (target->command[0] == '\0') {
        snprintf(target->command, sizeof(target->command), "[%s]", status->name);
    }
}

int target_process_open(int64_t pid, struct target_process *ret_target, struct error *reterr_error)
{
    _cleanup_(target_process_releasep) struct target_process target = {.pid = pid, .pidfd = -1};
    struct status status;
    if (pid <= 0 || pid > INT_MAX) {
        return no_such_process(pid, reterr_error);
    }
    if (pid == getpid()) {
        error_set(reterr_error, "invalid_params", "stax-server does not record itself");
        return -EINVAL;
    }
    /* The descriptor first: what is read afterwards is about the process that it holds. */
    target.pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    int open_errno = errno;
    int r = read_status(pid, &status);
    if (r < 0) {
        return no_such_process(pid, reterr_error);
    }
    if (status.process != pid) {
        error_set(reterr_error, "no_such_process", "%lld is a thread of process %lld",
                  (long long)pid, status.process);
        error_hint(reterr_error, "record the process: --pid %lld", status.process);
        return -ESRCH;
    }
    if (status.state == 'Z' || status.state == 'X') {
        error_set(reterr_error, "no_such_process", "process %lld (%s) has already ended",
                  (long long)pid, status.name);
        return -ESRCH;
    }
    r = check_owner(pid, &status, reterr_error);
    if (r < 0) {
        return r;
    }
    if (target.pidfd < 0 && open_errno == ESRCH) {
        return no_such_process(pid, reterr_error);
    }
    if (target.pidfd < 0 && open_errno != ENOSYS) {
        error_set_errno(reterr_error, -open_errno, "pidfd_open");
        return -open_errno;
    }
    read_command(&status, &target);
    *ret_target = target;
    target.pidfd = -1; /* handed over */
    return 0;
}

void target_process_release(struct target_process *target)
{
    target->pidfd = fd_close(target->pidfd);
}
