/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * authorize - may this caller observe that thread?
 *
 * The kernel's own rule for ptrace(2) access, as a function of facts: the same
 * user and group in all their forms, no capability that the caller lacks, and
 * dumpable. Where the kernel would grant more (a process in a user namespace
 * of the caller's, a caller with some capabilities), this does not.
 *
 * Owner:   plain data. Threads: any.
 * Source:  ptrace(2), "Ptrace access mode checking".
 * Tests:   authorize_test.c, a case per row; tests/e2e/test_staxd.py
 */

#include "broker/target_facts.h"
#include "broker_wire/wire.h"

struct caller {
    uid_t uid; /* when it connected */
    gid_t gid;
    pid_t pid;
    bool may_observe_all; /* root with CAP_SYS_PTRACE, for whom the kernel makes no difference */
};

enum broker_refusal authorize(const struct caller *caller, const struct target_facts *facts);
