/* SPDX-License-Identifier: MIT */
#include "broker/target_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* In a process's stat, counted from the number after its state. */
#define START_FIELD 19
#define TEXT_BYTES 8192u /* a status has about 1500; its list of groups may be longer */

/* A whole small file, into the caller's memory. */
static int read_text(int folder_fd, const char *path, char *text)
{
    _cleanup_(fd_closep) int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n_bytes = fd < 0 ? -1 : read(fd, text, TEXT_BYTES - 1);
    if (n_bytes < 0) {
        return -errno;
    }
    text[n_bytes] = '\0';
    return 0;
}

/* What follows a line's "Name:"; n numbers, parted by white space. False where there are fewer. */
static bool find_numbers(const char *text, const char *name, int base, uint64_t *ret, size_t n)
{
    const char *at = strstr(text, name);
    for (size_t i = 0; at && i < n; i++) {
        char *end;
        at += i == 0 ? strlen(name) : 0;
        ret[i] = strtoull(at, &end, base);
        at = end == at ? NULL : end;
    }
    return at != NULL;
}

int target_facts_parse(const char *text, struct target_facts *ret_facts)
{
    memset(ret_facts, 0, sizeof(*ret_facts));
    /* The line of the name comes first, and it has no newline within: nothing in it is a field. */
    return find_numbers(text, "\nTgid:", 10, &ret_facts->tgid, 1) &&
                   find_numbers(text, "\nUid:", 10, ret_facts->uids, TARGET_IDS) &&
                   find_numbers(text, "\nGid:", 10, ret_facts->gids, TARGET_IDS) &&
                   find_numbers(text, "\nCapPrm:", 16, &ret_facts->permitted, 1) &&
                   find_numbers(text, "\nCapEff:", 16, &ret_facts->effective, 1)
               ? 0
               : -EBADMSG;
}

/* Of a process or, from its folder, of one of its threads. */
static int read_status(int folder_fd, const char *path, struct target_facts *ret_facts)
{
    char text[TEXT_BYTES];
    int r = read_text(folder_fd, path, text);
    r = r == 0 ? target_facts_parse(text, ret_facts) : r;
    return r == -ENOENT ? -ESRCH : r;
}

bool target_facts_is_alive(int pidfd)
{
    /* EPERM: it lives, and is none of ours to signal. */
    return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

int target_facts_open(int pidfd, pid_t *ret_pid, int *ret_process_fd)
{
    char path[64], text[TEXT_BYTES];
    struct target_facts facts;
    uint64_t pid;
    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    int r = read_text(AT_FDCWD, path, text);
    if (r != 0 || !find_numbers(text, "\nPid:", 10, &pid, 1)) {
        return -EBADF;
    }
    /* Gone: -1. In a process namespace beside ours: 0. There is no such folder. */
    (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    _cleanup_(fd_closep) int process_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process_fd < 0) {
        return -ESRCH;
    }
    r = read_status(process_fd, "status", &facts);
    /* Alive after the folder was opened: the number was its own all the time. */
    if (!target_facts_is_alive(pidfd)) {
        return errno == ESRCH ? -ESRCH : -EBADF;
    }
    if (r != 0 || facts.tgid != pid) {
        return r != 0 ? r : -EBADF;
    }
    *ret_pid = (pid_t)pid;
    *ret_process_fd = TAKE_FD(process_fd);
    return 0;
}

int target_facts_read(int process_fd, pid_t tid, struct target_facts *ret_facts)
{
    char path[64];
    struct stat owner;
    (void)snprintf(path, sizeof(path), "task/%d/status", (int)tid);
    int r = read_status(process_fd, path, ret_facts);
    /* The kernel gives files of what may not be dumped to root, and opens this one by its rule. */
    (void)snprintf(path, sizeof(path), "task/%d/environ", (int)tid);
    if (r == 0 && fstatat(process_fd, path, &owner, 0) == 0) {
        _cleanup_(fd_closep) int fd = openat(process_fd, path, O_RDONLY | O_CLOEXEC);
        ret_facts->is_dumpable = owner.st_uid == ret_facts->uids[1];
        ret_facts->kernel_agrees = fd >= 0;
    }
    return r;
}

int target_facts_start_ticks(int process_fd, uint64_t *ret_ticks)
{
    char text[TEXT_BYTES];
    uint64_t fields[START_FIELD];
    int r = read_text(process_fd, "stat", text);
    char *end = r == 0 ? strrchr(text, ')') : NULL; /* of the name, which may hold anything else */
    if (!end || strlen(end) < 4 || !find_numbers(end + 3, " ", 10, fields, START_FIELD)) {
        return r != 0 ? r : -EBADMSG;
    }
    *ret_ticks = fields[START_FIELD - 1];
    return 0;
}
