/* SPDX-License-Identifier: MIT */
#include "server/ring_watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/ring_triggers.h"
#include "server/run_freeze.h"
#include "server/run_object_namer.h"
#include "server/run_wait.h"
#include "server/server.h"

#define REASON_BYTES 240

struct ring_watch {
    struct server *server;
    struct run *run; /* a reference */
    uint64_t ring_ns;
    struct ring_triggers *triggers;
    struct job look;
    bool is_looking;

    /* The job's while it looks. */
    bool is_last;
    uint64_t frozen_until_ns; /* the end of the newest freeze; 0: there was none */
    struct run *frozen;       /* for the main loop to list */
};

static struct ring_watch *watch_free(struct ring_watch *watch)
{
    if (watch) {
        run_unref(watch->frozen);
        run_unref(watch->run);
        ring_triggers_free(watch->triggers);
        free(watch);
    }
    return NULL;
}

/* "thread 4712 (worker) was blocked 312 ms (lock)" */
static void describe(const struct ring_hit *hit, char reason[static REASON_BYTES])
{
    char more[48] = "";
    double ms = (double)hit->length_ns / NS_PER_MS;
    if (hit->n_waits > 1) {
        (void)snprintf(more, sizeof(more), ", and %zu more", hit->n_waits - 1);
    }
    (void)snprintf(reason, REASON_BYTES, "thread %" PRId64 " (%s) %s %.*f ms%s (%s)%s", hit->tid,
                   hit->name,
                   hit->is_for_cpu ? "waited"
                   : hit->is_open  ? "is blocked"
                                   : "was blocked",
                   ms < 10 ? 1 : 0, ms, hit->is_open && !hit->is_for_cpu ? " so far" : "",
                   hit->is_for_cpu ? "for a CPU" : wait_reason_name(hit->reason), more);
}

static void freeze(struct ring_watch *watch, struct snapshot *snapshot, const struct ring_hit *hit)
{
    char reason[REASON_BYTES];
    struct error error = {0};
    describe(hit, reason);
    const struct run_part part = {
        .from_ns = hit->first_start_ns > watch->ring_ns ? hit->first_start_ns - watch->ring_ns : 0,
        .to_ns = snapshot->now_ns,
        .reason = reason,
    };
    int r = run_freeze(watch->run, snapshot, &part, &watch->frozen, &error);
    if (r < 0) {
        if (r != -ENOSPC) { /* that is told at the end, and so often */
            log_warn("run %u: cannot be frozen: %s", run_get_id(watch->run),
                     r == -ENOMEM ? "out of memory" : error.message);
        }
        run_note_not_frozen(watch->run, 0, hit->n_waits);
        return;
    }
    watch->frozen_until_ns = snapshot->now_ns;
}

static struct ring_watch *watch_of(struct job *job)
{
    return (struct ring_watch *)((char *)job - offsetof(struct ring_watch, look));
}

/* In the pool. */
static void take_look(struct job *job)
{
    struct ring_watch *watch = watch_of(job);
    watch->is_last = run_get_phase(watch->run) == RUN_PHASE_STOPPED;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(watch->run);
    if (!snapshot) {
        return;
    }
    struct arena arena;
    arena_init(&arena, 0);
    const struct object_namer objects = run_object_namer(watch->run);
    const struct query_context context = {
        .snapshot = snapshot,
        .names = run_get_names(watch->run),
        .run = run_get_id(watch->run),
        .arena = &arena,
        .objects = &objects,
    };
    /* A wait that began before that is not worth another freeze, unless the last one is long ago.
     */
    uint64_t known_until_ns = watch->frozen_until_ns;
    if (snapshot->now_ns - known_until_ns >= watch->ring_ns) {
        known_until_ns = 0;
    }
    struct ring_hit hit;
    uint64_t n_skipped = 0;
    int r = ring_triggers_look(watch->triggers, &context, known_until_ns, watch->is_last, &hit,
                               &n_skipped);
    if (r == 0 && hit.n_waits > 0) {
        freeze(watch, snapshot, &hit);
    }
    if (n_skipped > 0) {
        run_note_not_frozen(watch->run, n_skipped, 0);
    }
    arena_release(&arena);
}

static void begin_look(struct ring_watch *watch);

/* The next run may have a watch already. */
static void end(struct ring_watch *watch)
{
    struct server *server = watch->server;
    if (server->ring_watch == watch) {
        server->ring_watch = NULL;
        uv_timer_stop(&server->ring_timer);
    }
    watch_free(watch);
    run_wait_check(server);
}

static void after_look(struct job *job, bool is_cancelled)
{
    struct ring_watch *watch = watch_of(job);
    struct server *server = watch->server;
    (void)is_cancelled; /* nobody's job but the server's */
    watch->is_looking = false;
    struct run *frozen = TAKE_PTR(watch->frozen);
    if (frozen) {
        run_registry_add_part(&server->registry, frozen);
        run_note_frozen(watch->run, frozen);
        log_info("run %u: a part of it is run %u", run_get_id(watch->run), run_get_id(frozen));
    }
    if (watch->is_last) {
        end(watch);
    } else if (run_get_phase(watch->run) == RUN_PHASE_STOPPED) {
        begin_look(watch);
    }
}

static void begin_look(struct ring_watch *watch)
{
    enum run_phase phase = run_get_phase(watch->run);
    if (!watch->is_looking && (phase == RUN_PHASE_RECORDING || phase == RUN_PHASE_STOPPED)) {
        watch->is_looking = true;
        watch->look = (struct job){.work = take_look, .done = after_look};
        job_queue_add(&watch->server->jobs, &watch->look);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->ring_watch) {
        begin_look(server->ring_watch);
    }
}

int ring_watch_begin(struct server *server, struct run *run, struct error *reterr_error)
{
    const struct start_request *request = run_get_request(run);
    if (request->n_triggers == 0) {
        return 0;
    }
    struct ring_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->server = server;
    watch->run = run_ref(run);
    watch->ring_ns = request->ring_ns;
    int r =
        ring_triggers_new(request->triggers, request->n_triggers, &watch->triggers, reterr_error);
    if (r < 0) {
        watch_free(watch);
        return r;
    }
    server->ring_watch = watch;
    server->ring_timer.data = server;
    uv_timer_start(&server->ring_timer, on_tick, RING_WATCH_MS, RING_WATCH_MS);
    return 0;
}

void ring_watch_on_change(struct server *server)
{
    struct ring_watch *watch = server->ring_watch;
    if (!watch) {
        return;
    }
    if (run_get_phase(watch->run) == RUN_PHASE_FAILED) {
        end(watch);
    } else if (run_get_phase(watch->run) == RUN_PHASE_STOPPED) {
        begin_look(watch);
    }
}

bool ring_watch_is_at(const struct server *server, const struct run *run)
{
    return server->ring_watch && server->ring_watch->run == run;
}

void ring_watch_release(struct server *server)
{
    server->ring_watch = watch_free(server->ring_watch);
}
