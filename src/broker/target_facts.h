/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_facts - what /proc tells of a process, in the words of the ptrace rule
 *
 * Owner:   descriptors are the caller's. Threads: any.
 * Source:  proc(5), pidfd_open(2).
 * Tests:   target_facts_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TARGET_IDS 4u /* real, effective, saved, of the file system */

struct target_facts {
    uint64_t uids[TARGET_IDS], gids[TARGET_IDS];
    uint64_t permitted, effective; /* capabilities */
    uint64_t tgid;
    bool is_dumpable;
    bool kernel_agrees; /* the memory map's owner let this thread look into it */
};

/*
 * The process behind a pidfd of a whole process: its number, and a folder of
 * /proc that stands for it and nobody else, whoever gets the number next.
 * -EBADF where it is no such descriptor, -ESRCH where the process has gone.
 */
int target_facts_open(int pidfd, pid_t *ret_pid, int *ret_process_fd);
bool target_facts_is_alive(int pidfd);

/* Of one of its threads; -ESRCH where it has none of that number. */
int target_facts_read(int process_fd, pid_t tid, struct target_facts *ret_facts);

/* When it began, hundredths of a second since boot. */
int target_facts_start_ticks(int process_fd, uint64_t *ret_ticks);

/* The text of …/status; -EBADMSG where something is missing. */
int target_facts_parse(const char *text, struct target_facts *ret_facts);
