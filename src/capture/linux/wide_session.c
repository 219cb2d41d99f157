/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/log.h"
#include "capture/linux/bpf_programs.h"
#include "capture/linux/kernel_btf.h"
#include "capture/linux/perf_session_internal.h"

bool wide_session_is_possible(const struct host *host, const struct capture_config *config)
{
    /* Following children needs a set of processes that grows; inherited events have that built in.
     */
    return host->is_privileged && host->can_load_bpf && !config->follow_children &&
           bpf_programs_check_namespace() == 0;
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
    if (capture->config.no_off_cpu) {
        return 0;
    }
    uint32_t highest_cpu = capture->sources.cpus[capture->sources.n_cpus - 1];
    r = bpf_programs_new_outputs((size_t)highest_cpu + 1);
    if (r < 0) {
        return r;
    }
    capture->outputs_fd = r;
    r = bpf_programs_load_sched(&btf, capture->config.pid, capture->outputs_fd);
    if (r < 0) {
        return r;
    }
    capture->sched_program_fd = r;
    return 0;
}

static int open_cpu(struct capture *capture, size_t cpu_index)
{
    struct perf_sources *sources = &capture->sources;
    struct perf_event_attr attr;
    bool is_ring_trouble;
    int fd;

    perf_attr_samples(&capture->attrs, false, &attr);
    int r =
        perf_sources_add(sources, &attr, -1, cpu_index, PERF_FORMAT_STACK, &fd, &is_ring_trouble);
    if (r != 0) {
        return r;
    }
    if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, capture->sample_filter_fd) < 0) {
        return -errno;
    }
    perf_attr_side_band(&capture->attrs, &attr);
    r = perf_sources_add(sources, &attr, -1, cpu_index, PERF_FORMAT_NONE, NULL, &is_ring_trouble);
    if (r != 0 || capture->config.no_off_cpu) {
        return r;
    }
    perf_attr_sched(&capture->attrs, &attr);
    r = perf_sources_add(sources, &attr, -1, cpu_index, PERF_FORMAT_SCHED, &fd, &is_ring_trouble);
    if (r != 0) {
        return r;
    }
    return bpf_programs_set_output(capture->outputs_fd, sources->cpus[cpu_index], fd);
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
    return 0;
}

int wide_session_start(struct capture *capture)
{
    if (capture->sched_program_fd < 0) {
        return 0;
    }
    int r = bpf_programs_attach_sched(capture->sched_program_fd);
    if (r < 0) {
        return r;
    }
    capture->sched_link_fd = r;
    return 0;
}

void wide_session_release(struct capture *capture)
{
    capture->sched_link_fd = fd_close(capture->sched_link_fd);
    capture->sched_program_fd = fd_close(capture->sched_program_fd);
    capture->outputs_fd = fd_close(capture->outputs_fd);
    capture->sample_filter_fd = fd_close(capture->sample_filter_fd);
}
