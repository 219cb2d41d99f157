/* SPDX-License-Identifier: MIT */
#include "cli/run_watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/live_line.h"
#include "model/requests.h"
#include "model/results/run.h"
#include "rpc/client.h"
#include "rpc/tables.h"

#define DRAW_INTERVAL_NS (500 * NS_PER_MS)
#define LINE_MAX_BYTES 4096

struct run_watch {
    struct rpc_client *client;
    run_id run;
    bool draws;
    int ended_fd;
    bool has_thread;
    pthread_t thread;
};

static void draw(const struct run_watch *watch, const struct run_info *run, struct arena *arena)
{
    struct top_request request = {.view = {.run = watch->run}, .limit = 1};
    struct top_result top = {0};
    int r = rpc_client_call(watch->client, "profile.top", &rpc_type_top_request, &request,
                            &rpc_type_top_result, &top, arena, NULL, NULL);
    _cleanup_(text_releasep) struct text line;
    text_init(&line, LINE_MAX_BYTES);
    live_line_append(run, r == 0 ? &top : NULL, &line);
    live_line_draw(STDERR_FILENO, line.data);
}

static void *watch_run(void *userdata)
{
    struct run_watch *watch = userdata;
    bool is_running = true;
    while (is_running) {
        _cleanup_(arena_releasep) struct arena arena;
        arena_init(&arena, 0);
        struct wait_request request = {
            .run = watch->run, .has_timeout = true, .timeout_ns = DRAW_INTERVAL_NS};
        struct wait_result result = {0};
        int r = rpc_client_call(watch->client, "run.wait", &rpc_type_wait_request, &request,
                                &rpc_type_wait_result, &result, &arena, NULL, NULL);
        is_running = r == 0 && result.outcome == WAIT_OUTCOME_TIMED_OUT;
        if (is_running && watch->draws) {
            draw(watch, &result.run, &arena);
        }
    }
    if (watch->draws) {
        live_line_erase(STDERR_FILENO);
    }
    (void)fd_write_all(watch->ended_fd, &(uint64_t){1}, sizeof(uint64_t));
    return NULL;
}

/* Signals are for the thread that waits for the target. */
static int start_thread(struct run_watch *watch)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, watch_run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    watch->has_thread = error == 0;
    return -error;
}

int run_watch_start(const char *socket_path, run_id run, bool draws, struct run_watch **ret_watch,
                    struct error *reterr_error)
{
    _cleanup_(run_watch_freep) struct run_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->run = run;
    watch->draws = draws;
    watch->ended_fd = eventfd(0, EFD_CLOEXEC);
    if (watch->ended_fd < 0) {
        return -errno;
    }
    int r = rpc_client_connect(socket_path, &watch->client, reterr_error);
    if (r < 0) {
        return r;
    }
    r = start_thread(watch);
    if (r < 0) {
        return r;
    }
    *ret_watch = TAKE_PTR(watch);
    return 0;
}

struct run_watch *run_watch_free(struct run_watch *watch)
{
    if (watch) {
        if (watch->has_thread) {
            /* Ends the call that the thread is in; what it says then is nobody's business. */
            (void)shutdown(rpc_client_fd(watch->client), SHUT_RDWR);
            pthread_join(watch->thread, NULL);
        }
        rpc_client_free(watch->client);
        fd_close(watch->ended_fd);
        free(watch);
    }
    return NULL;
}

int run_watch_fd(const struct run_watch *watch)
{
    return watch->ended_fd;
}
