/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/log.h"
#include "capture/linux/bpf_programs.h"
#include "capture/linux/kernel_walk.h"
#include "capture/linux/perf_session_internal.h"
#include "capture/linux/ready_programs.h"
#include "decode/perf_abi.h"
#include "sources/bpf/walk_object.h"
#include "sources/bpf_call.h"
#include "sources/kernel_btf.h"
#include "sources/kernel_programs.h"

/* Of a stack whose walk could not be finished inside the kernel: while tables are being made, that
 * is every one, and a deep one cannot be had later. */
#define WALK_STACK_BYTES WALK_MAX_STACK_BYTES

bool wide_session_is_possible(const struct host *host, const struct capture_config *config)
{
    /* Following children needs a set of processes that grows; inherited events have that built in.
     */
    return host->is_privileged && host->can_load_bpf && !config->follow_children &&
           bpf_programs_check_namespace() == 0;
}

bool wide_session_tells_waits(void)
{
    struct kernel_btf btf;
    return kernel_program_is_there() && kernel_btf_load(&btf) == 0;
}

static bool wants_walk(const struct capture *capture)
{
    const char *wanted = getenv("STAX_KERNEL_WALK");
    return !capture->config.no_unwind && (!wanted || strcmp(wanted, "0") != 0);
}

/* All that can be there before anybody asks; the rest is aimed and opened as if it had not been. */
static void take_ready(struct capture *capture, uint32_t n_cpus)
{
    struct ready_programs ready;
    if (wants_walk(capture) && !capture->config.no_off_cpu && ready_programs_take(n_cpus, &ready)) {
        capture->outputs_fd = ready.outputs_fd;
        capture->walk = ready.walk;
        capture->watch = ready.watch;
    }
}

/* Where the kernel does not take the program, stacks are copied and walked outside. */
static void load_walk(struct capture *capture, uint32_t n_cpus)
{
    const struct kernel_walk_config config = {
        .pid = capture->config.pid,
        .n_cpus = n_cpus,
        .outputs_fd = capture->outputs_fd,
        .no_kernel = capture->config.no_kernel,
        .max_stack_bytes =
            capture->config.stack_bytes ? capture->config.stack_bytes : WALK_STACK_BYTES,
    };
    const char *step;
    if (!wants_walk(capture)) {
        return;
    }
    int r = 0;
    if (capture->walk) {
        kernel_walk_aim(capture->walk, &config);
    } else {
        r = kernel_walk_new(&config, &capture->walk, &step);
    }
    if (r < 0) {
        char note[400];
        const char *reason =
            r == -EOPNOTSUPP ? "there is no program for this architecture" : strerror(-r);
        (void)snprintf(note, sizeof(note),
                       "stacks are copied, not walked inside the kernel: %s: %s", step, reason);
        log_info("%s", note);
        perf_session_note(capture, note);
        return;
    }
    capture->attrs.stack_bytes = 0;
    capture->is_adaptive = false;
}

static int load_programs(struct capture *capture)
{
    struct kernel_btf btf;
    int r = kernel_btf_load(&btf);
    if (r != 0) {
        return r;
    }
    r = bpf_programs_load_sample_filter(capture->config.pid);
    if (r < 0) {
        return r;
    }
    capture->sample_filter_fd = r;
    uint32_t n_cpus = capture->sources.cpus[capture->sources.n_cpus - 1] + 1;
    take_ready(capture, n_cpus);
    if (capture->outputs_fd < 0) {
        r = bpf_programs_new_outputs(n_cpus);
        if (r < 0) {
            return r;
        }
        capture->outputs_fd = r;
    }
    load_walk(capture, n_cpus);
    if (capture->config.no_off_cpu) {
        return 0;
    }
    if (watch_session_open(capture) == 0) {
        return 0;
    }
    r = bpf_programs_load_sched(&btf, capture->config.pid, capture->outputs_fd);
    if (r < 0) {
        return r;
    }
    capture->sched_program_fd = r;
    return 0;
}

/* What lasts as long as the recording; the first of it owns the CPU's ring. */
static int open_cpu(struct capture *capture, size_t cpu_index)
{
    struct perf_sources *sources = &capture->sources;
    struct perf_event_attr attr;
    struct perf_source_request request = {
        .attr = &attr,
        .pid = -1,
        .cpu_index = cpu_index,
        .format = PERF_FORMAT_NONE,
    };
    bool is_ring_trouble;
    int fd;

    perf_attr_side_band(&capture->attrs, &attr);
    int r = perf_sources_add(sources, &sources->lasting, &request, NULL, &is_ring_trouble);
    if (r != 0 || (capture->config.no_off_cpu && !capture->walk)) {
        return r;
    }
    perf_attr_sched(&capture->attrs, &attr);
    request.format = PERF_FORMAT_SCHED;
    r = perf_sources_add(sources, &sources->lasting, &request, &fd, &is_ring_trouble);
    if (r != 0) {
        return r;
    }
    return bpf_programs_set_output(capture->outputs_fd, sources->cpus[cpu_index], fd);
}

static int open_cpu_samples(struct capture *capture, uint8_t generation, size_t cpu_index,
                            struct perf_source_set *set)
{
    struct perf_event_attr attr;
    const struct perf_source_request request = {
        .attr = &attr,
        .pid = -1,
        .cpu_index = cpu_index,
        .format = perf_attr_samples_format(&capture->attrs),
        .generation = generation,
    };
    bool is_ring_trouble;
    int fd;
    int program_fd = capture->walk ? kernel_walk_program(capture->walk) : capture->sample_filter_fd;
    perf_attr_samples(&capture->attrs, false, &attr);
    if (capture->walk) {
        /* The program writes the sample; a chain that nobody reads would be followed for it. */
        attr.sample_type = PERF_ABI_FORMAT_BASE;
    }
    int r = perf_sources_add(&capture->sources, set, &request, &fd, &is_ring_trouble);
    if (r == 0 && ioctl(fd, PERF_EVENT_IOC_SET_BPF, program_fd) < 0) {
        r = -errno;
    }
    return r;
}

int wide_session_open_samples(struct capture *capture, uint8_t generation,
                              struct perf_source_set *set)
{
    const struct perf_sources *sources = &capture->sources;
    for (size_t i = 0; i < sources->n_cpus; i++) {
        /* No ring: the CPU was offline when the recording began. */
        if (sources->ring_fds[i] < 0) {
            continue;
        }
        int r = open_cpu_samples(capture, generation, i, set);
        if (r != 0 && r != -ENODEV) { /* ENODEV: the CPU went offline meanwhile */
            return r;
        }
    }
    return 0;
}

int wide_session_open(struct capture *capture)
{
    int r = load_programs(capture);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < capture->sources.n_cpus; i++) {
        r = open_cpu(capture, i);
        if (r != 0 && r != -ENODEV) { /* ENODEV: the CPU went offline meanwhile */
            return r;
        }
    }
    return wide_session_open_samples(capture, 0, &capture->sources.samples);
}

int wide_session_start(struct capture *capture)
{
    if (capture->watch) {
        return watch_session_start(capture);
    }
    if (capture->sched_program_fd < 0) {
        return 0;
    }
    int r = bpf_attach_tracing(capture->sched_program_fd);
    if (r < 0) {
        return r;
    }
    capture->sched_link_fd = r;
    return 0;
}

void wide_session_stop(struct capture *capture)
{
    watch_session_stop(capture);
    capture->sched_link_fd = fd_close(capture->sched_link_fd);
    capture->sched_program_fd = fd_close(capture->sched_program_fd);
}

void wide_session_release(struct capture *capture)
{
    wide_session_stop(capture);
    watch_session_release(capture);
    capture->walk = kernel_walk_free(capture->walk);
    capture->outputs_fd = fd_close(capture->outputs_fd);
    capture->sample_filter_fd = fd_close(capture->sample_filter_fd);
}
