/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "doctor/doctor.h"

/* capabilities(7) */
#define CAPABILITY_SYS_ADMIN 21
#define CAPABILITY_SYSLOG 34
#define CAPABILITY_PERFMON 38
#define CAPABILITY_BPF 39

#define FILE_MAX_BYTES 65536

static char *read_text(const char *root, const char *path)
{
    char whole[PATH_MAX];
    char *text = NULL;
    int n = snprintf(whole, sizeof(whole), "%s%s", root, path);
    if (n < 0 || (size_t)n >= sizeof(whole) || fd_read_file(whole, FILE_MAX_BYTES, &text, NULL)) {
        return NULL;
    }
    return text;
}

static int64_t read_number(const char *root, const char *path)
{
    _cleanup_(freep) char *text = read_text(root, path);
    if (!text) {
        return INT64_MIN;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return errno != 0 || end == text ? INT64_MIN : value;
}

/*
 * Who is root in a user namespace of its own has all capabilities there and
 * none for what concerns the whole machine. A kernel without namespaces has no map.
 */
static bool is_in_first_user_namespace(const char *root)
{
    static const uint64_t expected[] = {0, 0, UINT32_MAX}; /* from, to, how many */
    _cleanup_(freep) char *text = read_text(root, "/proc/self/uid_map");
    char *at = text;
    for (size_t i = 0; at && i < sizeof(expected) / sizeof(expected[0]); i++) {
        char *end;
        if (strtoull(at, &end, 10) != expected[i] || end == at) {
            return false;
        }
        at = end;
    }
    return true;
}

/* The effective capabilities of the process that asks, as proc(5) tells them. */
static uint64_t read_capabilities(const char *root)
{
    if (!is_in_first_user_namespace(root)) {
        return 0;
    }
    _cleanup_(freep) char *text = read_text(root, "/proc/self/status");
    const char *line = text ? strstr(text, "\nCapEff:") : NULL;
    return line ? strtoull(line + strlen("\nCapEff:"), NULL, 16) : 0;
}

static bool has_path(const char *root, const char *path)
{
    char whole[PATH_MAX];
    int n = snprintf(whole, sizeof(whole), "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof(whole) && access(whole, F_OK) == 0;
}

/* Of root's, and writable for us: that is what connecting takes. */
static bool has_broker(const char *root)
{
    char path[PATH_MAX];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/run/staxd.sock", root);
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_uid == 0 &&
           access(path, W_OK) == 0;
}

void doctor_host_read(const char *root, struct doctor_host *ret_host)
{
    uint64_t capabilities = read_capabilities(root);
    bool is_admin = capabilities >> CAPABILITY_SYS_ADMIN & 1;
    bool can_perf = is_admin || (capabilities >> CAPABILITY_PERFMON & 1);
    *ret_host = (struct doctor_host){
        .event_paranoid = read_number(root, "/proc/sys/kernel/perf_event_paranoid"),
        .kptr_restrict = read_number(root, "/proc/sys/kernel/kptr_restrict"),
        .mlock_kb = read_number(root, "/proc/sys/kernel/perf_event_mlock_kb"),
        .max_sample_rate_hz = read_number(root, "/proc/sys/kernel/perf_event_max_sample_rate"),
        .max_stack = read_number(root, "/proc/sys/kernel/perf_event_max_stack"),
        .is_root = geteuid() == 0,
        .can_perf = can_perf,
        .can_bpf = is_admin || (can_perf && (capabilities >> CAPABILITY_BPF & 1)),
        .can_syslog = is_admin || (capabilities >> CAPABILITY_SYSLOG & 1),
        .has_broker = has_broker(root),
        .has_tracefs = has_path(root, "/sys/kernel/tracing/events/sched") ||
                       has_path(root, "/sys/kernel/debug/tracing/events/sched"),
        /* Every architecture's own unit has one of these. */
        .has_pmu = has_path(root, "/sys/bus/event_source/devices/cpu") ||
                   has_path(root, "/sys/bus/event_source/devices/cpu_core") ||
                   has_path(root, "/sys/bus/event_source/devices/armv8_pmuv3_0") ||
                   has_path(root, "/sys/bus/event_source/devices/armv8_pmuv3"),
    };
    _cleanup_(freep) char *release = read_text(root, "/proc/sys/kernel/osrelease");
    snprintf(ret_host->kernel, sizeof(ret_host->kernel), "%s", release ? release : "unknown");
    ret_host->kernel[strcspn(ret_host->kernel, "\n")] = '\0';
}
