/* SPDX-License-Identifier: MIT */

/*
 * fuzz_perf_record - a ring's bytes through both steps of decoding
 *
 * The first byte chooses how the recording was opened, what follows are
 * records, one after the other as in a ring. Whatever comes out must be what
 * the rooms above rely on: bounded counts, strings with an end, times in
 * order, kernel frames before user frames in number.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/perf_events.h"
#include "decode/perf_record.h"

#define N_CPUS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum perf_format format_of(const void *userdata, uint64_t identifier)
{
    (void)userdata;
    switch (identifier & 7) {
    case 3:
        return PERF_FORMAT_STACK;
    case 4:
        return PERF_FORMAT_SCHED;
    case 5:
        return PERF_FORMAT_COPY_X86_64;
    case 6:
        return PERF_FORMAT_COPY_AARCH64;
    case 7:
        return PERF_FORMAT_COUNTERS;
    default:
        return PERF_FORMAT_NONE;
    }
}

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Reads every byte that the event leads to. */
static void check_event(const struct event *event)
{
    switch (event->kind) {
    case EVENT_SAMPLE: {
        require(event->stack.n_kernel_ips <= event->stack.n_ips);
        require(event->stack.n_ips <= LIMIT_STACK_IPS);
        for (uint32_t i = 0; i < event->stack.n_ips; i++) {
            /* A program may have called address 0, and a walk tells so. */
            require(event->stack.ips[i] >= 4096 || event->stack.source == EVENT_STACK_WALKED);
        }
        require(event->tid > 0);
        const struct event_stack_copy *copy = event->stack.copy;
        if (copy) {
            unsigned sum = 0;
            require(copy->n_bytes <= LIMIT_STACK_COPY_BYTES);
            require(copy->is_innermost || event->stack.source == EVENT_STACK_WALKED);
            for (uint32_t i = 0; i < copy->n_bytes; i++) {
                sum += copy->bytes[i];
            }
            require(sum <= 255u * copy->n_bytes);
        }
        break;
    }
    case EVENT_COUNTERS:
        require(event->tid > 0 && event->stack.n_ips <= LIMIT_STACK_IPS);
        require(event->counters->slots < 1u << LIMIT_COUNTERS);
        for (size_t slot = 0; slot < LIMIT_COUNTERS; slot++) {
            bool is_set = (event->counters->slots >> slot & 1) != 0;
            require(is_set || event->counters->values[slot] == 0);
        }
        break;
    case EVENT_IMAGE:
        require(event->image->build_id_bytes <= LIMIT_BUILD_ID_BYTES);
        require(event->image->start_ip <= event->image->end_ip);
        require(!event->image->path || strlen(event->image->path) < LIMIT_PATH_BYTES);
        break;
    case EVENT_THREAD:
        require(!event->thread.name || strlen(event->thread.name) < LIMIT_PATH_BYTES);
        break;
    case EVENT_SWITCH_IN:
    case EVENT_SWITCH_OUT:
    case EVENT_WAKEUP: /* their stacks: fuzz_sched_record.c */
        require(event->stack.n_kernel_ips <= event->stack.n_ips);
        require(event->stack.n_ips <= LIMIT_STACK_IPS);
        break;
    case EVENT_LOST:
        break;
    default:
        abort();
    }
}

static void check_batch(struct event_batch *batch)
{
    for (size_t i = 0; i < event_batch_count(batch); i++) {
        check_event(event_batch_get(batch, i));
        require(i == 0 ||
                event_batch_get(batch, i - 1)->time_ns <= event_batch_get(batch, i)->time_ns);
    }
    event_batch_clear(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct perf_formats formats = {.of = format_of};
    const struct event_batch_limits limits = {.n_events = 64,
                                              .n_ips = 2 * LIMIT_STACK_IPS,
                                              .n_images = 16,
                                              .text_bytes = 16384,
                                              .stack_bytes = 128 * 1024};
    int32_t running_tids[N_CPUS] = {0};
    struct event_batch *batch;

    if (size == 0 || event_batch_new(&limits, &batch) < 0) {
        return 0;
    }
    struct perf_translator translator = {
        .pid = 1000,
        .is_wide = data[0] & 1,
        .follow_children = data[0] & 2,
        .running_tids = data[0] & 4 ? NULL : running_tids,
        .n_running_tids = data[0] & 4 ? 0 : N_CPUS,
        .counter_slots = {0, 2, 3},
        .n_counters = data[0] & 8 ? 3 : 0,
    };
    for (size_t at = 1; at < size;) {
        struct perf_record record;
        uint16_t record_bytes = 0;
        int r = perf_record_parse(data + at, size - at, &formats, &record);
        require(r == 0 || r == 1 || r == -EBADMSG);
        if (r == 0) {
            if (!event_batch_has_room(batch)) {
                check_batch(batch);
            }
            size_t n_before = event_batch_count(batch);
            int n_added = perf_events_translate(&translator, &record, batch);
            require(n_added >= 0 && event_batch_count(batch) == n_before + (size_t)n_added);
        }
        if (size - at >= 8) {
            memcpy(&record_bytes, data + at + 6, sizeof(record_bytes));
        }
        at += record_bytes >= 8 ? record_bytes : 8;
    }
    check_batch(batch);
    event_batch_free(batch);
    return 0;
}
