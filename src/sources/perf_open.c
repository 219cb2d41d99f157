/* SPDX-License-Identifier: MIT */
#include "sources/perf_open.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int perf_open_in_group(const struct perf_event_attr *attr, pid_t pid, int cpu, int leader_fd)
{
    /* The kernel writes to attr only to tell the size it knows, and only on E2BIG. */
    long fd = syscall(SYS_perf_event_open, attr, pid, cpu, leader_fd,
                      (unsigned long)PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

int perf_open(const struct perf_event_attr *attr, pid_t pid, int cpu)
{
    return perf_open_in_group(attr, pid, cpu, -1);
}

int perf_open_any_cpu(const struct perf_event_attr *attr, pid_t pid)
{
    return perf_open(attr, pid, -1);
}

int perf_open_identifier(int fd, uint64_t *ret_identifier)
{
    return ioctl(fd, PERF_EVENT_IOC_ID, ret_identifier) < 0 ? -errno : 0;
}
