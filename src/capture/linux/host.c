/* SPDX-License-Identifier: MIT */
#include "capture/linux/host.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* Capabilities newer than some libc headers: capabilities(7). */
#define CAPABILITY_PERFMON 38
#define CAPABILITY_BPF 39

static bool has_capability(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    memset(data, 0, sizeof(data));
    if (syscall(SYS_capget, &header, data) < 0) {
        return false;
    }
    return (data[capability / 32].effective >> (capability % 32)) & 1u;
}

static int64_t read_number(const char *path, int64_t fallback)
{
    _cleanup_(freep) char *text = NULL;
    size_t n_bytes;
    if (fd_read_file(path, 4096, &text, &n_bytes) != 0) {
        return fallback;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno != 0 || end == text ? fallback : value;
}

void host_read(struct host *ret_host)
{
    bool is_admin = has_capability(CAP_SYS_ADMIN);
    int64_t paranoid = read_number("/proc/sys/kernel/perf_event_paranoid", INT_MAX);
    *ret_host = (struct host){
        .is_privileged = is_admin || has_capability(CAPABILITY_PERFMON),
        .can_load_bpf =
            is_admin || (has_capability(CAPABILITY_PERFMON) && has_capability(CAPABILITY_BPF)),
        .perf_event_paranoid = paranoid > INT_MAX ? INT_MAX : (int)paranoid,
        .mlock_kb = read_number("/proc/sys/kernel/perf_event_mlock_kb", 516),
        .max_sample_rate_hz = read_number("/proc/sys/kernel/perf_event_max_sample_rate", 100000),
        .hides_kernel_symbols =
            read_number("/proc/sys/kernel/kptr_restrict", 1) > (has_capability(CAP_SYSLOG) ? 1 : 0),
    };
}

bool host_allows_user(const struct host *host)
{
    return host->is_privileged || host->perf_event_paranoid <= 2;
}

bool host_allows_kernel(const struct host *host)
{
    return host->is_privileged || host->perf_event_paranoid <= 1;
}
