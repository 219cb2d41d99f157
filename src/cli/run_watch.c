/* SPDX-License-Identifier: MIT */
#include "cli/run_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/thread.h"
#include "cli/launch_linux.h"
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
    pid_t writer;
    uint64_t written_bytes; /* by the writer, when we looked last */
    pthread_mutex_t line_lock;
    bool is_hidden;          /* under line_lock */
    int ended_fd, ending_fd; /* the ends of a pipe that is closed at the end */
    bool has_thread;
    pthread_t thread;
};

/*
 * What the target prints goes over the line and leaves the rest of it standing.
 * So there is none while the target prints.
 */
static bool is_writing(struct run_watch *watch)
{
    if (watch->writer == 0) {
        return false;
    }
    uint64_t before_bytes = watch->written_bytes;
    watch->written_bytes = launch_read_written_bytes(watch->writer);
    return watch->written_bytes != before_bytes;
}

static void show_line(struct run_watch *watch, const char *line)
{
    pthread_mutex_lock(&watch->line_lock);
    if (!watch->is_hidden && line) {
        live_line_draw(STDERR_FILENO, line);
    } else if (!watch->is_hidden) {
        live_line_erase(STDERR_FILENO);
    }
    pthread_mutex_unlock(&watch->line_lock);
}

static void draw(struct run_watch *watch, const struct run_info *run, struct arena *arena)
{
    if (is_writing(watch)) {
        show_line(watch, NULL);
        return;
    }
    struct top_request request = {.view = {.run = watch->run}, .limit = 1};
    struct top_result top = {0};
    int r = rpc_client_call(watch->client, "profile.top", &rpc_type_top_request, &request,
                            &rpc_type_top_result, &top, arena, NULL, NULL);
    _cleanup_(text_releasep) struct text line;
    text_init(&line, LINE_MAX_BYTES);
    live_line_append(run, r == 0 ? &top : NULL, &line);
    show_line(watch, line.data);
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
        show_line(watch, NULL);
    }
    watch->ending_fd = fd_close(watch->ending_fd);
    return NULL;
}

int run_watch_start(const struct run_watch_options *options, struct run_watch **ret_watch,
                    struct error *reterr_error)
{
    _cleanup_(run_watch_freep) struct run_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->run = options->run;
    watch->draws = options->draws;
    watch->writer = options->writer;
    pthread_mutex_init(&watch->line_lock, NULL);
    watch->ended_fd = watch->ending_fd = -1;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    watch->ended_fd = ends[0];
    watch->ending_fd = ends[1];
    int r = rpc_client_connect(options->socket_path, &watch->client, reterr_error);
    if (r < 0) {
        return r;
    }
    r = thread_start("stax-watch", watch_run, watch, &watch->thread);
    watch->has_thread = r == 0;
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
        fd_close(watch->ending_fd);
        pthread_mutex_destroy(&watch->line_lock);
        free(watch);
    }
    return NULL;
}

int run_watch_fd(const struct run_watch *watch)
{
    return watch->ended_fd;
}

void run_watch_hide(struct run_watch *watch)
{
    if (watch && watch->draws) {
        pthread_mutex_lock(&watch->line_lock);
        live_line_erase(STDERR_FILENO);
        watch->is_hidden = true;
        pthread_mutex_unlock(&watch->line_lock);
    }
}

void run_watch_show(struct run_watch *watch)
{
    if (watch) {
        pthread_mutex_lock(&watch->line_lock);
        watch->is_hidden = false;
        pthread_mutex_unlock(&watch->line_lock);
    }
}
