/* SPDX-License-Identifier: MIT */
/*
 * Each subscription is a small cycle: timer → compute in the pool → compare →
 * send → timer. While nothing changes the timer slows down, so that a page
 * left open on a stopped run costs nothing; a run that begins or ends brings
 * all back to their own pace.
 */
#include "server/subscription.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash_table.h"
#include "jsonrpc/json_read.h"
#include "model/limits.h"
#include "rpc/message.h"
#include "rpc/service.h"
#include "server/call.h"
#include "server/method_table.h"
#include "server/server.h"

#define SLOWEST_INTERVAL_MS 2000u

struct subscription_cycle {
    struct subscription_set *set; /* NULL: ended, only the pool or the loop still know it */
    struct subscription_cycle *next;
    struct server *server;
    uint64_t number;
    uint64_t n_sent;
    const struct rpc_method *method;
    const struct method_entry *entry;
    struct arena arena; /* of params */
    const void *params;
    uint64_t interval_ms, slowed_ms;
    uint64_t began_at_ms; /* the computation that runs or ran last */
    uint64_t digest;      /* of the last result sent */
    size_t digest_bytes;
    bool is_computing;
    bool is_held_back; /* due, but the client has not taken the last one */
    bool is_closed;    /* the timer's handle */
    uv_timer_t timer;
};

struct subscription_set {
    struct server *server;
    struct connection *connection; /* borrowed: the connection frees its set */
    struct subscription_cycle *cycles;
    size_t n_cycles;
    uint64_t newest;
};

static void compute(struct subscription_cycle *cycle);

static void free_if_unused(struct subscription_cycle *cycle)
{
    if (!cycle->set && cycle->is_closed && !cycle->is_computing) {
        arena_release(&cycle->arena);
        free(cycle);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct subscription_cycle *cycle = handle->data;
    cycle->is_closed = true;
    free_if_unused(cycle);
}

static void on_timer(uv_timer_t *timer)
{
    compute(timer->data);
}

/* Next time, counted from when the last computation began. */
static void schedule(struct subscription_cycle *cycle)
{
    uint64_t now_ms = uv_now(&cycle->server->loop);
    uint64_t due_ms = cycle->began_at_ms + cycle->slowed_ms;
    uv_timer_start(&cycle->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void send_if_changed(struct subscription_cycle *cycle, const struct text *result)
{
    uint64_t digest = hash_bytes(result->data, result->length_bytes);
    if (digest == cycle->digest && result->length_bytes == cycle->digest_bytes) {
        uint64_t slower_ms = cycle->slowed_ms * 2;
        uint64_t slowest_ms =
            cycle->interval_ms > SLOWEST_INTERVAL_MS ? cycle->interval_ms : SLOWEST_INTERVAL_MS;
        cycle->slowed_ms = slower_ms < slowest_ms ? slower_ms : slowest_ms;
        return;
    }
    struct text document;
    text_init(&document, CALL_ANSWER_BYTES);
    message_update_json(&document, cycle->number, cycle->n_sent + 1, result->data,
                        result->length_bytes);
    if (!document.is_cut) {
        cycle->digest = digest;
        cycle->digest_bytes = result->length_bytes;
        cycle->n_sent++;
        connection_send(cycle->set->connection, &document);
    }
    text_release(&document);
    cycle->slowed_ms = cycle->interval_ms;
}

static void on_settled(struct call *call)
{
    struct subscription_cycle *cycle = call->userdata;
    cycle->is_computing = false;
    if (!cycle->set) {
        call_free(call);
        free_if_unused(cycle);
        return;
    }
    /* No run yet, or one that is gone: there is nothing to tell until there is. */
    if (!call->has_failed) {
        send_if_changed(cycle, &call->answer);
    }
    call_free(call);
    schedule(cycle);
}

static void compute(struct subscription_cycle *cycle)
{
    struct call *call = NULL;
    if (connection_queued_bytes(cycle->set->connection) > 0) {
        cycle->is_held_back = true;
        return;
    }
    cycle->is_held_back = false;
    cycle->began_at_ms = uv_now(&cycle->server->loop);
    if (call_new(cycle->server, cycle->set->connection, cycle->method, &call) < 0) {
        schedule(cycle);
        return;
    }
    call->is_update = true;
    call->params = cycle->params;
    call->on_settled = on_settled;
    call->userdata = cycle;
    cycle->is_computing = true;
    cycle->entry->handler(call);
}

struct subscription_set *subscription_set_new(struct server *server, struct connection *connection)
{
    struct subscription_set *set = calloc(1, sizeof(*set));
    if (set) {
        set->server = server;
        set->connection = connection;
    }
    return set;
}

/* Unlinked already. */
static void end(struct subscription_cycle *cycle)
{
    cycle->set = NULL;
    uv_close((uv_handle_t *)&cycle->timer, on_timer_closed);
}

struct subscription_set *subscription_set_free(struct subscription_set *set)
{
    if (set) {
        while (set->cycles) {
            struct subscription_cycle *cycle = set->cycles;
            set->cycles = cycle->next;
            end(cycle);
            connection_hold_end(set->connection);
        }
        free(set);
    }
    return NULL;
}

static int find_method(const struct subscribe_request *request, struct subscription_cycle *cycle,
                       struct error *reterr_error)
{
    const char *name = request->method ? request->method : "";
    cycle->method = rpc_method_find(name);
    cycle->entry = method_table_find(name);
    if (!cycle->method || !cycle->entry) {
        error_set(reterr_error, "not_found", "there is no method \"%.64s\"", name);
        return -ENOENT;
    }
    if (!cycle->method->can_subscribe) {
        error_set(reterr_error, "not_supported", "%s cannot be subscribed to", name);
        return -EOPNOTSUPP;
    }
    return 0;
}

static int decode_params(const struct subscribe_request *request, struct subscription_cycle *cycle,
                         struct error *reterr_error)
{
    const struct json_limits limits = {
        .max_bytes = LIMIT_REQUEST_BYTES,
        .max_nesting = LIMIT_REQUEST_NESTING,
    };
    _cleanup_(json_tree_freep) struct json_t *tree = NULL;
    if (request->params_json) {
        int r = json_read(request->params_json, strlen(request->params_json), &limits, &tree,
                          reterr_error);
        if (r < 0) {
            return r;
        }
    }
    if (!cycle->method->params) {
        return 0;
    }
    void *params = arena_alloc(&cycle->arena, cycle->method->params_bytes);
    if (!params) {
        error_set(reterr_error, "limit", "out of memory");
        return -ENOMEM;
    }
    cycle->params = params;
    return rpc_decode(cycle->method->params, tree, &cycle->arena, params, reterr_error);
}

static int prepare(const struct subscribe_request *request, struct subscription_cycle *cycle,
                   struct error *reterr_error)
{
    int r = find_method(request, cycle, reterr_error);
    return r < 0 ? r : decode_params(request, cycle, reterr_error);
}

int64_t subscription_set_add(struct subscription_set *set, const struct subscribe_request *request,
                             struct error *reterr_error)
{
    if (set->n_cycles >= SERVER_MAX_SUBSCRIPTIONS) {
        error_set(reterr_error, "limit", "a connection has at most %u subscriptions",
                  SERVER_MAX_SUBSCRIPTIONS);
        return -EMFILE;
    }
    struct subscription_cycle *cycle = calloc(1, sizeof(*cycle));
    if (!cycle) {
        error_set(reterr_error, "limit", "out of memory");
        return -ENOMEM;
    }
    arena_init(&cycle->arena, LIMIT_REQUEST_BYTES * 16);
    int r = prepare(request, cycle, reterr_error);
    if (r < 0) {
        arena_release(&cycle->arena);
        free(cycle);
        return r;
    }
    cycle->interval_ms = request->min_interval_ms < SUBSCRIPTION_MIN_INTERVAL_MS
                             ? SUBSCRIPTION_MIN_INTERVAL_MS
                             : request->min_interval_ms;
    cycle->slowed_ms = cycle->interval_ms;
    cycle->server = set->server;
    cycle->set = set;
    cycle->number = ++set->newest;
    cycle->next = set->cycles;
    set->cycles = cycle;
    set->n_cycles++;
    cycle->timer.data = cycle;
    uv_timer_init(&set->server->loop, &cycle->timer);
    uv_timer_start(&cycle->timer, on_timer, 0, 0);
    connection_hold_begin(set->connection);
    return (int64_t)cycle->number;
}

bool subscription_set_remove(struct subscription_set *set, uint64_t number)
{
    for (struct subscription_cycle **link = &set->cycles; *link; link = &(*link)->next) {
        struct subscription_cycle *cycle = *link;
        if (cycle->number == number) {
            *link = cycle->next;
            set->n_cycles--;
            end(cycle);
            connection_hold_end(set->connection);
            return true;
        }
    }
    return false;
}

void subscription_set_on_drained(struct subscription_set *set)
{
    for (struct subscription_cycle *cycle = set->cycles; cycle; cycle = cycle->next) {
        if (cycle->is_held_back) {
            cycle->is_held_back = false;
            schedule(cycle);
        }
    }
}

void subscription_set_on_change(struct subscription_set *set)
{
    for (struct subscription_cycle *cycle = set->cycles; cycle; cycle = cycle->next) {
        cycle->slowed_ms = cycle->interval_ms;
        if (!cycle->is_computing && !cycle->is_held_back) {
            schedule(cycle);
        }
    }
}
