/* SPDX-License-Identifier: MIT */
#include "broker/open_switches.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define STACK_BYTES 4096 /* of a sleeper; its stack stands still */

int open_switches_start(const struct caller *caller, const struct broker_target *target,
                        bool no_kernel, struct sched_watch **ret_watch)
{
    _cleanup_(sched_watch_freep) struct sched_watch *watch = NULL;
    struct sched_watch_config config = {.pid = target->pid,
                                        .uid = caller->uid,
                                        .n_cpus = (uint32_t)sysconf(_SC_NPROCESSORS_CONF),
                                        .ring_bytes = BROKER_SWITCHES_RING_BYTES,
                                        .no_kernel = no_kernel,
                                        .max_stack_bytes = STACK_BYTES,
                                        .control_fd = -1,
                                        .ranges_fd = -1,
                                        .tables_fd = -1};
    const char *step;
    int r = open_events_check(caller, target, target->pid);
    r = r != 0 ? r : target_facts_start_ticks(target->process_fd, &config.start_ticks);
    r = r != 0 ? r : sched_watch_new(&config, &watch, &step);
    r = r != 0 ? r : sched_watch_attach(watch);
    *ret_watch = r == 0 ? TAKE_PTR(watch) : NULL;
    return r;
}

int open_switches_ring(const struct sched_watch *watch, uint32_t cpu, int *ret_fd)
{
    int fd = cpu == BROKER_SWITCHES_LOST                     ? sched_watch_lost(watch)
             : cpu < (uint32_t)sysconf(_SC_NPROCESSORS_CONF) ? sched_watch_ring(watch, cpu)
                                                             : -1;
    *ret_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return *ret_fd < 0 ? -ENODEV : 0;
}
