/* SPDX-License-Identifier: MIT */
#include "capture/linux/cpus.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define CPUS_MAX 65536ul

/* Reads a number and advances; -EBADMSG where there is none. */
static int take_number(const char **inout_at, unsigned long *ret_number)
{
    char *end;
    if (**inout_at < '0' || **inout_at > '9') {
        return -EBADMSG;
    }
    errno = 0;
    *ret_number = strtoul(*inout_at, &end, 10);
    *inout_at = end;
    return errno != 0 || *ret_number >= CPUS_MAX ? -EBADMSG : 0;
}

int cpus_parse(const char *list, uint32_t **ret_cpus, size_t *ret_n_cpus)
{
    _cleanup_(freep) uint32_t *cpus = calloc(CPUS_MAX, sizeof(*cpus));
    if (!cpus) {
        return -ENOMEM;
    }
    size_t n_cpus = 0;
    const char *at = list;
    while (*at != '\0' && *at != '\n') {
        unsigned long first, last;
        int r = take_number(&at, &first);
        if (r != 0) {
            return r;
        }
        last = first;
        if (*at == '-') {
            at++;
            r = take_number(&at, &last);
            if (r != 0 || last < first) {
                return -EBADMSG;
            }
        }
        for (unsigned long cpu = first; cpu <= last && n_cpus < CPUS_MAX; cpu++) {
            cpus[n_cpus++] = (uint32_t)cpu;
        }
        if (*at == ',') {
            at++;
        }
    }
    if (n_cpus == 0) {
        return -EBADMSG;
    }
    *ret_n_cpus = n_cpus;
    *ret_cpus = TAKE_PTR(cpus);
    return 0;
}

int cpus_online(uint32_t **ret_cpus, size_t *ret_n_cpus)
{
    _cleanup_(freep) char *list = NULL;
    size_t n_bytes;
    int r = fd_read_file("/sys/devices/system/cpu/online", 65536, &list, &n_bytes);
    return r != 0 ? r : cpus_parse(list, ret_cpus, ret_n_cpus);
}
