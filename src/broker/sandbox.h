/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * sandbox - what staxd keeps of its privilege, and how it lays that aside
 *
 * Owner:   the process's credentials. Threads: the only one there is.
 * Source:  capabilities(7), setfsuid(2).
 * Tests:   sandbox_test.c
 */

#include <stdbool.h>
#include <sys/types.h>

/* Gives up for good what no verb needs. A negative errno where something is missing. */
int sandbox_enter(void);

/*
 * From here to sandbox_return() files are opened as that user and group and
 * without any capability, so that the kernel applies its ptrace rule for them
 * to what lies in /proc. No process ever runs under the caller's uid: it could
 * be stopped by the caller. False: it did not work, and nothing has changed.
 */
bool sandbox_become(uid_t uid, gid_t gid);
void sandbox_return(void);
