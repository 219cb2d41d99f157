/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_open - the perf_event_open(2) call and the identifiers of its events
 *
 * Owner:   descriptors are the caller's. Threads: any.
 */

#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor (close-on-exec), or a negative errno. */
int perf_open(const struct perf_event_attr *attr, pid_t pid, int cpu);

/* The same, as one that is scheduled and read together with its leader; leader_fd -1: by itself. */
int perf_open_in_group(const struct perf_event_attr *attr, pid_t pid, int cpu, int leader_fd);

int perf_open_any_cpu(const struct perf_event_attr *attr, pid_t pid);

/* The identifier that the event's records carry. */
int perf_open_identifier(int fd, uint64_t *ret_identifier);
