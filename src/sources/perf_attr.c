/* SPDX-License-Identifier: MIT */
#include "sources/perf_attr.h"

#include <string.h>
#include <time.h>

#include "decode/perf_abi.h"

/* What this machine's kernel calls the registers, and how their records read. */
#if defined(__aarch64__)
#define REGS_HERE PERF_ABI_REGS_AARCH64
#define FORMAT_HERE PERF_FORMAT_COPY_AARCH64
#else
#define REGS_HERE PERF_ABI_REGS_X86_64
#define FORMAT_HERE PERF_FORMAT_COPY_X86_64
#endif

static void base(const struct perf_attr_config *config, struct perf_event_attr *attr)
{
    memset(attr, 0, sizeof(*attr));
    attr->size = sizeof(*attr);
    attr->type = PERF_TYPE_SOFTWARE;
    attr->sample_type = PERF_ABI_FORMAT_BASE;
    attr->sample_id_all = 1;
    attr->use_clockid = 1;
    attr->clockid = CLOCK_MONOTONIC;
    attr->exclude_hv = 1;
    attr->exclude_kernel = config->exclude_kernel;
    attr->inherit = config->inherit_threads;
    attr->inherit_thread = config->inherit_threads && !config->inherit_children;
    attr->watermark = 1;
    attr->wakeup_watermark = config->wakeup_bytes;
    attr->disabled = 1;
}

static void add_side_band(struct perf_event_attr *attr)
{
    attr->mmap = 1;
    attr->mmap2 = 1;
    attr->comm = 1;
    attr->comm_exec = 1;
    attr->task = 1;
}

void perf_attr_samples(const struct perf_attr_config *config, bool with_side_band,
                       struct perf_event_attr *ret_attr)
{
    base(config, ret_attr);
    ret_attr->config = PERF_COUNT_SW_CPU_CLOCK;
    ret_attr->sample_period = config->period_ns;
    ret_attr->sample_type = PERF_ABI_FORMAT_STACK;
    ret_attr->exclude_callchain_kernel = config->no_kernel_frames;
    if (config->stack_bytes > 0) {
        ret_attr->sample_type = PERF_ABI_FORMAT_COPY;
        ret_attr->sample_regs_user = REGS_HERE;
        ret_attr->sample_stack_user = config->stack_bytes;
    }
    if (with_side_band) {
        add_side_band(ret_attr);
        ret_attr->context_switch = config->with_switches;
    } else {
        /*
         * On an idle CPU without a tick nothing resets the kernel's count of
         * samples per tick: after 0.4 s it would throttle the event, and a
         * target that starts to run there would not be sampled at first.
         */
        ret_attr->exclude_idle = 1;
    }
}

enum perf_format perf_attr_samples_format(const struct perf_attr_config *config)
{
    return config->stack_bytes > 0 ? FORMAT_HERE : PERF_FORMAT_STACK;
}

void perf_attr_side_band(const struct perf_attr_config *config, struct perf_event_attr *ret_attr)
{
    base(config, ret_attr);
    ret_attr->config = PERF_COUNT_SW_DUMMY;
    add_side_band(ret_attr);
    ret_attr->context_switch = config->with_switches;
}

void perf_attr_anchor(struct perf_event_attr *ret_attr)
{
    const struct perf_attr_config plain = {.exclude_kernel = true};
    base(&plain, ret_attr);
    ret_attr->config = PERF_COUNT_SW_DUMMY;
}

void perf_attr_counter_leader(const struct perf_attr_config *config,
                              struct perf_event_attr *ret_attr)
{
    base(config, ret_attr);
    ret_attr->config = PERF_COUNT_SW_CPU_CLOCK;
    ret_attr->sample_period = config->period_ns;
    ret_attr->sample_type = PERF_ABI_FORMAT_COUNTERS;
    ret_attr->read_format = PERF_ABI_READ_FORMAT;
    ret_attr->exclude_callchain_kernel = config->no_kernel_frames;
}

void perf_attr_counter(const struct perf_attr_config *config, uint32_t type, uint64_t event,
                       struct perf_event_attr *ret_attr)
{
    base(config, ret_attr);
    ret_attr->type = type;
    ret_attr->config = event;
    ret_attr->read_format = PERF_ABI_READ_FORMAT;
    ret_attr->disabled = 0; /* it counts when its leader does */
}

void perf_attr_sched(const struct perf_attr_config *config, struct perf_event_attr *ret_attr)
{
    base(config, ret_attr);
    ret_attr->config = PERF_COUNT_SW_BPF_OUTPUT;
    ret_attr->sample_period = 1;
    ret_attr->sample_type = PERF_ABI_FORMAT_SCHED;
}
