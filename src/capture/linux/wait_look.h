/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * wait_look - where threads wait, found out by looking
 *
 * Where nobody tells the stack of a wait (an ordinary user's recording; a wait
 * that began before the recording did), a thread that has been blocked for a
 * while is looked at: /proc says which system call it is in, where in the
 * kernel and with what stack pointer, and its stack stands still meanwhile.
 * Shorter waits are met by chance; the aggregator takes them to be like the
 * last one that was seen.
 *
 * Shape:   told of switches in the order of their time; adds EVENT_WAIT_SEEN.
 *          The frame pointer is not told by /proc: a walk that needs it ends.
 * Owner:   wait_look_new()/_free().
 * Threads: one.
 * Limits:  WAIT_LOOK_THREADS threads; WAIT_LOOK_PER_ROUND looks per round, the
 *          longest not looked at first.
 * Source:  proc_pid_syscall(5), proc_pid_wchan(5).
 * Tests:   wait_look_test.c
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "model/event_batch.h"

#define WAIT_LOOK_THREADS 16384u
#define WAIT_LOOK_PER_ROUND 16u
#define WAIT_LOOK_AFTER_NS UINT64_C(2000000)

struct wait_look;

struct wait_look_config {
    bool first_only; /* switches are told with their stacks: only waits from before are looked at */
    void *userdata;
    /* As capture_ops.read_memory. */
    ssize_t (*read_memory)(void *userdata, int64_t pid, uint64_t address, void *buffer,
                           size_t n_bytes);
};

int wait_look_new(const struct wait_look_config *config, struct wait_look **ret_look);
struct wait_look *wait_look_free(struct wait_look *look);
DEFINE_FREEP(wait_look);

/* A thread that was there when the recording began. */
void wait_look_note_present(struct wait_look *look, int64_t pid, int64_t tid, uint64_t time_ns);
/* A switch or the end of a thread; other kinds are passed over. */
void wait_look_note(struct wait_look *look, const struct event *event);

/* Looks at those whose turn it is. The batch must have room. */
void wait_look_round(struct wait_look *look, uint64_t now_ns, struct event_batch *batch);

/* What /proc/PID/task/TID/syscall says; false where it says nothing of a wait. */
struct wait_place {
    uint32_t syscall; /* EVENT_NO_SYSCALL: none */
    uint64_t argument, sp, ip;
};
bool wait_place_parse(const char *text, struct wait_place *ret_place);
/* None where the call is one of 32-bit code, which has other numbers, or of nobody's code. */
struct event_wait_object wait_place_object(const struct wait_place *place);
