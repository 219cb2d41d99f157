/* SPDX-License-Identifier: MIT */

/*
 * fuzz_sched_record - what programs write into rings of their own, decoded
 *
 * Records, each with its length (two bytes) before it. Whatever comes out must
 * be what the rooms above rely on: bounded stacks that lie in the batch, times
 * in order, and no event of a kind that a switch cannot be.
 */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/perf_events.h"
#include "decode/perf_record.h"

#define N_CPUS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Reads every byte that the stack leads to. */
static void check_stack(const struct event_stack *stack)
{
    uint64_t sum = 0;
    require(stack->n_ips <= LIMIT_STACK_IPS && stack->n_kernel_ips <= stack->n_ips);
    require(stack->source <= EVENT_STACK_WALKED && stack->end < EVENT_STACK_END_N);
    for (uint32_t i = 0; i < stack->n_ips; i++) {
        sum += stack->ips[i] & 1;
    }
    require(sum <= stack->n_ips);
    const struct event_stack_copy *copy = stack->copy;
    if (copy) {
        require(copy->n_bytes <= LIMIT_STACK_COPY_BYTES);
        require(copy->is_innermost || stack->source == EVENT_STACK_WALKED);
        for (uint32_t i = 0; i < copy->n_bytes; i++) {
            sum += copy->bytes[i];
        }
        require(sum <= stack->n_ips + 255u * (uint64_t)copy->n_bytes);
    }
}

static void check_batch(struct event_batch *batch)
{
    for (size_t i = 0; i < event_batch_count(batch); i++) {
        const struct event *event = event_batch_get(batch, i);
        require(event->kind == EVENT_SWITCH_IN || event->kind == EVENT_SWITCH_OUT ||
                event->kind == EVENT_WAKEUP);
        require(event->kind != EVENT_WAKEUP || !event->wakeup.waker_name);
        require(i == 0 || event_batch_get(batch, i - 1)->time_ns <= event->time_ns);
        check_stack(&event->stack);
    }
    event_batch_clear(batch);
}

/* A refused record leaves the caller's as it was. */
static int parse(const uint8_t *data, size_t n_bytes, uint32_t cpu, struct perf_record *record)
{
    const uint8_t *bytes = (const uint8_t *)record;
    memset(record, 0x5a, sizeof(*record));
    int r = perf_record_parse_sched(data, n_bytes, cpu, record);
    require(r == 0 || r == -EBADMSG);
    for (size_t i = 0; r != 0 && i < sizeof(*record); i++) {
        require(bytes[i] == 0x5a);
    }
    require(r != 0 || (record->format == PERF_FORMAT_SCHED && record->cpu == cpu));
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct event_batch_limits limits = {
        .n_events = 64, .n_ips = 2 * LIMIT_STACK_IPS, .stack_bytes = 128 * 1024};
    int32_t running_tids[N_CPUS] = {0};
    struct event_batch *batch;
    if (event_batch_new(&limits, &batch) < 0) {
        return 0;
    }
    struct perf_translator translator = {
        .pid = 1000,
        .is_wide = true,
        .running_tids = running_tids,
        .n_running_tids = N_CPUS,
    };
    for (size_t at = 0; size - at >= 2;) {
        struct perf_record record;
        size_t n_bytes = data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        n_bytes = n_bytes < size - at ? n_bytes : size - at;
        if (parse(data + at, n_bytes, (uint32_t)at % (N_CPUS + 1), &record) == 0) {
            if (!event_batch_has_room(batch)) {
                check_batch(batch);
            }
            size_t n_before = event_batch_count(batch);
            int n_added = perf_events_translate(&translator, &record, batch);
            require(n_added >= 0 && n_added <= 2);
            require(event_batch_count(batch) == n_before + (size_t)n_added);
        }
        at += n_bytes;
    }
    check_batch(batch);
    event_batch_free(batch);
    return 0;
}
