/* SPDX-License-Identifier: MIT */
#include "broker/witness.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "sources/perf_attr.h"
#include "sources/perf_open.h"

/* The page that tells how much was written, and one to write to. */
#define N_BYTES (2 * (size_t)sysconf(_SC_PAGESIZE))

int witness_open(pid_t tid, struct witness *ret_witness)
{
    struct perf_event_attr attr;
    perf_attr_anchor(&attr);
    attr.comm = 1; /* a new program is a new name, and comes before its privilege */
    attr.task = 1; /* ends; and births, which are for nothing */
    attr.disabled = 0;
    *ret_witness = (struct witness){.fd = perf_open_any_cpu(&attr, tid)};
    if (ret_witness->fd < 0) {
        return ret_witness->fd;
    }
    void *page = mmap(NULL, N_BYTES, PROT_READ, MAP_SHARED, ret_witness->fd, 0);
    if (page == MAP_FAILED) {
        int r = -errno;
        witness_release(ret_witness);
        return r;
    }
    ret_witness->page = page;
    return 0;
}

bool witness_saw_nothing(const struct witness *witness)
{
    return __atomic_load_n(&witness->page->data_head, __ATOMIC_ACQUIRE) == 0;
}

void witness_release(struct witness *witness)
{
    if (witness->page) {
        (void)munmap(witness->page, N_BYTES);
    }
    *witness = (struct witness){.fd = fd_close(witness->fd)};
}
