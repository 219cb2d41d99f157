/* SPDX-License-Identifier: MIT */
#include "capture/linux/sched_rings.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of the array of counts, as mmap(2) wants it. */
static size_t lost_bytes(uint32_t n_rings)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    return (n_rings * sizeof(uint64_t) + page_bytes - 1) / page_bytes * page_bytes;
}

int sched_rings_open(const struct sched_rings_fds *fds, struct sched_rings *ret_rings)
{
    struct sched_rings rings = {.rings = calloc(fds->n_rings, sizeof(*rings.rings))};
    outsiders_init(&rings.outsiders);
    rings.fds = calloc(fds->n_rings, sizeof(*rings.fds));
    int r = rings.rings && rings.fds ? 0 : -ENOMEM;
    for (; r == 0 && rings.n_rings < fds->n_rings; rings.n_rings++) {
        r = bpf_ring_open(fds->ring_fds[rings.n_rings], fds->ring_bytes,
                          &rings.rings[rings.n_rings]);
        if (r != 0) {
            break;
        }
        rings.fds[rings.n_rings] = fds->ring_fds[rings.n_rings];
    }
    if (r == 0) {
        void *memory =
            mmap(NULL, lost_bytes(rings.n_rings), PROT_READ, MAP_SHARED, fds->lost_fd, 0);
        r = memory == MAP_FAILED ? -errno : 0;
        rings.n_lost = r == 0 ? memory : NULL;
    }
    if (r != 0) {
        sched_rings_release(&rings);
        return r;
    }
    *ret_rings = rings;
    return 0;
}

void sched_rings_release(struct sched_rings *rings)
{
    for (uint32_t i = 0; i < rings->n_rings; i++) {
        bpf_ring_release(&rings->rings[i]);
    }
    if (rings->n_lost) {
        munmap((void *)(uintptr_t)rings->n_lost, lost_bytes(rings->n_rings));
    }
    free(rings->rings);
    free(rings->fds);
    outsiders_release(&rings->outsiders);
    *rings = (struct sched_rings){0};
}

static void name_outsider(struct sched_rings *rings, const struct perf_translator *translator,
                          const struct perf_record *record, struct event_batch *batch)
{
    const struct event wakeup = {
        .time_ns = record->time_ns,
        .pid = translator->pid,
        .tid = record->sched.next_tid,
    };
    if ((record->sched.flags & SCHED_FLAG_OUTSIDER) && event_batch_has_room(batch)) {
        outsiders_note(&rings->outsiders, record->sched.waker_tid, &wakeup, batch);
    }
}

uint64_t sched_rings_read(struct sched_rings *rings, uint32_t cpu,
                          struct perf_translator *translator, struct event_batch *batch,
                          uint64_t read_at_ns)
{
    struct bpf_ring *ring = &rings->rings[cpu];
    const void *data;
    size_t n_bytes;
    bpf_ring_begin(ring);
    uint64_t first_tail = ring->tail;
    while (event_batch_has_room(batch) && (data = bpf_ring_next(ring, &n_bytes))) {
        struct perf_record record;
        rings->n_records++;
        if (perf_record_parse_sched(data, n_bytes, cpu, &record) == 0) {
            (void)perf_events_translate(translator, &record, batch);
            name_outsider(rings, translator, &record, batch);
        } else {
            rings->n_undecodable++;
        }
    }
    /* A record that is being written now is as young as this round. */
    bool is_partial = !event_batch_has_room(batch) && ring->tail != ring->head;
    rings->n_bytes += ring->tail - first_tail;
    bpf_ring_end(ring);
    return is_partial && event_batch_count(batch) > 0
               ? event_batch_get(batch, event_batch_count(batch) - 1)->time_ns
               : read_at_ns;
}

uint64_t sched_rings_take_lost(struct sched_rings *rings)
{
    uint64_t n_lost = 0;
    for (uint32_t i = 0; i < rings->n_rings; i++) {
        n_lost += __atomic_load_n(&rings->n_lost[i], __ATOMIC_RELAXED);
    }
    uint64_t n_new = n_lost - rings->n_lost_told;
    rings->n_lost_told = n_lost;
    return n_new;
}
