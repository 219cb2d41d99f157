/* SPDX-License-Identifier: MIT */
#include "server/target_producer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct target_producer *target_producer_new(int64_t pid, struct target_ring_reader *take_reader)
{
    struct target_producer *producer = calloc(1, sizeof(*producer));
    if (!producer) {
        target_ring_reader_free(take_reader);
        return NULL;
    }
    producer->pid = pid;
    producer->reader = take_reader;
    atomic_init(&producer->n_refs, 1);
    atomic_init(&producer->is_claimed, false);
    atomic_init(&producer->is_gone, false);
    return producer;
}

struct target_producer *target_producer_ref(struct target_producer *producer)
{
    atomic_fetch_add_explicit(&producer->n_refs, 1, memory_order_relaxed);
    return producer;
}

struct target_producer *target_producer_unref(struct target_producer *producer)
{
    if (producer && atomic_fetch_sub_explicit(&producer->n_refs, 1, memory_order_acq_rel) == 1) {
        target_ring_reader_free(producer->reader);
        free(producer);
    }
    return NULL;
}

bool target_producer_claim(struct target_producer *producer)
{
    return !atomic_exchange_explicit(&producer->is_claimed, true, memory_order_acquire);
}

void target_producer_unclaim(struct target_producer *producer)
{
    atomic_store_explicit(&producer->is_claimed, false, memory_order_release);
}

void target_producers_init(struct target_producers *producers)
{
    producers->n_entries = 0;
    atomic_init(&producers->n_now, 0);
    atomic_init(&producers->n_ever, 0);
    for (int why = 0; why < TARGET_REFUSAL_N; why++) {
        atomic_init(&producers->n_refused[why], 0);
    }
}

static void forget(struct target_producers *producers, size_t index)
{
    struct target_producer *producer = producers->entries[index].producer;
    producers->entries[index] = producers->entries[--producers->n_entries];
    atomic_store_explicit(&producers->n_now, producers->n_entries, memory_order_relaxed);
    atomic_store_explicit(&producer->is_gone, true, memory_order_release);
    target_producer_unref(producer);
}

void target_producers_release(struct target_producers *producers)
{
    while (producers->n_entries > 0) {
        forget(producers, producers->n_entries - 1);
    }
}

static const struct target_producers_entry *find(const struct target_producers *producers,
                                                 const struct connection *connection)
{
    for (size_t i = 0; i < producers->n_entries; i++) {
        if (producers->entries[i].connection == connection) {
            return &producers->entries[i];
        }
    }
    return NULL;
}

static bool has_our_version(const struct target_hello_request *request)
{
    uint32_t oldest = request->oldest_version ? request->oldest_version : request->version;
    return oldest <= TARGET_RING_VERSION && request->version >= TARGET_RING_VERSION;
}

static int refuse(struct target_producers *producers, enum target_refusal why, int r)
{
    atomic_fetch_add_explicit(&producers->n_refused[why], 1, memory_order_relaxed);
    return r;
}

/* The program has connected anew before the end of its old connection was seen. */
static void replace(struct target_producers *producers, const struct target_ring_reader *reader)
{
    struct target_ring_identity new = target_ring_reader_identity(reader);
    for (size_t i = producers->n_entries; i-- > 0;) {
        struct target_ring_reader *other = producers->entries[i].producer->reader;
        struct target_ring_identity old = target_ring_reader_identity(other);
        if (old.device == new.device && old.inode == new.inode) {
            target_ring_reader_detach(other);
            forget(producers, i);
        }
    }
}

int target_producers_add(struct target_producers *producers, const struct connection *connection,
                         int64_t pid, const struct target_hello_request *request, int fd,
                         struct target_producer **ret_producer, struct error *reterr_error)
{
    struct target_ring_reader *reader = NULL;
    if (find(producers, connection)) {
        error_set(reterr_error, "invalid_params", "this connection has said hello before");
        return refuse(producers, TARGET_REFUSED_REPEATED, -EALREADY);
    }
    if (producers->n_entries == TARGET_PRODUCERS_MAX) {
        error_set(reterr_error, "limit", "%u programs are connected already", TARGET_PRODUCERS_MAX);
        return refuse(producers, TARGET_REFUSED_LIMIT, -EUSERS);
    }
    if (!has_our_version(request)) {
        error_set(reterr_error, "not_supported",
                  "this server speaks version %u of the ring, the program %u", TARGET_RING_VERSION,
                  request->version);
        return refuse(producers, TARGET_REFUSED_VERSION, -EPROTONOSUPPORT);
    }
    enum target_ring_refusal refusal = target_ring_reader_new(fd, &reader);
    if (refusal != TARGET_RING_ACCEPTED) {
        error_set(reterr_error, "invalid_params", "%s", target_ring_refusal_text(refusal));
        return refuse(producers, TARGET_REFUSED_MEMORY, -EINVAL);
    }
    replace(producers, reader);
    /* A server before this one may have left it open. */
    target_ring_reader_set_active(reader, false);
    target_ring_reader_skip(reader);
    struct target_producer *producer = target_producer_new(pid, reader);
    if (!producer) {
        error_set(reterr_error, "limit", "out of memory");
        return refuse(producers, TARGET_REFUSED_LIMIT, -ENOMEM);
    }
    producers->entries[producers->n_entries++] =
        (struct target_producers_entry){.connection = connection, .producer = producer};
    atomic_store_explicit(&producers->n_now, producers->n_entries, memory_order_relaxed);
    atomic_fetch_add_explicit(&producers->n_ever, 1, memory_order_relaxed);
    *ret_producer = producer;
    return 0;
}

void target_producers_remove(struct target_producers *producers,
                             const struct connection *connection)
{
    const struct target_producers_entry *entry = find(producers, connection);
    if (entry) {
        forget(producers, (size_t)(entry - producers->entries));
    }
}

void target_producers_stats(struct target_producers *producers,
                            struct target_producer_stats *ret_stats)
{
    ret_stats->n_now = atomic_load_explicit(&producers->n_now, memory_order_relaxed);
    ret_stats->n_ever = atomic_load_explicit(&producers->n_ever, memory_order_relaxed);
    for (int why = 0; why < TARGET_REFUSAL_N; why++) {
        ret_stats->n_refused[why] =
            atomic_load_explicit(&producers->n_refused[why], memory_order_relaxed);
    }
}
