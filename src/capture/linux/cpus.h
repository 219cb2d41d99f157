/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cpus - the CPUs that are online; their numbers need not be contiguous
 *
 * Owner:   ret_cpus is the caller's (free()). Threads: any.
 * Source:  Documentation/admin-guide/cputopology.rst of Linux.
 * Tests:   cpus_test.c
 */

#include <stddef.h>
#include <stdint.h>

/* "0-3,8" → {0,1,2,3,8}. 0, -EBADMSG, -ENOMEM. */
int cpus_parse(const char *list, uint32_t **ret_cpus, size_t *ret_n_cpus);

/* From /sys/devices/system/cpu/online. */
int cpus_online(uint32_t **ret_cpus, size_t *ret_n_cpus);
