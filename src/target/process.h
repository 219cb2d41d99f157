/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * process - what the library keeps for the process it is in
 *
 * Memory, tables, the mark that a child without a fork() handler has lost, and
 * the lock behind which all of it changes. Reporting a span takes no lock.
 *
 * Owner:   the process; made when the first name or lane is told, never freed.
 * Threads: as each function says.
 * Source:  docs/design/0020-target-spans.md
 * Tests:   process_test.c, fork_test.c
 */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include <stax/target.h>

#include "target_ring/tables.h"
#include "target_ring/writer.h"

enum target_mark { TARGET_MARK_WIPED, TARGET_MARK_SET, TARGET_MARK_BEING_SET };

struct target_process {
    void *memory;   /* NULL until it is needed; then it stays where it is */
    uint32_t *mark; /* enum target_mark, on a page that a child finds empty */
    uint32_t pid;
    bool is_lost; /* a child that got no memory: ids of its parent would be other ones here */
    int fd;       /* of the memory, where there is any; -1: it has none */
    /* By stax_target_stats(), so that they never go back. */
    uint64_t n_sent_told, n_skipped_told;
    struct target_ring_tables tables;
};

extern struct target_process target_process;

/* The calling thread's, 0 until it is asked for. */
extern __thread uint32_t target_own_tid __attribute__((tls_model("initial-exec")));

uint32_t target_own_tid_ask(void);

static inline uint32_t target_tid(void)
{
    uint32_t tid = target_own_tid;
    return tid ? tid : target_own_tid_ask();
}

/*
 * In the gate of a child after fork(), before any server has seen it: the next
 * call starts the thread that connects. Until then the child has no second
 * thread, which much between fork() and exec() does not bear.
 */
#define TARGET_GATE_ASKS 2u

/* Starts the thread of a child, once. Any thread. */
void target_process_asked(void);

/* Whether spans are taken from here. What it needs exists if so. */
static inline bool target_is_recorded(void)
{
    /* Acquire, both: what follows uses what was made before the gate was. */
    const uint32_t *gate = __atomic_load_n(&stax_gate, __ATOMIC_ACQUIRE);
    uint32_t active = __atomic_load_n(gate, __ATOMIC_ACQUIRE);

    if (__builtin_expect(active == 0, 1)) {
        return false;
    }
    if (active == TARGET_GATE_ASKS) {
        target_process_asked();
        return false;
    }
    return __atomic_load_n(target_process.mark, __ATOMIC_RELAXED) == TARGET_MARK_SET;
}

/* What a caller gets back when the lock is released. */
struct target_quiet {
    sigset_t signals;
    int cancel_state;
    int caller_errno;
};

/*
 * No signal handler of this thread runs meanwhile, it cannot be cancelled, and
 * errno stays. Makes memory if there is none. Any thread.
 *
 * Returns 0, or -ENOMEM (for ever in a child that got none of its own); locked
 * in either case.
 */
int target_process_lock(struct target_quiet *ret_quiet);
void target_process_unlock(const struct target_quiet *quiet);

/* Locked. Makes the memory anew, if nobody can have it taken over: fd is -1, or is another file by
 * now. Returns 0 or a negative errno. */
int target_process_ensure_fd(void);

/* Adds `n` to a count in the state page, if there is one. */
void target_process_count(size_t offset_in_state, uint64_t n);
#define TARGET_COUNT(member)                                                                       \
    target_process_count(__builtin_offsetof(struct target_ring_state, member), 1)

/* A file of ours, told from one that the program has opened after it has closed ours. */
struct target_file {
    uint64_t device, inode;
};
int target_file_note(int fd, struct target_file *ret_file);
bool target_file_is(int fd, const struct target_file *file);
