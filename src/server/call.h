/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * call - one request on its way from a client's line to its answer
 *
 * A handler either settles its call at once, sends it to the thread pool with
 * call_work(), or keeps it until something happens. Each call is settled
 * exactly once, by call_succeed() or call_fail(), and is then freed.
 *
 * Owner:   whoever holds it until it is settled. Params and result lie in its
 *          arena; the run it holds is a counted reference.
 * Threads: the main loop; the work function of call_work() runs in the pool.
 * Limits:  CALL_ARENA_BYTES of results, CALL_ANSWER_BYTES of answer: past that
 *          the error "limit".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "jsonrpc/request.h"
#include "rpc/method.h"
#include "server/connection.h"
#include "server/job_queue.h"
#include "server/run.h"

#define CALL_ARENA_BYTES ((size_t)512 << 20)
#define CALL_ANSWER_BYTES ((size_t)256 << 20)

struct import;
struct server;
struct call;

/* Fills call->result; 0, or a negative errno with call->error set. Any thread. */
typedef int (*call_work_cb)(struct call *call);

struct call {
    struct server *server;
    const struct rpc_method *method;
    struct arena arena;
    const void *params;    /* decoded; NULL where the method takes none */
    void *result;          /* of method->result, zeroed */
    struct run *run;       /* NULL or a reference */
    struct import *import; /* run.open: what it is about, its own */
    struct run *part;      /* run.freeze: what was frozen, a reference */
    size_t n_runs;         /* run.list */
    struct run **runs;     /* references, in the arena */
    struct error error;

    struct connection *connection; /* a reference; who asked */
    bool is_update;                /* for a subscription: not a request, has no id */
    char id[JSONRPC_ID_BYTES];
    bool is_notification;
    bool is_hold; /* may take long: does not count as a job of its connection */

    /* Settled: call->answer holds a document, or the bare result for a subscription. */
    void (*on_settled)(struct call *call);
    void *userdata;
    struct text answer;
    bool has_failed;

    call_work_cb work;
    void (*then)(struct call *call); /* instead of an answer; NULL: the result is one */
    struct job job;
    struct call *next; /* in the list of whoever keeps it */
};

/* 0 or -ENOMEM. */
int call_new(struct server *server, struct connection *connection, const struct rpc_method *method,
             struct call **ret_call);
struct call *call_free(struct call *call);
DEFINE_FREEP(call);

/* Keeps a reference to the run that the call is about, or to several. */
void call_set_run(struct call *call, struct run *run);
int call_set_runs(struct call *call, struct run *const *runs, size_t n_runs);

/* Settle it; the call may be gone when these return. */
void call_succeed(struct call *call);
void call_succeed_with_json(struct call *call, const char *json, size_t n_bytes);
void call_fail(struct call *call, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* With call->error, as it has been set. */
void call_fail_as_set(struct call *call);

/* Runs `work` in the pool and then settles the call by what it returns. */
void call_work(struct call *call, call_work_cb work);
/* As above, but where it succeeds `then`, on the main loop, has the call again. */
void call_work_then(struct call *call, call_work_cb work, void (*then)(struct call *call));
