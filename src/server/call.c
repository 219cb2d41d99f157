/* SPDX-License-Identifier: MIT */
#include "server/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "interchange/import.h"
#include "rpc/message.h"
#include "server/server.h"

int call_new(struct server *server, struct connection *connection, const struct rpc_method *method,
             struct call **ret_call)
{
    _cleanup_(call_freep) struct call *call = calloc(1, sizeof(*call));
    if (!call) {
        return -ENOMEM;
    }
    call->server = server;
    call->method = method;
    call->connection = connection_ref(connection);
    arena_init(&call->arena, CALL_ARENA_BYTES);
    text_init(&call->answer, CALL_ANSWER_BYTES);
    if (method && method->result) {
        call->result = arena_alloc(&call->arena, method->result_bytes);
        if (!call->result) {
            return -ENOMEM;
        }
    }
    server->n_calls++;
    *ret_call = TAKE_PTR(call);
    return 0;
}

struct call *call_free(struct call *call)
{
    if (call) {
        run_unref(call->run);
        run_unref(call->part);
        import_free(call->import);
        for (size_t i = 0; i < call->n_runs; i++) {
            run_unref(call->runs[i]);
        }
        connection_unref(call->connection);
        text_release(&call->answer);
        arena_release(&call->arena);
        free(call);
    }
    return NULL;
}

void call_set_run(struct call *call, struct run *run)
{
    struct run *before = call->run;
    call->run = run ? run_ref(run) : NULL;
    run_unref(before);
}

int call_set_runs(struct call *call, struct run *const *runs, size_t n_runs)
{
    call->runs = arena_alloc_array(&call->arena, n_runs, sizeof(*call->runs));
    if (!call->runs) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_runs; i++) {
        call->runs[i] = run_ref(runs[i]);
    }
    call->n_runs = n_runs;
    return 0;
}

/* On the main loop: hands the call to whoever waits for its answer. */
static void settle(struct call *call)
{
    call->server->n_calls--;
    call->on_settled(call);
}

/* Any thread. */
static void write_error(struct call *call)
{
    call->has_failed = true;
    text_clear(&call->answer);
    if (!call->is_update) {
        message_error(&call->answer, call->id, &call->error);
    }
}

/* Any thread. */
static void check_length(struct call *call)
{
    if (call->answer.is_cut) {
        error_set(&call->error, "limit", "the answer is longer than %zu MiB",
                  CALL_ANSWER_BYTES >> 20);
        error_hint(&call->error, "ask for less: a limit, a range of time, fewer threads");
        write_error(call);
    }
}

/* Any thread. */
static void write_result(struct call *call)
{
    if (!call->is_update) {
        message_result(&call->answer, call->id, call->method->result, call->result);
    } else if (call->method->result) {
        rpc_encode(call->method->result, call->result, &call->answer);
    }
    check_length(call);
}

void call_succeed(struct call *call)
{
    write_result(call);
    settle(call);
}

void call_succeed_with_json(struct call *call, const char *json, size_t n_bytes)
{
    message_result_json(&call->answer, call->id, json, n_bytes);
    check_length(call);
    settle(call);
}

void call_fail_as_set(struct call *call)
{
    write_error(call);
    settle(call);
}

void call_fail(struct call *call, const char *code, const char *format, ...)
{
    char message[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    error_set(&call->error, code, "%s", message);
    call_fail_as_set(call);
}

static struct call *call_of(struct job *job)
{
    return (struct call *)((char *)job - offsetof(struct call, job));
}

static void run_in_pool(struct job *job)
{
    struct call *call = call_of(job);
    int r = call->work(call);
    if (r >= 0) {
        if (!call->then) {
            write_result(call);
        }
        return;
    }
    if (!error_is_set(&call->error)) {
        if (r == -ENOMEM) {
            error_set(&call->error, "limit", "out of memory while answering");
        } else {
            error_set_errno(&call->error, r, call->method->name);
        }
    }
    write_error(call);
}

static void after_pool(struct job *job, bool is_cancelled)
{
    struct call *call = call_of(job);
    if (is_cancelled) {
        error_set(&call->error, "timed_out", "nobody waits for the answer any more");
        write_error(call);
    }
    void (*then)(struct call * call) = call->then;
    call->then = NULL;
    if (then && !call->has_failed) {
        then(call);
        return;
    }
    settle(call);
}

void call_work(struct call *call, call_work_cb work)
{
    call_work_then(call, work, NULL);
}

void call_work_then(struct call *call, call_work_cb work, void (*then)(struct call *call))
{
    call->work = work;
    call->then = then;
    call->job.owner = call->connection;
    call->job.work = run_in_pool;
    call->job.done = after_pool;
    job_queue_add(&call->server->jobs, &call->job);
}
