/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/clock.h"
#include "capture/capture.h"

static const struct capture_ops *const ops = &capture_fake_ops;

struct sink_state {
    uint64_t n_events, n_samples;
    int answer;
};

static int on_events(void *userdata, const struct event *events, size_t n_events)
{
    struct sink_state *sink = userdata;
    for (size_t i = 0; i < n_events; i++) {
        sink->n_samples += events[i].kind == EVENT_SAMPLE;
    }
    sink->n_events += n_events;
    return sink->answer;
}

static struct capture *open_script(const char *script, struct sink_state *state)
{
    struct capture_config config = {.pidfd = -1, .script = script};
    struct event_sink sink = {.userdata = state, .on_events = on_events};
    struct capture *capture = NULL;
    assert_int_equal(ops->open(&config, sink, &capture, NULL), 0);
    assert_int_equal(ops->start(capture), 0);
    return capture;
}

static void test_plays_to_the_end(void **state)
{
    (void)state;
    struct sink_state sink = {0};
    struct capture *capture = open_script("samples=50000", &sink);
    enum capture_state now = CAPTURE_RUNNING;
    while (now == CAPTURE_RUNNING) {
        assert_int_equal(ops->drain(capture, 20, &now), 0);
    }
    assert_int_equal(ops->stop(capture), 0);
    assert_int_equal(sink.n_samples, 50000);
    struct capture_stats stats;
    ops->stats(capture, &stats);
    assert_int_equal(stats.events_delivered, sink.n_events);
    char notes[2][400];
    assert_int_equal(ops->notes(capture, notes, 2), 1);
    assert_null(ops->free(capture));
}

static void test_rate_and_hold(void **state)
{
    (void)state;
    struct sink_state sink = {0};
    struct capture *capture = open_script("samples=50,rate=1000,hold=1", &sink);
    uint64_t began_ns = clock_now_ns();
    enum capture_state now;
    while (sink.n_samples < 50) {
        assert_int_equal(ops->drain(capture, 20, &now), 0);
        assert_int_equal(now, CAPTURE_RUNNING);
    }
    assert_true(clock_now_ns() - began_ns >= 45 * NS_PER_MS);
    /* Nothing is left to do: it waits, and stays alive. */
    began_ns = clock_now_ns();
    assert_int_equal(ops->drain(capture, 20, &now), 0);
    assert_int_equal(now, CAPTURE_RUNNING);
    assert_true(clock_now_ns() - began_ns >= 19 * NS_PER_MS);
    ops->free(capture);
}

static void test_errors(void **state)
{
    (void)state;
    struct sink_state sink = {.answer = -ECANCELED};
    struct capture_config config = {.pidfd = -1, .script = "nonsense=1"};
    struct event_sink to = {.userdata = &sink, .on_events = on_events};
    struct capture *capture = NULL;
    struct error error = {0};
    assert_int_equal(ops->open(&config, to, &capture, &error), -EINVAL);
    assert_string_equal(error.code, "invalid_params");
    assert_null(capture);

    capture = open_script("samples=5000", &sink);
    enum capture_state now;
    assert_int_equal(ops->drain(capture, 20, &now), -ECANCELED);
    ops->free(capture);
    assert_null(ops->free(NULL));
}

static void test_probe(void **state)
{
    (void)state;
    struct capability_set abilities;
    ops->probe(&abilities);
    assert_true(abilities.items[CAPABILITY_ON_CPU].is_available);
    assert_false(abilities.items[CAPABILITY_COUNTERS].is_available);
    assert_true(abilities.items[CAPABILITY_COUNTERS].reason[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plays_to_the_end),
        cmocka_unit_test(test_rate_and_hold),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
