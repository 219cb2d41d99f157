/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * import_input - bytes as a file for one of the importers, and all its events looked at
 *
 * Owner, Threads: static; one.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interchange/import_reader.h"

#define MAX_EVENTS 20000u

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_stack(const struct event_stack *stack)
{
    uint64_t sum = 0;
    require(stack->n_kernel_ips <= stack->n_ips && stack->n_ips <= LIMIT_STACK_IPS);
    for (uint32_t i = 0; i < stack->n_ips; i++) {
        sum ^= stack->ips[i];
    }
    for (uint32_t i = 0; stack->copy && i < stack->copy->n_bytes; i++) {
        sum ^= stack->copy->bytes[i];
    }
    require(sum != UINT64_MAX || stack->n_ips > 0 || stack->copy);
}

static void check_import_event(const struct event *event)
{
    require(event->kind > EVENT_NONE && event->kind < EVENT_KIND_N);
    if (event->kind == EVENT_SAMPLE || event->kind == EVENT_SWITCH_OUT) {
        require(event->tid > 0);
        check_stack(&event->stack);
    } else if (event->kind == EVENT_IMAGE) {
        require(event->image->build_id_bytes <= LIMIT_BUILD_ID_BYTES);
        require(event->image->start_ip <= event->image->end_ip);
        require(!event->image->path || strlen(event->image->path) < LIMIT_PATH_BYTES);
    } else if (event->kind == EVENT_THREAD) {
        require(!event->thread.name || strlen(event->thread.name) < LIMIT_PATH_BYTES);
    }
}

static void drain_import(const struct import_reader_ops *ops, struct import_reader *reader,
                         struct event_batch *batch)
{
    uint64_t latest_ns = 0, n_events = 0;
    int r = 1;
    while (r == 1 && n_events < MAX_EVENTS) { /* a few bytes can tell of millions of samples */
        event_batch_clear(batch);
        r = ops->next(reader, batch);
        for (size_t i = 0; i < event_batch_count(batch); i++) {
            const struct event *event = event_batch_get(batch, i);
            require(event->time_ns >= latest_ns);
            latest_ns = event->time_ns;
            check_import_event(event);
        }
        n_events += event_batch_count(batch);
    }
    require(ops->notes(reader)->n_notes <= IMPORT_MAX_NOTES);
}

static void import_input(const struct import_reader_ops *ops, const uint8_t *data, size_t size)
{
    const struct event_batch_limits limits = {.n_events = 1024,
                                              .n_ips = 4 * LIMIT_STACK_IPS,
                                              .n_images = 64,
                                              .text_bytes = 64 * 1024,
                                              .stack_bytes = 256 * 1024};
    struct event_batch *batch = NULL;
    struct import_reader *reader = NULL;
    struct error error = {0};
    char path[64];
    int fd = memfd_create("import", MFD_CLOEXEC);
    (void)ops->is_mine(data, size < IMPORT_DETECT_BYTES ? size : IMPORT_DETECT_BYTES);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || event_batch_new(&limits, &batch) < 0) {
        abort();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int r = ops->open(path, &reader, &error);
    require(r == 0 || error.message[0] != '\0');
    if (r == 0) {
        struct import_facts facts;
        ops->facts(reader, &facts);
        require(facts.format == ops->format);
        drain_import(ops, reader, batch);
        ops->free(reader);
    }
    event_batch_free(batch);
    close(fd);
}
