/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_process - who a pid is, before it is recorded
 *
 * Owner:   target_process_open()/_release(); the descriptor keeps the pid from
 *          being taken for another process that gets the same number.
 * Threads: one at a time. Reads files of the target, so not for the main loop; but who
 *          descends from whom is told without waiting for anybody.
 * Source:  proc_pid_status(5), proc_pid_cmdline(5), pidfd_open(2).
 * Tests:   target_process_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#define TARGET_PROCESS_COMMAND_BYTES 1024

struct target_process {
    int64_t pid;
    int pidfd;                                  /* -1 where the host has none */
    char command[TARGET_PROCESS_COMMAND_BYTES]; /* as a shell would show it, cut at the end */
};

/*
 * Returns 0, or a negative errno with reterr_error set: "no_such_process" (it
 * has ended, or never was, or the number is a thread's), "permission" (it
 * belongs to somebody else), "invalid_params" (it is this server).
 */
int target_process_open(int64_t pid, struct target_process *ret_target, struct error *reterr_error);
void target_process_release(struct target_process *target);
DEFINE_RELEASEP(target_process);

/* A child of it, or of one of its children, as far as they have not been left by their parent. */
bool target_process_descends(int64_t pid, int64_t ancestor);
