/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * perf_session - one recording through perf events; state shared by its files
 *
 * Two ways to open, chosen by what the host allows:
 *   wide  per-CPU events whose samples and switches are filtered to the target
 *         by programs in the kernel: no cost at a context switch, no bias
 *         against short threads. Needs CAP_PERFMON and CAP_BPF.
 *   task  events bound to the target's threads and inherited: works for an
 *         ordinary user.
 *
 * Owner, Threads: see capture/capture.h.
 * Source:  docs/design/0002-opening-events.md, with the figures.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/capture.h"
#include "capture/event_merge.h"
#include "capture/linux/birth_period.h"
#include "capture/linux/child_processes.h"
#include "capture/linux/counter_session.h"
#include "capture/linux/host.h"
#include "capture/linux/perf_sources.h"
#include "capture/linux/sample_swap.h"
#include "capture/linux/sched_rings.h"
#include "capture/linux/stack_size.h"
#include "capture/linux/wait_look.h"
#include "decode/perf_events.h"
#include "sources/perf_attr.h"

#define PERF_SESSION_NOTES_MAX 8u

struct capture {
    struct capture_config config;
    struct event_sink sink;
    struct host host;
    bool is_wide;
    bool excludes_kernel;
    bool awaits_exec; /* launched: nothing is delivered before the target's own exec */
    bool has_stopped;
    bool target_is_gone;
    uint64_t first_ns; /* the recording's first instant */
    struct perf_sources sources;
    /* Stack copies follow what the unwinder wishes: samples have events of their own, which are
     * replaced while the recording goes on. */
    bool is_adaptive;
    struct stack_size stack_size;
    _Atomic uint32_t wish_bytes; /* written by the aggregator's thread */
    struct sample_swap swap;
    struct child_processes children; /* config.follow_children */
    struct counter_session counting; /* config.with_counters */
    struct kernel_walk *walk;        /* wide; NULL: stacks are copied */
    struct broker_client *broker;    /* task; NULL: we open events ourselves */
    int kernel_names_fd;             /* from the broker; -1: none, or taken */
    int *switch_fds;                 /* from the broker, n_switch_fds; below sched_rings */
    size_t n_switch_fds;
    struct sched_watch *watch;      /* wide; NULL: switches are told without stacks and wakers */
    struct sched_rings sched_rings; /* where it tells them; none without */
    struct wait_look *look;         /* NULL: nobody asks for waits */
    struct event_merge *merge;
    struct perf_translator translator;
    int32_t *running_tids; /* by CPU number */
    struct perf_attr_config attrs;
    int sample_filter_fd, outputs_fd, sched_program_fd, sched_link_fd; /* wide */
    struct birth_period birth_period;                                  /* task */
    uint64_t n_births_seen, cpu_time_told_at_ns;
    struct pollfd *poll_fds;
    char description[128];
    char notes[PERF_SESSION_NOTES_MAX][400];
    size_t n_notes;
    struct {
        _Atomic uint64_t records_read, bytes_read, undecodable, lost, throttles, rounds, cpu_ns,
            fill_max_bytes, foreign, truncated, delivered, late, n_events_open, stack_bytes_now,
            samples, sample_bytes, copies, copied_bytes;
    } counters;
};

/* Opens everything disabled. The reason of a refusal is for the log; the task way remains. */
int wide_session_open(struct capture *capture);
/* Sampling events of `generation` on every CPU, disabled. */
int wide_session_open_samples(struct capture *capture, uint8_t generation,
                              struct perf_source_set *set);
/* Attaches the scheduler program; call before enabling. */
int wide_session_start(struct capture *capture);
/* Nothing is recorded any more. The walk stays: set_code() may still be told of code. */
void wide_session_stop(struct capture *capture);
void wide_session_release(struct capture *capture);
/* Switches, waits and wakeups by programs in the kernel; a refusal is noted, and they are told by
 * other means. */
int watch_session_open(struct capture *capture);
int watch_session_start(struct capture *capture);
void watch_session_stop(struct capture *capture);
void watch_session_release(struct capture *capture);
void watch_session_stats(const struct capture *capture, struct capture_stats *ret_stats);

/* Are waits told with their stacks and wakers? Cheap facts only. */
bool wide_session_tells_waits(void);
/* Would wide_session_open() work here? Cheap facts only. */
bool wide_session_is_possible(const struct host *host, const struct capture_config *config);

/*
 * Through staxd, where we may not open what is wanted. Returns 0 with
 * capture->broker set or not needed; a negative errno where without it nothing
 * can be recorded. What is missing without it is noted.
 */
int broker_session_open(struct capture *capture, struct error *reterr_error);
void broker_session_close(struct capture *capture);
/* What one would be let do; false: there is none, *reterr_error says so. */
bool broker_session_probe(uint32_t *ret_abilities, struct error *reterr_error);

/* Opens (and for an attached target enables) events on every thread, with no gap. */
int task_session_open(struct capture *capture, struct error *reterr_error);
/* Sampling events of `generation`, disabled, on every thread that there is. */
int task_session_open_samples(struct capture *capture, uint8_t generation,
                              struct perf_source_set *set);
/* Enabled ones on the threads that are not known to have any of the present generation. */
int task_session_open_missed(struct capture *capture);
/* Once per drain round. */
void task_session_tend(struct capture *capture);
/* How long a round may wait at most. */
int task_session_timeout_ms(const struct capture *capture, int timeout_ms);

/* capture_ops.probe */
void perf_session_probe(struct capability_set *ret_abilities);

/* Reads every ring into the merge and delivers what is old enough; everything when is_final. */
int perf_session_round(struct capture *capture, bool is_final);

/* For people, once each. */
void perf_session_note(struct capture *capture, const char *note);

void perf_session_explain(const struct capture *capture, int negative_errno, bool is_ring_trouble,
                          struct error *reterr_error);
