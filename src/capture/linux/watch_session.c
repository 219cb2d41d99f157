/* SPDX-License-Identifier: MIT */
/*
 * Switches, waits and wakeups by the programs of sources/sched_watch, beside
 * either way of taking samples.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "capture/linux/kernel_walk.h"
#include "capture/linux/perf_session_internal.h"
#include "capture/linux/ready_programs.h"
#include "sources/sched_watch.h"

/* Of a sleeper whose walk could not be finished inside the kernel: its stack stands still, what is
 * beyond can be read at leisure. */
#define WAIT_STACK_BYTES 4096
/* Where none can be finished there, and a wait may be over before its rest is read: nearly all
 * stacks of servers that fork (docs/design/0012-waits.md). */
#define WAIT_STACK_OF_MANY_BYTES 8192
/* Per CPU, where each switch brings a copy. */
#define RING_OF_MANY_BYTES (4 * READY_PROGRAMS_RING_BYTES)

static int open_rings(struct capture *capture, uint32_t n_cpus, uint32_t ring_bytes)
{
    _cleanup_(freep) int *ring_fds = calloc(n_cpus, sizeof(*ring_fds));
    if (!ring_fds) {
        return -ENOMEM;
    }
    for (uint32_t cpu = 0; cpu < n_cpus; cpu++) {
        ring_fds[cpu] = sched_watch_ring(capture->watch, cpu);
    }
    const struct sched_rings_fds fds = {
        .ring_fds = ring_fds,
        .n_rings = n_cpus,
        .ring_bytes = ring_bytes,
        .lost_fd = sched_watch_lost(capture->watch),
    };
    return sched_rings_open(&fds, &capture->sched_rings);
}

int watch_session_open(struct capture *capture)
{
    const struct kernel_walk *walk = capture->walk;
    uint32_t n_cpus = capture->sources.cpus[capture->sources.n_cpus - 1] + 1;
    const struct sched_watch_config config = {
        .pid = capture->config.pid,
        .follow_children = capture->config.follow_children,
        .n_cpus = n_cpus,
        .ring_bytes = walk ? READY_PROGRAMS_RING_BYTES : RING_OF_MANY_BYTES,
        .no_kernel = capture->config.no_kernel,
        .max_stack_bytes = walk ? WAIT_STACK_BYTES : WAIT_STACK_OF_MANY_BYTES,
        .control_fd = walk ? kernel_walk_map(walk, WALK_MAP_CONTROL) : -1,
        .ranges_fd = walk ? kernel_walk_map(walk, WALK_MAP_RANGES) : -1,
        .tables_fd = walk ? kernel_walk_map(walk, WALK_MAP_TABLES) : -1,
    };
    const char *step = "aim";
    int r = capture->watch ? sched_watch_aim(capture->watch, &config)
                           : sched_watch_new(&config, &capture->watch, &step);
    if (r == 0) {
        step = "rings";
        r = open_rings(capture, n_cpus, config.ring_bytes);
    }
    if (r < 0) {
        char note[400];
        watch_session_release(capture);
        (void)snprintf(
            note, sizeof(note),
            "waits have no exact stacks and no wakers here: the kernel does not take the "
            "programs for that: %s: %s",
            step, strerror(-r));
        log_info("%s", note);
        perf_session_note(capture, note);
    }
    return r;
}

int watch_session_start(struct capture *capture)
{
    return capture->watch ? sched_watch_attach(capture->watch) : 0;
}

void watch_session_stop(struct capture *capture)
{
    if (capture->watch) {
        sched_watch_detach(capture->watch);
    }
}

void watch_session_release(struct capture *capture)
{
    sched_rings_release(&capture->sched_rings);
    capture->watch = sched_watch_free(capture->watch);
}

void watch_session_stats(const struct capture *capture, struct capture_stats *ret_stats)
{
    struct sched_counts counts = {0};
    if (capture->watch) {
        sched_watch_get_counts(capture->watch, &counts);
    }
    ret_stats->wait_stacks_walked = counts.n_walked;
    ret_stats->wait_stacks_compared = counts.n_compared;
    ret_stats->wait_stacks_trusted = counts.n_trusted;
    ret_stats->wait_stacks_late = counts.n_late;
}
