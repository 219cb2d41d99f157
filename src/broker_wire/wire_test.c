/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker_wire/wire.h"

static enum broker_refusal check_short(enum broker_phase phase, uint32_t verb, uint32_t word,
                                       size_t n_fds)
{
    const struct broker_short_request request = {.verb = verb, .word = word};
    struct broker_event_request event;
    return broker_check_request(phase, &request, sizeof(request), n_fds, &event);
}

/* A row per verb and phase: granted there and nowhere else. */
static void each_verb_has_its_phases(void **state)
{
    (void)state;
    static const struct {
        uint32_t verb, word;
        size_t n_fds;
        bool is_granted[3];
    } rows[] = {
        {BROKER_HELLO, BROKER_VERSION, 0, {true, false, false}},
        {BROKER_OPEN_SESSION, 0, 1, {false, true, false}},
        {BROKER_START_SWITCHES, 0, 0, {false, false, true}},
        {BROKER_OPEN_SWITCHES, 0, 0, {false, false, true}},
        {BROKER_OPEN_KERNEL_NAMES, 0, 0, {false, false, true}},
        {BROKER_STATUS, 0, 0, {false, true, true}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int phase = 0; phase < 3; phase++) {
            assert_int_equal(check_short(phase, rows[i].verb, rows[i].word, rows[i].n_fds),
                             rows[i].is_granted[phase] ? BROKER_GRANTED : BROKER_REFUSED_PHASE);
        }
    }
}

static void what_is_not_of_the_set_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum broker_phase phase;
        uint32_t verb, word;
        size_t n_fds;
        enum broker_refusal expected;
    } rows[] = {
        {BROKER_PHASE_NEW, 0, 0, 0, BROKER_REFUSED_VERB},
        {BROKER_PHASE_NEW, BROKER_VERB_END, 0, 0, BROKER_REFUSED_VERB},
        {BROKER_PHASE_NEW, UINT32_MAX, 0, 0, BROKER_REFUSED_VERB},
        {BROKER_PHASE_NEW, BROKER_HELLO, BROKER_VERSION + 1, 0, BROKER_REFUSED_VERSION},
        {BROKER_PHASE_NEW, BROKER_HELLO, BROKER_VERSION, 1, BROKER_REFUSED_DESCRIPTORS},
        {BROKER_PHASE_GREETED, BROKER_OPEN_SESSION, 0, 0, BROKER_REFUSED_DESCRIPTORS},
        {BROKER_PHASE_GREETED, BROKER_OPEN_SESSION, 0, 2, BROKER_REFUSED_DESCRIPTORS},
        {BROKER_PHASE_GREETED, BROKER_OPEN_SESSION, 1, 1, BROKER_REFUSED_FLAGS},
        {BROKER_PHASE_OPEN, BROKER_OPEN_EVENT, 0, 0, BROKER_REFUSED_LENGTH},
        {BROKER_PHASE_OPEN, BROKER_START_SWITCHES, 2, 0, BROKER_REFUSED_FLAGS},
        {BROKER_PHASE_OPEN, BROKER_OPEN_SWITCHES, BROKER_SWITCHES_LOST, 0, BROKER_GRANTED},
        {BROKER_PHASE_OPEN, BROKER_OPEN_SWITCHES, BROKER_SWITCHES_LOST + 1, 0,
         BROKER_REFUSED_FLAGS},
        {BROKER_PHASE_OPEN, BROKER_STATUS, 1, 0, BROKER_REFUSED_FLAGS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(check_short(rows[i].phase, rows[i].verb, rows[i].word, rows[i].n_fds),
                         rows[i].expected);
    }
}

static void the_length_is_the_verbs(void **state)
{
    (void)state;
    const uint32_t words[16] = {BROKER_HELLO, BROKER_VERSION};
    struct broker_event_request event;
    for (size_t n_bytes = 0; n_bytes <= sizeof(words); n_bytes++) {
        assert_int_equal(broker_check_request(BROKER_PHASE_NEW, words, n_bytes, 0, &event),
                         n_bytes == 8 ? BROKER_GRANTED : BROKER_REFUSED_LENGTH);
    }
}

static const struct broker_event_request good = {
    .verb = BROKER_OPEN_EVENT,
    .kind = BROKER_KIND_SAMPLES,
    .tid = 4711,
    .cpu = 3,
    .period_ns = 1000000,
    .stack_bytes = 4096,
    .wakeup_bytes = 131072,
    .flags = BROKER_FLAG_INHERIT_THREADS | BROKER_FLAG_ENABLED,
};

static enum broker_refusal check_event(const struct broker_event_request *request)
{
    struct broker_event_request event;
    enum broker_refusal refusal =
        broker_check_request(BROKER_PHASE_OPEN, request, sizeof(*request), 0, &event);
    if (refusal == BROKER_GRANTED) {
        assert_memory_equal(&event, request, sizeof(event));
    }
    return refusal;
}

#define ASSERT_EVENT(expected, ...)                                                                \
    do {                                                                                           \
        struct broker_event_request event_ = good;                                                 \
        __VA_ARGS__;                                                                               \
        assert_int_equal(check_event(&event_), expected);                                          \
    } while (0)

static void events_have_bounds(void **state)
{
    (void)state;
    ASSERT_EVENT(BROKER_GRANTED, (void)0);
    ASSERT_EVENT(BROKER_REFUSED_KIND, event_.kind = 0);
    ASSERT_EVENT(BROKER_REFUSED_KIND, event_.kind = BROKER_KIND_END);
    ASSERT_EVENT(BROKER_REFUSED_FLAGS, event_.flags = BROKER_FLAGS_ALL + 1);
    ASSERT_EVENT(BROKER_REFUSED_FLAGS, event_.flags = BROKER_FLAG_WITH_SWITCHES);
    ASSERT_EVENT(BROKER_REFUSED_FLAGS, event_.zero = 1);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.tid = 0);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.tid = -1);
    ASSERT_EVENT(BROKER_GRANTED, event_.tid = BROKER_TID_MAX);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.tid = BROKER_TID_MAX + 1);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.cpu = -1);
    ASSERT_EVENT(BROKER_GRANTED, event_.cpu = BROKER_CPU_MAX);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.cpu = BROKER_CPU_MAX + 1);
    ASSERT_EVENT(BROKER_GRANTED, event_.period_ns = BROKER_PERIOD_MIN_NS);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.period_ns = BROKER_PERIOD_MIN_NS - 1);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.period_ns = BROKER_PERIOD_MAX_NS + 1);
    ASSERT_EVENT(BROKER_GRANTED, event_.stack_bytes = BROKER_STACK_MAX_BYTES);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.stack_bytes = BROKER_STACK_MAX_BYTES + 8);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.stack_bytes = 4);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.wakeup_bytes = BROKER_WAKEUP_MAX_BYTES + 1);
    /* Without samples there is nothing to take or to copy. */
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.kind = BROKER_KIND_SIDE_BAND);
    ASSERT_EVENT(BROKER_GRANTED, event_.kind = BROKER_KIND_SIDE_BAND; event_.period_ns = 0;
                 event_.stack_bytes = 0);
    ASSERT_EVENT(BROKER_GRANTED, event_.kind = BROKER_KIND_SAMPLES_WITH_SIDE_BAND;
                 event_.flags = BROKER_FLAGS_ALL);
    ASSERT_EVENT(BROKER_REFUSED_FLAGS, event_.kind = BROKER_KIND_ANCHOR);
    ASSERT_EVENT(BROKER_GRANTED, event_.kind = BROKER_KIND_ANCHOR; event_.period_ns = 0;
                 event_.stack_bytes = 0; event_.flags = 0; event_.cpu = -1);
    ASSERT_EVENT(BROKER_REFUSED_RANGE, event_.kind = BROKER_KIND_ANCHOR; event_.period_ns = 0;
                 event_.stack_bytes = 0; event_.flags = 0; event_.cpu = -2);
}

static void everything_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < BROKER_REFUSAL_N; i++) {
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(broker_refusal_name(i), broker_refusal_name(k));
        }
    }
    assert_string_equal(broker_refusal_name(BROKER_REFUSED_NOT_DUMPABLE), "not-dumpable");
    assert_string_equal(broker_refusal_name(BROKER_REFUSAL_N), "unknown");
    assert_string_equal(broker_kind_name(BROKER_KIND_SAMPLES), "samples");
    assert_string_equal(broker_kind_name(BROKER_KIND_END), "unknown");
    for (uint32_t verb = 1; verb < BROKER_VERB_END; verb++) {
        assert_non_null(broker_rule_of(verb));
    }
    assert_null(broker_rule_of(0));
    assert_null(broker_rule_of(BROKER_VERB_END));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verb_has_its_phases),
        cmocka_unit_test(what_is_not_of_the_set_is_refused),
        cmocka_unit_test(the_length_is_the_verbs),
        cmocka_unit_test(events_have_bounds),
        cmocka_unit_test(everything_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
