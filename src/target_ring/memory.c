/* SPDX-License-Identifier: MIT */

#include "target_ring/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOWEST_FD 64

static const char other_text[] = "(other)";

static void describe(void *memory)
{
    struct target_ring_state *state = target_ring_state(memory);
    struct target_ring_name *other = &target_ring_names(memory)[TARGET_RING_NAME_OTHER];

    state->magic = TARGET_RING_MAGIC;
    state->version = TARGET_RING_VERSION;
    state->slot_bytes = sizeof(struct target_ring_slot);
    state->n_slots = TARGET_RING_SLOTS;
    state->n_lanes_max = TARGET_RING_LANES;
    state->n_names_max = TARGET_RING_NAMES;
    state->text_bytes = TARGET_RING_TEXT_BYTES;
    state->lanes_offset = TARGET_RING_LANES_OFFSET;
    state->names_offset = TARGET_RING_NAMES_OFFSET;
    state->text_offset = TARGET_RING_TEXT_OFFSET;
    state->slots_offset = TARGET_RING_SLOTS_OFFSET;
    state->total_bytes = TARGET_RING_BYTES;
    state->pid = (uint32_t)getpid();
    state->n_names = TARGET_RING_NAME_OTHER;
    state->n_text_bytes = sizeof(other_text) - 1;
    memcpy(target_ring_text(memory), other_text, sizeof(other_text) - 1);
    other->n_bytes = sizeof(other_text) - 1;
    __atomic_store_n(&other->is_set, 1, __ATOMIC_RELEASE);
}

/* A file longer than the process may write would bring it a deadly signal. */
static int may_be_so_long(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
           limit.rlim_cur >= TARGET_RING_BYTES;
}

int target_ring_move_fd(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);

    if (high < 0) {
        return fd;
    }
    close(fd);
    return high;
}

static int open_sealed(void)
{
    if (!may_be_so_long()) {
        return -EFBIG;
    }
    int fd = memfd_create("stax-target", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -errno;
    }
    fd = target_ring_move_fd(fd);
    if (ftruncate(fd, TARGET_RING_BYTES) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int map_some(int fd, void **ret_memory)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, TARGET_RING_BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (memory == MAP_FAILED) {
        return -ENOMEM;
    }
    *ret_memory = memory;
    return 0;
}

int target_ring_memory_new(void **ret_memory, int *ret_fd)
{
    void *memory;
    int fd = open_sealed();
    int r = map_some(fd, &memory);

    if (r < 0 && fd >= 0) {
        close(fd);
        return r;
    }
    if (r < 0) {
        return r;
    }
    describe(memory);
    *ret_memory = memory;
    *ret_fd = fd < 0 ? -1 : fd;
    return 0;
}

static void keep_tables(void *memory, void *fresh, const struct target_ring_extent *extent)
{
    struct target_ring_state *state = target_ring_state(fresh);

    memcpy(target_ring_lanes(fresh), target_ring_lanes(memory),
           (extent->n_lanes + (size_t)1) * sizeof(struct target_ring_lane));
    memcpy(target_ring_names(fresh), target_ring_names(memory),
           (extent->n_names + (size_t)1) * sizeof(struct target_ring_name));
    memcpy(target_ring_text(fresh), target_ring_text(memory), extent->n_text_bytes);
    state->n_lanes = extent->n_lanes;
    state->n_names = extent->n_names;
    state->n_text_bytes = extent->n_text_bytes;
}

/* Threads may be counting. */
static void keep_count(const uint64_t *from, uint64_t *to)
{
    *to = __atomic_load_n(from, __ATOMIC_RELAXED);
}

static void keep_counts(void *memory, void *fresh)
{
    const struct target_ring_state *from = target_ring_state(memory);
    struct target_ring_state *to = target_ring_state(fresh);

    keep_count(&from->n_dropped_full, &to->n_dropped_full);
    keep_count(&from->n_dropped_no_server, &to->n_dropped_no_server);
    keep_count(&from->n_names_refused, &to->n_names_refused);
    keep_count(&from->n_lanes_refused, &to->n_lanes_refused);
    keep_count(&from->n_details_refused, &to->n_details_refused);
    keep_count(&from->n_queued, &to->n_queued);
    keep_count(&target_ring_control(memory)->n_taken, &target_ring_control(fresh)->n_taken);
}

int target_ring_memory_renew(void *memory, const struct target_ring_extent *extent,
                             int wants_counts, int *ret_fd)
{
    void *fresh;
    int fd;
    int r = target_ring_memory_new(&fresh, &fd);

    if (r < 0) {
        return r;
    }
    keep_tables(memory, fresh, extent);
    if (wants_counts) {
        keep_counts(memory, fresh);
    }
    if (mremap(fresh, TARGET_RING_BYTES, TARGET_RING_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
               memory) == MAP_FAILED) {
        r = -errno;
        munmap(fresh, TARGET_RING_BYTES);
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    *ret_fd = fd;
    return 0;
}
