/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_memory - what lies in another process's memory now
 *
 * Owner:   nothing. Threads: any.
 * Source:  process_vm_readv(2).
 * Tests:   target_memory_test.c
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads n_bytes at `address` of process `pid`. Returns how many of them could
 * be read, from the beginning on: fewer where a page is not there. Negative
 * errno where that is none: -EFAULT; -ESRCH for a process that is gone; -EPERM.
 * pidfd (or -1) makes sure that the number is not another process's by now.
 */
ssize_t target_memory_read(int64_t pid, int pidfd, uint64_t address, void *buffer, size_t n_bytes);
