/* SPDX-License-Identifier: MIT */

/*
 * fuzz_broker_wire - a connection's messages through the rules, as staxd does it
 *
 * The input is a list of messages: a byte for how many descriptors come with
 * one (low bits) and whether it is a long one, a byte for its length, then its
 * bytes. What passes must be within every bound that the header names.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker_wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_event(const struct broker_event_request *event)
{
    bool has_samples =
        event->kind == BROKER_KIND_SAMPLES || event->kind == BROKER_KIND_SAMPLES_WITH_SIDE_BAND;
    require(event->kind > 0 && event->kind < BROKER_KIND_END);
    require(strcmp(broker_kind_name((enum broker_kind)event->kind), "unknown") != 0);
    require(event->tid > 0 && event->tid <= BROKER_TID_MAX);
    require(event->cpu >= -1 && event->cpu <= BROKER_CPU_MAX);
    require(event->cpu >= 0 || event->kind == BROKER_KIND_ANCHOR);
    require((event->flags & ~(uint32_t)BROKER_FLAGS_ALL) == 0 && event->zero == 0);
    require(event->stack_bytes <= BROKER_STACK_MAX_BYTES && event->stack_bytes % 8 == 0);
    require(event->wakeup_bytes <= BROKER_WAKEUP_MAX_BYTES);
    require(has_samples ? event->period_ns >= BROKER_PERIOD_MIN_NS &&
                              event->period_ns <= BROKER_PERIOD_MAX_NS
                        : event->period_ns == 0 && event->stack_bytes == 0);
}

/* Returns false where the connection ends. */
static bool take(enum broker_phase *inout_phase, const uint8_t *message, size_t n_bytes,
                 size_t n_fds)
{
    struct broker_event_request request;
    enum broker_refusal refusal =
        broker_check_request(*inout_phase, message, n_bytes, n_fds, &request);
    require(refusal < BROKER_REFUSAL_N);
    require(strcmp(broker_refusal_name(refusal), "unknown") != 0);
    if (refusal != BROKER_GRANTED) {
        return false;
    }
    const struct broker_rule *rule = broker_rule_of(request.verb);
    require(rule && rule->n_bytes == n_bytes && rule->n_fds == n_fds);
    require((rule->phases >> *inout_phase & 1) != 0);
    if (request.verb == BROKER_OPEN_EVENT) {
        check_event(&request);
    } else {
        require(request.flags <= rule->last_word && request.kind == 0 && request.tid == 0);
    }
    require(request.verb < BROKER_OPEN_EVENT || *inout_phase != BROKER_PHASE_NEW);
    *inout_phase = rule->next_phase > *inout_phase ? rule->next_phase : *inout_phase;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum broker_phase phase = BROKER_PHASE_NEW;
    while (size >= 2) {
        size_t n_fds = data[0] & 3, n_bytes = data[1];
        data += 2;
        size -= 2;
        n_bytes = n_bytes < size ? n_bytes : size;
        if (!take(&phase, data, n_bytes, n_fds)) {
            break;
        }
        data += n_bytes;
        size -= n_bytes;
    }
    return 0;
}
