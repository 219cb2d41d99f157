/* SPDX-License-Identifier: MIT */
/* What this host lets us record, and the fix for what it does not. */
#include <stdio.h>
#include <string.h>

#include "capture/linux/broker_client.h"
#include "capture/linux/counter_session.h"
#include "capture/linux/host.h"
#include "capture/linux/perf_session_internal.h"

/* Exact stacks of waits, and who ends them. */
static void describe_waits(const struct host *host, bool is_told, struct capability *items)
{
    const char *instead[] = {
        [CAPABILITY_WAIT_STACKS] = ": found by looking now and then",
        [CAPABILITY_WAKEUPS] = "",
    };
    for (int i = CAPABILITY_WAIT_STACKS; i <= CAPABILITY_WAKEUPS; i++) {
        items[i].is_available = is_told;
        if (is_told) {
            continue;
        }
        if (host->is_privileged) {
            (void)snprintf(items[i].reason, sizeof(items[i].reason),
                           "the kernel takes no program for it%s", instead[i]);
            (void)snprintf(items[i].fix, sizeof(items[i].fix),
                           "a kernel with BTF (/sys/kernel/btf/vmlinux) on x86-64, not in a "
                           "container's pid namespace");
        } else {
            (void)snprintf(items[i].reason, sizeof(items[i].reason), "perf_event_paranoid=%d%s",
                           host->perf_event_paranoid, instead[i]);
            (void)snprintf(items[i].fix, sizeof(items[i].fix),
                           "sudo stax setup, or run stax-server as root");
        }
    }
}

void perf_session_probe(struct capability_set *ret_abilities)
{
    struct host host;
    struct error absence = {0};
    uint32_t broker = 0;
    host_read(&host);
    memset(ret_abilities, 0, sizeof(*ret_abilities));
    struct capability *items = ret_abilities->items;
    const struct capture_config plain = {0};
    bool is_wide = wide_session_is_possible(&host, &plain);
    bool has_broker = !host_allows_kernel(&host) && broker_session_probe(&broker, &absence);
    (void)snprintf(ret_abilities->backend, sizeof(ret_abilities->backend), "%s",
                   is_wide      ? "perf: per-CPU events, filtered in the kernel"
                   : has_broker ? "perf: per-thread events, through staxd"
                                : "perf: per-thread events");
    bool may_open = host_allows_user(&host) || has_broker;
    for (int i = CAPABILITY_ON_CPU; i <= CAPABILITY_OFF_CPU; i++) {
        items[i].is_available = may_open;
        if (!may_open) {
            (void)snprintf(items[i].reason, sizeof(items[i].reason), "perf_event_paranoid=%d",
                           host.perf_event_paranoid);
            (void)snprintf(items[i].fix, sizeof(items[i].fix),
                           "sudo stax setup, or sudo sysctl kernel.perf_event_paranoid=2");
        }
    }
    struct capability *kernel = &items[CAPABILITY_KERNEL_STACKS];
    kernel->is_available = (host_allows_kernel(&host) && may_open) ||
                           (has_broker && (broker & BROKER_CAN_KERNEL_STACKS) != 0);
    bool has_names =
        has_broker ? (broker & BROKER_CAN_KERNEL_NAMES) != 0 : !host.hides_kernel_symbols;
    if (!kernel->is_available) {
        (void)snprintf(kernel->reason, sizeof(kernel->reason), "perf_event_paranoid=%d",
                       host.perf_event_paranoid);
        (void)snprintf(kernel->fix, sizeof(kernel->fix), "%s",
                       has_broker ? "staxd forbids them (--no-kernel-stacks)"
                                  : "sudo stax setup, or sudo sysctl kernel.perf_event_paranoid=1");
    } else if (!has_names) {
        (void)snprintf(kernel->reason, sizeof(kernel->reason),
                       "without names: kptr_restrict hides them");
        (void)snprintf(kernel->fix, sizeof(kernel->fix), "sudo sysctl kernel.kptr_restrict=0");
    }
    bool tells_waits = (is_wide && wide_session_tells_waits()) ||
                       (has_broker && (broker & BROKER_CAN_SWITCHES) != 0);
    describe_waits(&host, tells_waits, items);
    counter_session_probe(&host, &items[CAPABILITY_COUNTERS]);
}
