/* SPDX-License-Identifier: MIT */
#include "wait_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "burn.h"

static struct wait_account account_of_thread(const struct wait_log *log)
{
    struct wait_account account = {.wall_ns = clock_ns(CLOCK_MONOTONIC)};
    struct rusage used;
    char text[80];

    const ssize_t n = pread(log->schedstat_fd, text, sizeof text - 1, 0);
    if (n > 0) {
        text[n] = '\0';
        char *second = strchr(text, ' ');
        account.runq_ns = second != NULL ? strtoull(second, NULL, 10) : 0;
    }
    getrusage(RUSAGE_THREAD, &used);
    account.n_switches = (uint64_t)used.ru_nvcsw;
    account.n_preempted = (uint64_t)used.ru_nivcsw;
    /* Not the first number of schedstat: that is as old as the last tick. */
    account.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return account;
}

static struct wait_account account_since(const struct wait_log *log, struct wait_account before)
{
    const struct wait_account now = account_of_thread(log);

    return (struct wait_account){.wall_ns = now.wall_ns - before.wall_ns,
                                 .cpu_ns = now.cpu_ns - before.cpu_ns,
                                 .runq_ns = now.runq_ns - before.runq_ns,
                                 .n_switches = now.n_switches - before.n_switches,
                                 .n_preempted = now.n_preempted - before.n_preempted};
}

void wait_log_init(struct wait_log *log, size_t n_records, uint64_t least_listed_ns)
{
    struct wait_record *records = calloc(n_records, sizeof *records);
    if (records == NULL) {
        perror("calloc");
        exit(1);
    }
    *log = (struct wait_log){.least_listed_ns = least_listed_ns,
                             .records = records,
                             .n_allocated = n_records,
                             .schedstat_fd = -1};
}

void wait_log_start(struct wait_log *log)
{
    log->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    log->at_start = account_of_thread(log);
}

void wait_log_stop(struct wait_log *log)
{
    log->used = account_since(log, log->at_start);
    close(log->schedstat_fd);
}

void wait_log_begin(struct wait_log *log)
{
    log->before = account_of_thread(log);
}

void wait_log_end(struct wait_log *log)
{
    const struct wait_account used = account_since(log, log->before);
    const uint64_t awake_ns = used.cpu_ns + used.runq_ns;
    /* A wait that did not switch was none, whatever a hypervisor took meanwhile. */
    const uint64_t blocked_ns =
        used.n_switches > 0 && used.wall_ns > awake_ns ? used.wall_ns - awake_ns : 0;

    log->n_waits += used.n_switches;
    log->duration_ns += used.wall_ns;
    log->blocked_ns += blocked_ns;
    if (blocked_ns < log->least_listed_ns) {
        return;
    }
    if (log->n_records == log->n_allocated) {
        log->n_unlisted++;
        return;
    }
    log->records[log->n_records++] = (struct wait_record){.start_ns = log->before.wall_ns,
                                                          .duration_ns = used.wall_ns,
                                                          .blocked_ns = blocked_ns,
                                                          .runq_ns = used.runq_ns,
                                                          .n_preempted = used.n_preempted};
}
