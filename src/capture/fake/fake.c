/* SPDX-License-Identifier: MIT */
/*
 * fake - a backend that plays a script instead of watching a process
 *
 * The server can be measured and tested with any number of samples, threads
 * and stacks. The clock of the stream runs at the script's speed, so a stream
 * of an hour can be played in a second; its first instant is the real now.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "capture/capture.h"
#include "capture/fake/fake_script.h"
#include "capture/fake/fake_stream.h"

#define BATCH_EVENTS 512u
/* Paced samples come in small bunches, as a kernel ring hands them over. */
#define PACE_NS NS_PER_MS
/* One call of drain() plays at most this long, so that a stop is noticed. */
#define DRAIN_MAX_NS (5 * NS_PER_MS)

struct capture {
    struct fake_script script;
    struct event_sink sink;
    struct fake_stream *stream;
    uint64_t started_at_ns;
    struct event events[BATCH_EVENTS];
    atomic_uint_fast64_t n_delivered, n_rounds, cpu_ns;
};

static struct capture *fake_free(struct capture *capture)
{
    if (capture) {
        fake_stream_free(capture->stream);
        free(capture);
    }
    return NULL;
}

static void fake_freep(struct capture **capture)
{
    *capture = fake_free(*capture);
}

static void fake_probe(struct capability_set *ret_abilities)
{
    *ret_abilities = (struct capability_set){.backend = "replay of a synthetic stream"};
    ret_abilities->items[CAPABILITY_ON_CPU].is_available = true;
    ret_abilities->items[CAPABILITY_OFF_CPU].is_available = true;
    for (int kind = 0; kind < CAPABILITY_KIND_N; kind++) {
        struct capability *item = &ret_abilities->items[kind];
        if (!item->is_available) {
            snprintf(item->reason, sizeof(item->reason), "a replay has none");
        }
    }
}

static int fake_open(const struct capture_config *config, struct event_sink sink,
                     struct capture **ret_capture, struct error *reterr_error)
{
    _cleanup_(fake_freep) struct capture *capture = calloc(1, sizeof(*capture));
    if (!capture) {
        error_set_errno(reterr_error, -ENOMEM, "starting a replay");
        return -ENOMEM;
    }
    int r = fake_script_parse(config->script, &capture->script, reterr_error);
    if (r < 0) {
        return r;
    }
    capture->sink = sink;
    *ret_capture = TAKE_PTR(capture);
    return 0;
}

static int fake_start(struct capture *capture)
{
    capture->started_at_ns = clock_now_ns();
    return fake_stream_new(&capture->script, capture->started_at_ns, &capture->stream);
}

static int deliver(struct capture *capture, size_t n_events)
{
    int r = capture->sink.on_events(capture->sink.userdata, capture->events, n_events);
    atomic_fetch_add_explicit(&capture->n_delivered, n_events, memory_order_relaxed);
    return r;
}

/* How many samples the script wants to have played by now. */
static uint64_t samples_due(const struct capture *capture, uint64_t now_ns)
{
    if (capture->script.rate == 0) {
        return capture->script.samples;
    }
    unsigned __int128 due = (unsigned __int128)(now_ns - capture->started_at_ns);
    due = due * capture->script.rate / NS_PER_S;
    return due < capture->script.samples ? (uint64_t)due : capture->script.samples;
}

static void sleep_until(uint64_t time_ns)
{
    struct timespec until = {.tv_sec = (time_t)(time_ns / NS_PER_S),
                             .tv_nsec = (long)(time_ns % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

/* How many samples there are when the next bunch of a paced stream is complete. */
static uint64_t next_bunch(const struct capture *capture)
{
    uint64_t bunch = capture->script.rate * PACE_NS / NS_PER_S;
    uint64_t until = fake_stream_samples(capture->stream) + (bunch > 0 ? bunch : 1);
    return until < capture->script.samples ? until : capture->script.samples;
}

/* When to look for due samples again, at most timeout_ms from now. */
static uint64_t next_due_ns(const struct capture *capture, uint64_t now_ns, int timeout_ms)
{
    uint64_t latest_ns = now_ns + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
    if (capture->script.rate == 0 || fake_stream_is_played(capture->stream)) {
        return latest_ns;
    }
    unsigned __int128 until = next_bunch(capture);
    uint64_t due_ns =
        capture->started_at_ns + (uint64_t)(until * NS_PER_S / capture->script.rate) + 1;
    return due_ns < latest_ns ? due_ns : latest_ns;
}

static int play(struct capture *capture)
{
    uint64_t began_ns = clock_now_ns();
    uint64_t last_sample = samples_due(capture, began_ns);
    do {
        uint64_t due = last_sample - fake_stream_samples(capture->stream);
        size_t n_events = fake_stream_next(capture->stream, capture->events, BATCH_EVENTS, due);
        if (n_events == 0) {
            return 0;
        }
        int r = deliver(capture, n_events);
        if (r < 0) {
            return r;
        }
    } while (clock_now_ns() - began_ns < DRAIN_MAX_NS);
    return 0;
}

static int finish(struct capture *capture)
{
    size_t n_events;
    while ((n_events = fake_stream_finish(capture->stream, capture->events, BATCH_EVENTS)) > 0) {
        int r = deliver(capture, n_events);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int fake_drain(struct capture *capture, int timeout_ms, enum capture_state *ret_state)
{
    uint64_t now_ns = clock_now_ns();
    bool is_played = fake_stream_is_played(capture->stream);
    if (is_played ? capture->script.hold : samples_due(capture, now_ns) < next_bunch(capture)) {
        sleep_until(next_due_ns(capture, now_ns, timeout_ms));
    }
    int r = play(capture);
    if (r < 0) {
        return r;
    }
    *ret_state = CAPTURE_RUNNING;
    if (fake_stream_is_played(capture->stream) && !capture->script.hold) {
        r = finish(capture);
        *ret_state = CAPTURE_TARGET_GONE;
    }
    atomic_fetch_add_explicit(&capture->n_rounds, 1, memory_order_relaxed);
    atomic_store_explicit(&capture->cpu_ns, clock_read_ns(CLOCK_THREAD_CPUTIME_ID),
                          memory_order_relaxed);
    return r;
}

static int fake_stop(struct capture *capture)
{
    (void)capture; /* Whatever was due has been delivered by drain(). */
    return 0;
}

static void fake_stats(const struct capture *capture, struct capture_stats *ret_stats)
{
    uint64_t n_delivered = atomic_load_explicit(&capture->n_delivered, memory_order_relaxed);
    *ret_stats = (struct capture_stats){
        .records_read = n_delivered,
        .events_delivered = n_delivered,
        .drain_rounds = atomic_load_explicit(&capture->n_rounds, memory_order_relaxed),
        .drain_cpu_ns = atomic_load_explicit(&capture->cpu_ns, memory_order_relaxed),
    };
}

static size_t fake_notes(const struct capture *capture, char (*ret_notes)[400], size_t max_notes)
{
    (void)capture;
    if (max_notes == 0) {
        return 0;
    }
    snprintf(ret_notes[0], sizeof(ret_notes[0]), "a replay: no process was recorded");
    return 1;
}

static const char *fake_describe(const struct capture *capture)
{
    (void)capture;
    return "replay of a synthetic stream";
}

const struct capture_ops capture_fake_ops = {
    .name = "fake",
    .probe = fake_probe,
    .open = fake_open,
    .start = fake_start,
    .drain = fake_drain,
    .stop = fake_stop,
    .stats = fake_stats,
    .notes = fake_notes,
    .describe = fake_describe,
    .free = fake_free,
};
