/* SPDX-License-Identifier: MIT */
#include "sources/sched_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "sources/bpf/walk_maps.h"
#include "sources/bpf_call.h"
#include "sources/kernel_programs.h"

enum { ON_FORK, ON_FREE, ON_WAKING, ON_SWITCH, PROGRAMS_N };

#define FAMILY_MAX 8192u /* processes at a time */

#define RING_WAKES_AT 4u /* the reader, when a quarter is full */

struct sched_watch {
    int maps[WALK_MAP_N]; /* closed are those that are_own says */
    bool are_own[WALK_MAP_N];
    int *rings; /* by CPU */
    uint32_t n_cpus;
    int programs[PROGRAMS_N], links[PROGRAMS_N];
};

static int add_map(struct sched_watch *watch, enum walk_map map, int fd)
{
    if (fd < 0) {
        return fd;
    }
    watch->maps[map] = fd;
    watch->are_own[map] = true;
    return 0;
}

static int make_map_of_maps(int example_fd, uint32_t count)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = BPF_MAP_TYPE_ARRAY_OF_MAPS;
    attr.key_size = sizeof(uint32_t);
    attr.value_size = sizeof(uint32_t);
    attr.max_entries = count;
    attr.inner_map_fd = (uint32_t)example_fd;
    return bpf_call(BPF_MAP_CREATE, &attr);
}

static int make_ring(uint32_t ring_bytes)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = BPF_MAP_TYPE_RINGBUF;
    attr.max_entries = ring_bytes;
    memcpy(attr.map_name, "stax_ring", sizeof("stax_ring"));
    return bpf_call(BPF_MAP_CREATE, &attr);
}

/* One for each CPU, so that none waits for another. */
static int make_rings(struct sched_watch *watch, const struct sched_watch_config *config)
{
    watch->rings = calloc(config->n_cpus, sizeof(*watch->rings));
    if (!watch->rings) {
        return -ENOMEM;
    }
    for (; watch->n_cpus < config->n_cpus; watch->n_cpus++) {
        int fd = make_ring(config->ring_bytes);
        if (fd < 0) {
            return fd;
        }
        watch->rings[watch->n_cpus] = fd;
    }
    int r = add_map(watch, WALK_MAP_RINGS, make_map_of_maps(watch->rings[0], watch->n_cpus));
    for (uint32_t cpu = 0; r == 0 && cpu < watch->n_cpus; cpu++) {
        r = bpf_update(watch->maps[WALK_MAP_RINGS], cpu, &watch->rings[cpu]);
    }
    return r;
}

/* Tables of nothing: every walk ends where it begins. */
static int make_empty_tables(struct sched_watch *watch)
{
    _cleanup_(fd_closep) int example =
        bpf_make_map("stax_rows", BPF_MAP_TYPE_ARRAY, 8, 1, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
    if (example < 0) {
        return example;
    }
    int r = add_map(watch, WALK_MAP_TABLES, make_map_of_maps(example, 1));
    r = r < 0 ? r
              : add_map(watch, WALK_MAP_CONTROL,
                        bpf_make_map("stax_control", BPF_MAP_TYPE_ARRAY,
                                     sizeof(struct walk_control), 1, 0));
    return r < 0 ? r
                 : add_map(watch, WALK_MAP_RANGES,
                           bpf_make_map("stax_ranges", BPF_MAP_TYPE_ARRAY,
                                        sizeof(struct walk_range), 1, 0));
}

static int make_maps(struct sched_watch *watch, const struct sched_watch_config *config)
{
    watch->maps[WALK_MAP_OUTPUTS] = -1;
    watch->maps[WALK_MAP_CONTROL] = config->control_fd;
    watch->maps[WALK_MAP_RANGES] = config->ranges_fd;
    watch->maps[WALK_MAP_TABLES] = config->tables_fd;
    const struct {
        enum walk_map map;
        const char *name;
        enum bpf_map_type type;
        uint32_t value_bytes, count, flags;
    } shapes[] = {
        {WALK_MAP_SCRATCH, "stax_scratch", BPF_MAP_TYPE_ARRAY, WALK_SCRATCH_BYTES, config->n_cpus,
         0},
        {WALK_MAP_SCHED_CONTROL, "stax_sched", BPF_MAP_TYPE_ARRAY, sizeof(struct sched_control), 1,
         0},
        {WALK_MAP_STATES, "stax_states", BPF_MAP_TYPE_ARRAY, SCHED_STATE_BYTES, SCHED_STATES, 0},
        {WALK_MAP_MEMOS, "stax_memos", BPF_MAP_TYPE_ARRAY, SCHED_MEMOS_BYTES, SCHED_MEMOS, 0},
        {WALK_MAP_COUNTS, "stax_counts", BPF_MAP_TYPE_ARRAY, sizeof(struct sched_counts),
         config->n_cpus, 0},
        {WALK_MAP_FAMILY, "stax_family", BPF_MAP_TYPE_HASH, sizeof(uint32_t),
         config->follow_children ? FAMILY_MAX : 1, 0},
        {WALK_MAP_LOST, "stax_lost", BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), config->n_cpus,
         BPF_F_MMAPABLE},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        int r = add_map(watch, shapes[i].map,
                        bpf_make_map(shapes[i].name, shapes[i].type, shapes[i].value_bytes,
                                     shapes[i].count, shapes[i].flags));
        if (r < 0) {
            return r;
        }
    }
    int r = make_rings(watch, config);
    return r == 0 && config->tables_fd < 0 ? make_empty_tables(watch) : r;
}

int sched_watch_aim(struct sched_watch *watch, const struct sched_watch_config *config)
{
    struct kernel_btf btf;
    int r = kernel_btf_load(&btf);
    if (r < 0) {
        return r;
    }
    /* Whole and clean, padding too: the kernel takes all of it. */
    struct sched_control control;
    memset(&control, 0, sizeof(control));
    control.pid = (uint32_t)config->pid;
    control.checks_identity = config->start_ticks != 0;
    control.start_ticks = config->start_ticks;
    control.uid = config->uid;
    control.follows_children = config->follow_children;
    control.no_kernel = config->no_kernel;
    control.max_stack_bytes = config->max_stack_bytes;
    control.preempt_count_from_rq = btf.preempt_count_from_rq;
    control.short_ns = SCHED_WATCH_SHORT_NS;
    control.short_run = SCHED_WATCH_SHORT_RUN;
    control.wake_bytes = config->ring_bytes / RING_WAKES_AT;
    return bpf_update(watch->maps[WALK_MAP_SCHED_CONTROL], 0, &control);
}

static int load_programs(struct sched_watch *watch, const struct kernel_btf *btf,
                         bool follow_children)
{
    const enum kernel_program programs[PROGRAMS_N] = {
        [ON_FORK] = KERNEL_PROGRAM_SCHED_FORK,
        [ON_FREE] = KERNEL_PROGRAM_SCHED_FREE,
        [ON_SWITCH] = KERNEL_PROGRAM_SCHED_SWITCH,
        [ON_WAKING] = KERNEL_PROGRAM_SCHED_WAKING,
    };
    for (size_t i = follow_children ? 0 : ON_WAKING; i < PROGRAMS_N; i++) {
        watch->programs[i] = kernel_program_load(programs[i], watch->maps, btf);
        if (watch->programs[i] < 0) {
            return watch->programs[i];
        }
    }
    return 0;
}

int sched_watch_new(const struct sched_watch_config *config, struct sched_watch **ret_watch,
                    const char **ret_step)
{
    *ret_step = "memory";
    _cleanup_(sched_watch_freep) struct sched_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < PROGRAMS_N; i++) {
        watch->programs[i] = watch->links[i] = -1;
    }
    struct kernel_btf btf;
    *ret_step = "types";
    int r = kernel_btf_load(&btf);
    if (r < 0) {
        return r;
    }
    *ret_step = "maps";
    r = make_maps(watch, config);
    r = r < 0 ? r : sched_watch_aim(watch, config);
    if (r < 0) {
        return r;
    }
    *ret_step = "programs";
    r = load_programs(watch, &btf, config->follow_children);
    if (r < 0) {
        return r;
    }
    *ret_watch = TAKE_PTR(watch);
    return 0;
}

struct sched_watch *sched_watch_free(struct sched_watch *watch)
{
    if (watch) {
        sched_watch_detach(watch);
        for (size_t i = 0; i < PROGRAMS_N; i++) {
            fd_close(watch->programs[i]);
        }
        for (size_t i = 0; i < WALK_MAP_N; i++) {
            if (watch->are_own[i]) {
                fd_close(watch->maps[i]);
            }
        }
        for (uint32_t cpu = 0; cpu < watch->n_cpus; cpu++) {
            fd_close(watch->rings[cpu]);
        }
        free(watch->rings);
        free(watch);
    }
    return NULL;
}

int sched_watch_ring(const struct sched_watch *watch, uint32_t cpu)
{
    return watch->rings[cpu];
}

void sched_watch_get_counts(const struct sched_watch *watch, struct sched_counts *ret_counts)
{
    *ret_counts = (struct sched_counts){0};
    for (uint32_t cpu = 0; cpu < watch->n_cpus; cpu++) {
        struct sched_counts counts;
        if (bpf_find(watch->maps[WALK_MAP_COUNTS], cpu, &counts) == 0) {
            ret_counts->n_walked += counts.n_walked;
            ret_counts->n_compared += counts.n_compared;
            ret_counts->n_trusted += counts.n_trusted;
            ret_counts->n_late += counts.n_late;
        }
    }
}

int sched_watch_lost(const struct sched_watch *watch)
{
    return watch->maps[WALK_MAP_LOST];
}

/* In the order of their numbers: a child is known before it is switched to, and a switch tells of
 * the wakeup that led to it. */
int sched_watch_attach(struct sched_watch *watch)
{
    for (size_t i = 0; i < PROGRAMS_N; i++) {
        if (watch->programs[i] < 0) {
            continue;
        }
        int fd = bpf_attach_tracing(watch->programs[i]);
        if (fd < 0) {
            sched_watch_detach(watch);
            return fd;
        }
        watch->links[i] = fd;
    }
    return 0;
}

void sched_watch_detach(struct sched_watch *watch)
{
    for (size_t i = 0; i < PROGRAMS_N; i++) {
        watch->links[i] = fd_close(watch->links[i]);
    }
}
