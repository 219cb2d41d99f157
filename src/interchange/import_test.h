/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * import_test - what a test sees of an imported file
 *
 * Owner, Threads: a test's own.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash_table.h"
#include "capture/capture.h"
#include "interchange/import.h"

struct seen {
    uint64_t n_events, n_samples, periods_ns, n_out, n_in, n_threads, n_images, n_wakeups, n_lost;
    uint64_t n_kernel_ips, n_ips, n_copies;
    uint64_t first_ns, latest_ns;
    int64_t latest_tid;
    uint64_t out_ips; /* of stacks of waits */
    char names[400], paths[800];
    char notes[12][400];
    size_t n_notes;
};

static inline void see_text(char *list, size_t list_bytes, const char *text)
{
    size_t used = strlen(list);
    if (text && used + strlen(text) + 2 < list_bytes) {
        snprintf(list + used, list_bytes - used, "%s;", text);
    }
}

static inline void see_event(struct seen *seen, const struct event *event)
{
    assert_true(event->time_ns >= seen->latest_ns);
    seen->first_ns = seen->n_events == 0 ? event->time_ns : seen->first_ns;
    seen->latest_ns = event->time_ns;
    seen->n_events++;
    switch (event->kind) {
    case EVENT_SAMPLE:
        seen->n_samples++;
        seen->periods_ns += event->sample.period_ns;
        seen->n_ips += event->stack.n_ips;
        seen->n_kernel_ips += event->stack.n_kernel_ips;
        seen->n_copies += event->stack.copy != NULL;
        seen->latest_tid = event->tid;
        break;
    case EVENT_SWITCH_OUT:
        seen->n_out++;
        seen->out_ips += event->stack.n_ips;
        break;
    case EVENT_SWITCH_IN:
        seen->n_in++;
        break;
    case EVENT_WAKEUP:
        seen->n_wakeups++;
        break;
    case EVENT_THREAD:
        seen->n_threads++;
        see_text(seen->names, sizeof(seen->names), event->thread.name);
        break;
    case EVENT_IMAGE:
        seen->n_images++;
        see_text(seen->paths, sizeof(seen->paths), event->image->path);
        break;
    case EVENT_LOST:
        seen->n_lost += event->lost.count;
        break;
    default:
        break;
    }
}

static inline int see_events(void *userdata, const struct event *events, size_t n_events)
{
    for (size_t i = 0; i < n_events; i++) {
        see_event(userdata, &events[i]);
    }
    return 0;
}

/* Plays the whole file. */
static inline void see_file(const char *path, struct seen *seen)
{
    const struct capture_ops *ops = &capture_import_ops;
    const struct capture_config config = {.pidfd = -1, .script = path};
    const struct event_sink sink = {.userdata = seen, .on_events = see_events};
    struct capture *capture = NULL;
    enum capture_state state = CAPTURE_RUNNING;
    memset(seen, 0, sizeof(*seen));
    assert_int_equal(ops->open(&config, sink, &capture, NULL), 0);
    assert_int_equal(ops->start(capture), 0);
    while (state == CAPTURE_RUNNING) {
        assert_int_equal(ops->drain(capture, 20, &state), 0);
    }
    assert_int_equal(ops->stop(capture), 0);
    struct capture_stats stats;
    ops->stats(capture, &stats);
    assert_int_equal(stats.events_delivered, seen->n_events);
    seen->n_notes = ops->notes(capture, seen->notes, 12);
    assert_non_null(ops->describe(capture));
    assert_null(ops->free(capture));
}

static inline bool has_note(const struct seen *seen, const char *part)
{
    for (size_t i = 0; i < seen->n_notes; i++) {
        if (strstr(seen->notes[i], part)) {
            return true;
        }
    }
    return false;
}

/* A file of these bytes; path ends in XXXXXX. */
static inline void write_bytes(char *path, const void *bytes, size_t n_bytes)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n_bytes), n_bytes);
    close(fd);
}
