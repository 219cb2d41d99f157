/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * target_test - a program that reports spans, for tests: its side of the ring
 *
 * Owner:   program_begin()/_end(); the producer is the server's side of it.
 * Threads: as the room that it stands for: any may write spans.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/target_producer.h"
#include "target_ring/tables.h"
#include "target_ring/writer.h"

struct program {
    void *memory;
    int fd;
    struct target_ring_tables *tables;
    struct target_producer *producer; /* NULL after program_leave() */
};

/* False: no memory. */
static inline bool program_begin(struct program *program, int64_t pid)
{
    struct target_ring_reader *reader = NULL;
    *program = (struct program){.fd = -1, .tables = calloc(1, sizeof(*program->tables))};
    if (!program->tables || target_ring_memory_new(&program->memory, &program->fd) < 0 ||
        target_ring_reader_new(program->fd, &reader) != TARGET_RING_ACCEPTED) {
        return false;
    }
    target_ring_tables_init(program->tables, program->memory);
    target_ring_state(program->memory)->pid = (uint32_t)pid;
    program->producer = target_producer_new(pid, reader);
    return program->producer;
}

/* Its connection has ended. */
static inline void program_leave(struct program *program)
{
    atomic_store(&program->producer->is_gone, true);
    program->producer = target_producer_unref(program->producer);
}

static inline void program_end(struct program *program)
{
    if (program->producer) {
        program_leave(program);
    }
    munmap(program->memory, TARGET_RING_BYTES);
    close(program->fd);
    free(program->tables);
}

static inline bool program_is_recorded(const struct program *program)
{
    return __atomic_load_n(&target_ring_control(program->memory)->active, __ATOMIC_ACQUIRE) != 0;
}

static inline uint32_t program_name(struct program *program, uint32_t parent, const char *text)
{
    return target_ring_name_add(program->tables, parent, text, target_ring_name_length(text));
}

static inline uint32_t program_lane(struct program *program, const char *name, uint32_t kind)
{
    return target_ring_lane_add(program->tables, program_name(program, 0, name), kind);
}

/* All but the commit word, in words that the reader may look at meanwhile. */
static inline void program_write(struct target_ring_slot *slot, uint64_t position,
                                 const struct target_ring_slot *from)
{
    uint64_t words[sizeof(*from) / sizeof(uint64_t)];
    memcpy(words, from, sizeof(*from));
    for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++) {
        __atomic_store_n((uint64_t *)(void *)slot + i, words[i], __ATOMIC_RELAXED);
    }
    target_ring_publish(slot, position);
}

/* A span and its details, which lie behind it. False: the ring is full. */
static inline bool program_report(struct program *program, const struct target_ring_slot *slots)
{
    uint64_t position;
    if (!target_ring_reserve(program->memory, 1u + slots->n_details, &position)) {
        return false;
    }
    for (uint32_t i = slots->n_details + 1u; i-- > 0;) {
        program_write(target_ring_slot_at(program->memory, position + i), position + i, &slots[i]);
    }
    return true;
}

static inline bool program_span(struct program *program, uint32_t lane, uint32_t name,
                                uint64_t start_ns, uint64_t end_ns)
{
    const struct target_ring_slot slot = {
        .kind = TARGET_RING_SPAN,
        .name = name,
        .span = {.lane = lane, .reporter_tid = 9, .start_ns = start_ns, .end_ns = end_ns},
    };
    return program_report(program, &slot);
}
