/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * session - one connection: a caller, its target, and what it was given
 *
 * A connection goes through the phases of broker_wire/wire.h in one direction
 * and lasts as long as the recording. What it holds ends with it; descriptors
 * that were handed over are the caller's. One that wants programs, whose
 * loading takes the kernel a second, goes on in a process of its own.
 *
 * Owner:   a place in struct broker; session_close() empties it.
 * Threads: one.
 * Limits:  BROKER_SESSION_EVENTS_MAX events at once; requests as struct user says.
 * Tests:   session_test.c; tests/e2e/test_staxd.py
 */

#include "broker/open_switches.h"

#define SESSION_N 64u
#define SESSIONS_PER_UID 8u
#define SESSION_IDLE_NS (UINT64_C(5) * 1000 * 1000 * 1000)
/* So many descriptors are forgotten again: events are opened anew while a recording goes on. */
#define SESSION_EVENTS_PER_S 16u
/* Requests of one uid: so many at once, so many a second later on, and what programs count for. */
#define USER_BURST 8192u
#define USER_REQUESTS_PER_S 2000u
#define USER_SWITCHES_COST 2000u
#define USER_SWITCHES_MAX 2u /* each with a ring per CPU */

struct user {
    uid_t uid;
    unsigned int n_sessions, n_watches;
    uint64_t seen_ns; /* 0: the place is free */
    uint64_t n_tokens;
};

struct session {
    int fd; /* -1: the place is free */
    enum broker_phase phase;
    struct caller caller;
    struct user *user;
    uint64_t since_ns; /* it connected; later: n_events is as of then */
    int pidfd;
    struct broker_target target;
    pid_t worker;              /* not 0: it goes on there, and fd tells when that ends */
    struct sched_watch *watch; /* NULL: not asked for, or ended */
    uint32_t n_events, verbs;  /* opened; bits of what was granted, for the log */
};

struct broker {
    int listen_fd; /* -1: this is the process of one session */
    bool no_kernel_stacks, has_kernel_names;
    struct session sessions[SESSION_N];
    struct user users[SESSION_N];
};

/* Takes fd. */
void session_begin(struct session *session, int take_fd, const struct caller *caller,
                   struct user *user, uint64_t now_ns);
/* One message of it. False: the connection is to be closed. */
bool session_serve(struct broker *broker, struct session *session);
/* Ends programs whose target is gone, or is none of the caller's any more. */
void session_recheck(struct session *session);
void session_close(struct session *session);

/* May it be served now? Refills by the time. */
bool user_has_token(struct user *user);

/* One line of the log: "refused uid=1000 … reason=…". Bounded; nothing in it is a caller's word. */
void session_refuse(const struct caller *caller, pid_t pid, enum broker_refusal refusal);
