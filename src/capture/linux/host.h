/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * host - what this machine permits
 *
 * Owner:   plain data. Threads: any.
 * Source:  Documentation/admin-guide/sysctl/kernel.rst, capabilities(7).
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/capability.h"

struct host {
    bool is_privileged;      /* CAP_PERFMON, or CAP_SYS_ADMIN before it was split off */
    bool can_load_bpf;       /* CAP_BPF (or CAP_SYS_ADMIN) besides */
    int perf_event_paranoid; /* INT32_MAX where the file is missing: no perf events at all */
    int64_t mlock_kb;
    int64_t max_sample_rate_hz;
    bool hides_kernel_symbols; /* kptr_restrict, for us */
};

void host_read(struct host *ret_host);

/* May we observe a process of ours at all? */
bool host_allows_user(const struct host *host);

/* May an event of ours count kernel mode? */
bool host_allows_kernel(const struct host *host);
