/* SPDX-License-Identifier: MIT */
#include "server/run_wait.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "model/requests.h"
#include "model/results/run.h"
#include "query/query_names.h"
#include "server/ring_watch.h"
#include "server/server.h"

#define SYMBOL_SEARCH_INTERVAL_NS (100 * NS_PER_MS)

struct wait {
    struct wait *next;
    struct server *server;
    struct call *call;
    const struct wait_request *request; /* in the call's arena */
    uint64_t since_ns;
    uint64_t searched_at_ns;
    bool is_searching;    /* the pool is at it */
    bool has_found;       /* until_symbol */
    bool has_looked_last; /* once more after the run stopped */
    struct job search;
};

static int describe(struct call *call)
{
    struct wait_result *result = call->result;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(call->run);
    return run_describe(call->run, snapshot, &call->arena, &result->run);
}

static void settle(struct wait *wait, enum wait_outcome outcome)
{
    struct wait_result *result = wait->call->result;
    result->outcome = outcome;
    call_work(TAKE_PTR(wait->call), describe);
    free(wait);
}

static struct wait *wait_of(struct job *job)
{
    return (struct wait *)((char *)job - offsetof(struct wait, search));
}

/* In the pool: does any function that was sampled have this in its name? */
static void search_names(struct job *job)
{
    struct wait *wait = wait_of(job);
    struct run *run = wait->call->run;
    const char *needle = wait->request->until_symbol;
    _cleanup_(snapshot_unrefp) struct snapshot *snapshot = run_take_snapshot(run);
    for (frame_id frame = 0; snapshot && frame < snapshot->n_frames && !wait->has_found; frame++) {
        struct name_chain chain;
        query_names_find_chain(run_get_names(run), snapshot, frame, &chain);
        for (uint32_t i = 0; i < chain.n_entries && !wait->has_found; i++) {
            wait->has_found = strstr(chain.entries[i].symbol->name, needle) != NULL;
        }
    }
}

static void after_search(struct job *job, bool is_cancelled)
{
    struct wait *wait = wait_of(job);
    (void)is_cancelled; /* then the connection is closed, and the check ends the wait */
    wait->is_searching = false;
    wait->searched_at_ns = clock_now_ns();
    run_wait_check(wait->server);
}

static void begin_search(struct wait *wait)
{
    wait->is_searching = true;
    wait->search.owner = wait->call->connection;
    wait->search.work = search_names;
    wait->search.done = after_search;
    job_queue_add(&wait->server->jobs, &wait->search);
}

static bool is_met(const struct wait *wait, uint64_t now_ns)
{
    const struct wait_request *request = wait->request;
    if (request->for_samples > 0) {
        return run_get_samples(wait->call->run) >= request->for_samples;
    }
    if (request->for_ns > 0) {
        return now_ns - wait->since_ns >= request->for_ns;
    }
    return wait->has_found;
}

/* Looks at one wait; true when it is settled and gone. */
static bool check(struct wait *wait, uint64_t now_ns)
{
    const struct wait_request *request = wait->request;
    if (wait->is_searching) {
        return false;
    }
    if (!connection_is_open(wait->call->connection)) {
        call_fail(TAKE_PTR(wait->call), "timed_out", "nobody waits any more");
        free(wait);
        return true;
    }
    /* A flight recorder is looked at once more, so that whoever waits meets all that is frozen. */
    bool is_stopped = run_get_phase(wait->call->run) == RUN_PHASE_STOPPED &&
                      !ring_watch_is_at(wait->server, wait->call->run);
    if (is_met(wait, now_ns)) {
        settle(wait, WAIT_OUTCOME_MET);
        return true;
    }
    bool may_search = request->until_symbol && !wait->has_looked_last;
    if (is_stopped && !may_search) {
        settle(wait, WAIT_OUTCOME_STOPPED);
        return true;
    }
    if (request->has_timeout && now_ns - wait->since_ns >= request->timeout_ns) {
        settle(wait, WAIT_OUTCOME_TIMED_OUT);
        return true;
    }
    if (may_search && (is_stopped || wait->searched_at_ns == 0 ||
                       now_ns - wait->searched_at_ns >= SYMBOL_SEARCH_INTERVAL_NS)) {
        wait->has_looked_last = is_stopped;
        begin_search(wait);
    }
    return false;
}

static void on_tick(uv_timer_t *timer)
{
    run_wait_check(timer->data);
}

void run_wait_check(struct server *server)
{
    uint64_t now_ns = clock_now_ns();
    struct wait **link = &server->waits;
    while (*link) {
        struct wait *wait = *link;
        struct wait *next = wait->next;
        if (check(wait, now_ns)) {
            *link = next;
        } else {
            link = &wait->next;
        }
    }
    if (!server->waits) {
        uv_timer_stop(&server->wait_timer);
    }
}

static size_t count_waits(const struct server *server, const struct connection *connection)
{
    size_t n_waits = 0;
    for (const struct wait *wait = server->waits; wait; wait = wait->next) {
        n_waits += wait->call->connection == connection;
    }
    return n_waits;
}

void run_wait_add(struct call *call)
{
    struct server *server = call->server;
    if (count_waits(server, call->connection) >= SERVER_MAX_WAITS) {
        call_fail(call, "limit", "%u requests of this connection wait already", SERVER_MAX_WAITS);
        return;
    }
    struct wait *wait = calloc(1, sizeof(*wait));
    if (!wait) {
        call_fail(call, "limit", "out of memory");
        return;
    }
    wait->server = server;
    wait->call = call;
    wait->request = call->params;
    wait->since_ns = clock_now_ns();
    wait->next = server->waits;
    server->waits = wait;
    if (!uv_is_active((uv_handle_t *)&server->wait_timer)) {
        server->wait_timer.data = server;
        uv_timer_start(&server->wait_timer, on_tick, 0, RUN_WAIT_TICK_MS);
    }
}
