/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * link - the thread that looks for a server and stays connected to it
 *
 * It runs with all signals blocked, at low priority, and sleeps unless a server
 * comes or goes. Whether the process is recorded is not told over the
 * connection: that is the gate, which the server writes.
 *
 * Owner:   the process; one thread, "stax-target", from its first lane on.
 * Threads: target_link_start() and target_link_forked() with the process's lock
 *          held, the others any.
 * Limits:  a server is looked for often at first, then once a second, and when
 *          its socket appears: that, after PATIENT_MS without one and not in a
 *          child, since the kernel takes some ms to close an inotify descriptor,
 *          for which exit() and exec() would wait. One that has refused is asked
 *          every 30 s.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   link_test.c, fork_test.c
 */

#include <stdbool.h>

#include <stax/target.h>

/* Starts the thread if there is none. True: target_link_wait_first() is worth its time. */
bool target_link_start(void);

/* Not locked. Returns when the thread has tried once, 20 ms later at most. */
void target_link_wait_first(void);

/* Not locked: it takes the loader's lock. The code of the thread stays where it is, also where the
 * library is a part of something that dlclose() takes away. */
void target_link_pin_code(void);

/* In a child: lets go of its parent's connection. True: its parent had a thread, and
 * target_link_start() is to be called when the child first reports. */
bool target_link_forked(void);

enum stax_target_state target_link_state(void);
