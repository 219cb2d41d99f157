/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * launch_linux - a child that waits before its exec until it is recorded
 *
 * The child is forked first and blocks on a pipe, so that the server can open
 * its events before the target's first instruction. Process group, terminal,
 * environment, working directory, descriptors, signal mask and dispositions
 * are those that stax itself was started with.
 *
 * Shape:   launch_start(), then launch_release() or launch_abort(), then
 *          launch_wait() with the signals that a shell's job would get.
 * Owner:   launch_free() closes the pipes; it leaves a released child alone.
 * Threads: one; launch_start() must come before any other thread is made.
 * Tests:   launch_linux_test.c
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct launch;

/*
 * Forks the child that will execute `path` (with a slash) with `argv`.
 * Returns 0 or a negative errno.
 */
int launch_start(const char *path, char *const *argv, struct launch **ret_launch);
struct launch *launch_free(struct launch *launch);
DEFINE_FREEP(launch);

pid_t launch_pid(const struct launch *launch);

/*
 * From here on signals belong to the target (see launch_wait()). Lets the
 * child go on. Returns 0 once the exec has happened, or the positive errno
 * with which it failed: the child has then ended and been reaped.
 */
int launch_release(struct launch *launch);

/* Ends the child before its exec. */
void launch_abort(struct launch *launch);

/* What the target's wait tells meanwhile; each may be NULL. */
struct launch_listener {
    void *userdata;
    void (*on_interrupt)(void *userdata, unsigned count); /* at each Ctrl-C: 1, 2, … */
    void (*on_suspend)(void *userdata);                   /* stax is about to stop */
    void (*on_resume)(void *userdata);                    /* and goes on */
    int kept_signal;                                      /* is not passed on but told; 0: none */
    void (*on_kept_signal)(void *userdata);
};

/*
 * Waits for the target to end.
 *
 * What the terminal sends, or somebody to the whole process group, has reached
 * the target; it is not forwarded. What somebody sends to stax alone is passed
 * on. Ctrl-Z stops stax after the target has stopped, so that the shell takes
 * the terminal back when the target has let go of it.
 *
 * Returns the exit status as a shell has it: 128+N after signal N.
 */
int launch_wait(struct launch *launch, const struct launch_listener *listener);

/* Somebody wants more ended than the target: SIGHUP, SIGQUIT or SIGTERM came, or a second Ctrl-C.
 */
bool launch_was_told_to_end(const struct launch *launch);

/* Signals end stax again as they did before launch_release(). */
void launch_restore_signals(struct launch *launch);

/* Bytes that a process has written to anything so far; 0 where that is not told. */
uint64_t launch_read_written_bytes(pid_t pid);
