/* SPDX-License-Identifier: MIT */
#include "broker_wire/wire.h"

#include "base/bytes.h"

#define NEW (1u << BROKER_PHASE_NEW)
#define GREETED (1u << BROKER_PHASE_GREETED)
#define OPEN (1u << BROKER_PHASE_OPEN)
#define SHORT sizeof(struct broker_short_request)

static const struct broker_rule rules[BROKER_VERB_END] = {
    [BROKER_HELLO] = {"HELLO", SHORT, 0, NEW, BROKER_PHASE_GREETED, UINT32_MAX, false},
    [BROKER_OPEN_SESSION] = {"OPEN_SESSION", SHORT, 1, GREETED, BROKER_PHASE_OPEN, 0, false},
    [BROKER_OPEN_EVENT] = {"OPEN_EVENT", BROKER_REQUEST_MAX_BYTES, 0, OPEN, BROKER_PHASE_NEW, 0,
                           true},
    [BROKER_OPEN_SWITCHES] = {"OPEN_SWITCHES", SHORT, 0, OPEN, BROKER_PHASE_NEW,
                              BROKER_SWITCHES_LOST, true},
    [BROKER_START_SWITCHES] = {"START_SWITCHES", SHORT, 0, OPEN, BROKER_PHASE_NEW,
                               BROKER_FLAG_EXCLUDE_KERNEL, false},
    [BROKER_OPEN_KERNEL_NAMES] = {"OPEN_KERNEL_NAMES", SHORT, 0, OPEN, BROKER_PHASE_NEW, 0, true},
    [BROKER_STATUS] = {"STATUS", SHORT, 0, GREETED | OPEN, BROKER_PHASE_NEW, 0, false},
};

const struct broker_rule *broker_rule_of(uint32_t verb)
{
    return verb < BROKER_VERB_END && rules[verb].name ? &rules[verb] : NULL;
}

static enum broker_refusal check_event(const struct broker_event_request *event)
{
    bool has_samples =
        event->kind == BROKER_KIND_SAMPLES || event->kind == BROKER_KIND_SAMPLES_WITH_SIDE_BAND;
    bool is_anchor = event->kind == BROKER_KIND_ANCHOR;
    uint32_t flags = BROKER_FLAGS_ALL;
    if (event->kind == 0 || event->kind >= BROKER_KIND_END) {
        return BROKER_REFUSED_KIND;
    }
    if (is_anchor) {
        flags = BROKER_FLAG_EXCLUDE_KERNEL;
    } else if (event->kind == BROKER_KIND_SAMPLES) {
        flags &= ~(uint32_t)BROKER_FLAG_WITH_SWITCHES;
    }
    if ((event->flags & ~flags) != 0 || event->zero != 0) {
        return BROKER_REFUSED_FLAGS;
    }
    if (event->tid <= 0 || event->tid > BROKER_TID_MAX || event->cpu > BROKER_CPU_MAX ||
        event->cpu < (is_anchor ? -1 : 0) || event->wakeup_bytes > BROKER_WAKEUP_MAX_BYTES) {
        return BROKER_REFUSED_RANGE;
    }
    if (!has_samples) {
        return event->period_ns || event->stack_bytes ? BROKER_REFUSED_RANGE : BROKER_GRANTED;
    }
    return event->period_ns < BROKER_PERIOD_MIN_NS || event->period_ns > BROKER_PERIOD_MAX_NS ||
                   event->stack_bytes > BROKER_STACK_MAX_BYTES || event->stack_bytes % 8 != 0
               ? BROKER_REFUSED_RANGE
               : BROKER_GRANTED;
}

enum broker_refusal broker_check_request(enum broker_phase phase, const void *data, size_t n_bytes,
                                         size_t n_fds, struct broker_event_request *ret_event)
{
    struct broker_short_request request;
    struct bytes bytes = bytes_of(data, n_bytes), again = bytes;
    bytes_take_into(&bytes, &request, sizeof(request));
    memset(ret_event, 0, sizeof(*ret_event));
    if (bytes_has_failed(&bytes)) {
        return BROKER_REFUSED_LENGTH;
    }
    const struct broker_rule *rule = broker_rule_of(request.verb);
    if (!rule) {
        return BROKER_REFUSED_VERB;
    }
    if (n_bytes != rule->n_bytes) {
        return BROKER_REFUSED_LENGTH;
    }
    if ((rule->phases & 1u << phase) == 0) {
        return BROKER_REFUSED_PHASE;
    }
    if (n_fds != rule->n_fds) {
        return BROKER_REFUSED_DESCRIPTORS;
    }
    if (request.verb == BROKER_OPEN_EVENT) {
        bytes_take_into(&again, ret_event, sizeof(*ret_event));
        return check_event(ret_event);
    }
    ret_event->verb = request.verb;
    ret_event->flags = request.word;
    if (request.verb == BROKER_HELLO && request.word != BROKER_VERSION) {
        return BROKER_REFUSED_VERSION;
    }
    return request.word > rule->last_word ? BROKER_REFUSED_FLAGS : BROKER_GRANTED;
}

const char *broker_refusal_name(enum broker_refusal refusal)
{
#define NAME(code, name) name,
    static const char *const names[BROKER_REFUSAL_N] = {"granted", BROKER_REFUSALS(NAME)};
    return refusal < BROKER_REFUSAL_N ? names[refusal] : "unknown";
}

const char *broker_kind_name(enum broker_kind kind)
{
    static const char *const names[BROKER_KIND_END] = {
        "", "anchor", "side-band", "samples", "samples-with-side-band",
    };
    return kind < BROKER_KIND_END ? names[kind] : "unknown";
}
