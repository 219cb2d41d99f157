/* SPDX-License-Identifier: MIT */
#include "capture/linux/ready_programs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/thread.h"
#include "capture/linux/bpf_programs.h"
#include "capture/linux/cpus.h"
#include "capture/linux/host.h"
#include "sources/kernel_programs.h"

static const struct ready_programs nothing = {.outputs_fd = -1};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t was_made;
    bool has_thread, is_being_made, has_set;
    pthread_t thread;
    uint32_t n_cpus; /* of the set */
    struct ready_programs set;
} held = {.lock = PTHREAD_MUTEX_INITIALIZER, .was_made = PTHREAD_COND_INITIALIZER};

static void release(struct ready_programs *programs)
{
    sched_watch_free(programs->watch);
    kernel_walk_free(programs->walk);
    fd_close(programs->outputs_fd);
    *programs = nothing;
}

static int make(uint32_t n_cpus, struct ready_programs *programs, const char **ret_step)
{
    *ret_step = "outputs";
    programs->outputs_fd = bpf_programs_new_outputs(n_cpus);
    if (programs->outputs_fd < 0) {
        return programs->outputs_fd;
    }
    const struct kernel_walk_config walk = {.n_cpus = n_cpus, .outputs_fd = programs->outputs_fd};
    int r = kernel_walk_new(&walk, &programs->walk, ret_step);
    if (r < 0) {
        return r;
    }
    const struct sched_watch_config watch = {
        .n_cpus = n_cpus,
        .ring_bytes = READY_PROGRAMS_RING_BYTES,
        .control_fd = kernel_walk_map(programs->walk, WALK_MAP_CONTROL),
        .ranges_fd = kernel_walk_map(programs->walk, WALK_MAP_RANGES),
        .tables_fd = kernel_walk_map(programs->walk, WALK_MAP_TABLES),
    };
    return sched_watch_new(&watch, &programs->watch, ret_step);
}

static void *make_set(void *userdata)
{
    uint32_t n_cpus = *(const uint32_t *)userdata;
    struct ready_programs set = nothing;
    const char *step;
    int r = make(n_cpus, &set, &step);
    if (r < 0) {
        log_debug("no programs are held ready: %s: %s", step, strerror(-r));
        release(&set);
    }
    pthread_mutex_lock(&held.lock);
    held.has_set = r == 0;
    held.set = set;
    held.is_being_made = false;
    pthread_cond_broadcast(&held.was_made);
    pthread_mutex_unlock(&held.lock);
    return NULL;
}

/* 0: it would not take them, or too much is at stake. */
static uint32_t count_cpus(void)
{
    struct host host;
    uint32_t *cpus = NULL;
    size_t n_cpus = 0;
    host_read(&host);
    if (!host.is_privileged || !host.can_load_bpf || !kernel_program_is_there() ||
        bpf_programs_check_namespace() != 0 || cpus_online(&cpus, &n_cpus) != 0) {
        return 0;
    }
    uint32_t count = n_cpus > 0 ? cpus[n_cpus - 1] + 1 : 0;
    free(cpus);
    return count <= READY_PROGRAMS_MAX_CPUS ? count : 0;
}

/* Under the lock; nothing is being made. */
static void join(void)
{
    if (held.has_thread) {
        pthread_join(held.thread, NULL);
        held.has_thread = false;
    }
}

void ready_programs_prepare(void)
{
    uint32_t n_cpus = count_cpus();
    pthread_mutex_lock(&held.lock);
    if (held.has_set && held.n_cpus != n_cpus) {
        release(&held.set); /* CPUs have come or gone */
        held.has_set = false;
    }
    if (n_cpus > 0 && !held.has_set && !held.is_being_made) {
        join();
        held.n_cpus = n_cpus;
        held.has_thread = thread_start("stax-ready", make_set, &held.n_cpus, &held.thread) == 0;
        held.is_being_made = held.has_thread;
    }
    pthread_mutex_unlock(&held.lock);
}

static void await_set(void)
{
    while (held.is_being_made) {
        pthread_cond_wait(&held.was_made, &held.lock);
    }
}

bool ready_programs_take(uint32_t n_cpus, struct ready_programs *ret_programs)
{
    pthread_mutex_lock(&held.lock);
    await_set();
    bool is_taken = held.has_set && held.n_cpus == n_cpus;
    if (is_taken) {
        *ret_programs = held.set;
        held.set = nothing;
        held.has_set = false;
    }
    pthread_mutex_unlock(&held.lock);
    return is_taken;
}

void ready_programs_release(void)
{
    pthread_mutex_lock(&held.lock);
    await_set();
    join();
    if (held.has_set) {
        release(&held.set);
        held.has_set = false;
    }
    pthread_mutex_unlock(&held.lock);
}
