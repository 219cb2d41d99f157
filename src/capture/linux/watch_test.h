/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * watch_test - a sched_watch of the test itself, and all that it tells
 *
 * Shape:   watch_begin(), watch_attach(), whatever is to be watched,
 *          watch_detach(), which reads everything into `told`, by time.
 * Owner:   watch_begin()/watch_end() in the caller's memory. Threads: one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/linux/bpf_programs.h"
#include "capture/linux/bpf_ring.h"
#include "capture/linux/own_code_test.h"
#include "decode/perf_record.h"
#include "sources/bpf/walk_object.h"
#include "sources/bpf_call.h"
#include "sources/sched_watch.h"

#define WATCH_RING_BYTES (16u << 20)
#define WATCH_TOLD_MAX 400000u
#define WATCH_IPS 40u

struct told {
    struct sched_payload sched;
    uint32_t cpu;
    uint32_t n_ips, n_kernel_ips; /* n_ips: no more than WATCH_IPS are kept */
    uint64_t ips[WATCH_IPS];
    uint8_t end;
};

struct watch_fixture {
    struct sched_watch_config config;
    int outputs_fd;
    struct kernel_walk *walk;
    struct own_code code;
    struct sched_watch *watch;
    struct bpf_ring *rings;
    struct told *told;
    size_t n_told, n_undecodable;
};

static inline void watch_end(struct watch_fixture *watch)
{
    for (uint32_t cpu = 0; watch->rings && cpu < watch->config.n_cpus; cpu++) {
        bpf_ring_release(&watch->rings[cpu]);
    }
    free(watch->rings);
    free(watch->told);
    sched_watch_free(watch->watch);
    kernel_walk_free(watch->walk);
    own_code_release(&watch->code);
    fd_close(watch->outputs_fd);
    free(watch);
}

_Noreturn static inline void watch_refused(struct watch_fixture *watch, const char *step, int error)
{
    printf("this host does not take the programs: %s: %s\n", step, strerror(-error));
    watch_end(watch);
    skip();
    abort(); /* skip() does not return, but does not say so */
}

/* Members that are 0 in `wanted` get what a recording of this process would have. */
static inline struct watch_fixture *watch_begin(const struct sched_watch_config *wanted)
{
    struct watch_fixture *watch = calloc(1, sizeof(*watch));
    assert_non_null(watch);
    watch->config = *wanted;
    watch->config.pid = getpid();
    watch->config.n_cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
    watch->config.ring_bytes = wanted->ring_bytes ? wanted->ring_bytes : WATCH_RING_BYTES;
    watch->config.max_stack_bytes = wanted->max_stack_bytes ? wanted->max_stack_bytes : 4096;
    watch->outputs_fd = bpf_programs_new_outputs(watch->config.n_cpus);
    const struct kernel_walk_config walk = {
        .pid = getpid(),
        .n_cpus = watch->config.n_cpus,
        .outputs_fd = watch->outputs_fd,
        .max_stack_bytes = 4096,
    };
    const char *step = "outputs";
    if (watch->outputs_fd < 0) {
        watch_refused(watch, step, watch->outputs_fd);
    }
    int r = bpf_programs_check_namespace();
    r = r < 0 ? r : kernel_walk_new(&walk, &watch->walk, &step);
    if (r < 0) {
        watch_refused(watch, step, r);
    }
    own_code_find(&watch->code);
    own_code_tell(&watch->code, watch->walk, 1);
    watch->config.control_fd = kernel_walk_map(watch->walk, WALK_MAP_CONTROL);
    watch->config.ranges_fd = kernel_walk_map(watch->walk, WALK_MAP_RANGES);
    watch->config.tables_fd = kernel_walk_map(watch->walk, WALK_MAP_TABLES);
    r = sched_watch_new(&watch->config, &watch->watch, &step);
    if (r < 0) {
        watch_refused(watch, step, r);
    }
    watch->rings = calloc(watch->config.n_cpus, sizeof(*watch->rings));
    watch->told = malloc(WATCH_TOLD_MAX * sizeof(*watch->told));
    assert_non_null(watch->rings);
    assert_non_null(watch->told);
    for (uint32_t cpu = 0; cpu < watch->config.n_cpus; cpu++) {
        assert_int_equal(bpf_ring_open(sched_watch_ring(watch->watch, cpu),
                                       watch->config.ring_bytes, &watch->rings[cpu]),
                         0);
    }
    return watch;
}

static inline int watch_compare(const void *left, const void *right)
{
    const struct told *a = left, *b = right;
    return (a->sched.time_ns > b->sched.time_ns) - (a->sched.time_ns < b->sched.time_ns);
}

static inline void watch_note(struct watch_fixture *watch, const struct perf_record *record)
{
    assert_true(watch->n_told < WATCH_TOLD_MAX);
    struct told *told = &watch->told[watch->n_told++];
    size_t n_ips = record->sample.n_ips < WATCH_IPS ? record->sample.n_ips : WATCH_IPS;
    *told = (struct told){
        .sched = record->sched,
        .cpu = record->cpu,
        .n_ips = (uint32_t)n_ips,
        .n_kernel_ips = (uint32_t)record->sample.walk.n_kernel_ips,
        .end = (uint8_t)record->sample.walk.end,
    };
    for (size_t i = 0; i < n_ips; i++) {
        told->ips[i] = perf_record_ip(record, i);
    }
}

/* Each ring in the order of its time; all of them together as well. */
static inline void watch_read(struct watch_fixture *watch)
{
    watch->n_told = watch->n_undecodable = 0;
    for (uint32_t cpu = 0; cpu < watch->config.n_cpus; cpu++) {
        const void *data;
        size_t n_bytes;
        uint64_t last_ns = 0;
        bpf_ring_begin(&watch->rings[cpu]);
        while ((data = bpf_ring_next(&watch->rings[cpu], &n_bytes))) {
            struct perf_record record;
            if (perf_record_parse_sched(data, n_bytes, cpu, &record) != 0) {
                watch->n_undecodable++;
                continue;
            }
            assert_true(record.time_ns >= last_ns);
            last_ns = record.time_ns;
            watch_note(watch, &record);
        }
        bpf_ring_end(&watch->rings[cpu]);
    }
    qsort(watch->told, watch->n_told, sizeof(*watch->told), watch_compare);
}

static inline void watch_attach(struct watch_fixture *watch)
{
    assert_int_equal(sched_watch_attach(watch->watch), 0);
}

static inline void watch_detach(struct watch_fixture *watch)
{
    sched_watch_detach(watch->watch);
    watch_read(watch);
    assert_int_equal(watch->n_undecodable, 0);
}

static inline uint64_t watch_lost(const struct watch_fixture *watch)
{
    uint64_t n_lost = 0;
    for (uint32_t cpu = 0; cpu < watch->config.n_cpus; cpu++) {
        uint64_t n_of_cpu = 0;
        union bpf_attr attr;
        memset(&attr, 0, sizeof(attr));
        attr.map_fd = (uint32_t)sched_watch_lost(watch->watch);
        attr.key = (uint64_t)(uintptr_t)&cpu;
        attr.value = (uint64_t)(uintptr_t)&n_of_cpu;
        assert_int_equal(bpf_call(BPF_MAP_LOOKUP_ELEM, &attr), 0);
        n_lost += n_of_cpu;
    }
    return n_lost;
}

static inline uint32_t own_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}
