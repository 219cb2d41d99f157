/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * broker_client - events of the target by way of staxd, where we may not open them
 *
 * Owner:   broker_client_new()/_free(); descriptors that it opens are the
 *          caller's and outlive it.
 * Threads: one.
 * Limits:  BROKER_CLIENT_WAIT_S for an answer.
 * Source:  docs/PROTOCOL.broker.md
 * Tests:   broker_client_test.c; tests/e2e/test_broker.py
 */

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "broker_wire/wire.h"

/* For an answer. A drain thread may be waiting: whoever takes longer is not asked again. */
#define BROKER_CLIENT_WAIT_S 2
/* The kernel checks programs for as long as it likes. */
#define BROKER_CLIENT_LOAD_WAIT_S 30

struct broker_client;

/*
 * Connects and says hello. `path` NULL: the usual place. 0, or a negative
 * errno: -ENOENT, -ECONNREFUSED: nobody is there; -EACCES: it is not for us;
 * -EPERM: whoever listens there is not root; -EPROTO: it speaks another
 * version. *reterr_error says it for people.
 */
int broker_client_new(const char *path, struct broker_client **ret_client,
                      struct error *reterr_error);
struct broker_client *broker_client_free(struct broker_client *client);
DEFINE_FREEP(broker_client);

/* Bits of enum broker_ability. */
uint32_t broker_client_abilities(const struct broker_client *client);

/* Chooses the target; once. */
int broker_client_open_session(struct broker_client *client, int pidfd, struct error *reterr_error);

/*
 * As perf_open(): the attributes must be of those that sources/perf_attr makes,
 * for a thread of the target. -EOPNOTSUPP for others; -EACCES where staxd
 * refuses; -EPIPE where it has gone.
 */
int broker_client_open_event(struct broker_client *client, const struct perf_event_attr *attr,
                             pid_t tid, int cpu);

/*
 * The programs on switches and wakeups begin to tell of the target, and go on
 * until the client is freed. 0 or a negative errno; then the ring of a CPU, or
 * for BROKER_SWITCHES_LOST the counts of what was lost: a descriptor.
 */
int broker_client_start_switches(struct broker_client *client, bool no_kernel);
int broker_client_open_switches(struct broker_client *client, uint32_t cpu);

/* What the kernel calls its functions, as staxd may read it; a descriptor or a negative errno. */
int broker_client_open_kernel_names(struct broker_client *client);

/* What to ask for to get an event with these attributes; false: nothing. */
bool broker_client_describe(const struct perf_event_attr *attr, pid_t tid, int cpu,
                            struct broker_event_request *ret_request);
