/* SPDX-License-Identifier: MIT */
#include "capture/linux/target_memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Ranges per call; the kernel takes 1024. */
#define RANGES 64u

/* The kernel stops at the first range that it cannot read wholly, so each range is within a page.
 */
static size_t split_at_pages(uint64_t address, size_t n_bytes, struct iovec *ret_ranges,
                             size_t *ret_n_bytes)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t n_ranges = 0, n_taken = 0;
    while (n_ranges < RANGES && n_taken < n_bytes) {
        size_t to_page_end = page_bytes - (size_t)(address + n_taken) % page_bytes;
        size_t left = n_bytes - n_taken;
        struct iovec *range = &ret_ranges[n_ranges++];
        range->iov_base = (void *)(uintptr_t)(address + n_taken);
        range->iov_len = left < to_page_end ? left : to_page_end;
        n_taken += range->iov_len;
    }
    *ret_n_bytes = n_taken;
    return n_ranges;
}

static bool is_gone(int pidfd)
{
    return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0 && errno == ESRCH;
}

ssize_t target_memory_read(int64_t pid, int pidfd, uint64_t address, void *buffer, size_t n_bytes)
{
    uint64_t end;
    if (__builtin_add_overflow(address, n_bytes, &end) || end > UINTPTR_MAX ||
        n_bytes > SSIZE_MAX) {
        return -EFAULT;
    }
    size_t n_read = 0;
    while (n_read < n_bytes) {
        struct iovec ranges[RANGES];
        size_t n_wanted;
        size_t n_ranges = split_at_pages(address + n_read, n_bytes - n_read, ranges, &n_wanted);
        const struct iovec here = {.iov_base = (uint8_t *)buffer + n_read, .iov_len = n_wanted};
        ssize_t n = process_vm_readv((pid_t)pid, &here, 1, ranges, n_ranges, 0);
        if (n < 0 && n_read == 0) {
            return -errno;
        }
        n_read += n > 0 ? (size_t)n : 0;
        if (n < (ssize_t)n_wanted) {
            break;
        }
    }
    /* Looked at afterwards: what was read while it lived is its own. */
    return is_gone(pidfd) ? -ESRCH : (ssize_t)n_read;
}
