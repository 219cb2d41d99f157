/* SPDX-License-Identifier: MIT */
#include "cli/ring_ear.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/thread.h"
#include "cli/complain.h"
#include "cli/label.h"
#include "cli/live_line.h"
#include "model/requests.h"
#include "model/results/run.h"
#include "rpc/client.h"
#include "rpc/tables.h"

#define LOOK_MS 300
#define LINE_MAX_BYTES 4096

enum { ASK_FREEZE = 'f', ASK_END = 'e' };

struct ring_ear {
    struct rpc_client *client;
    run_id run, newest_told;
    bool is_quiet, has_line;
    int asked_fd, asking_fd; /* the ends of a pipe */
    bool has_thread;
    pthread_t thread;
};

static void tell(struct ring_ear *ear, const struct run_info *part)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, LINE_MAX_BYTES);
    text_printf(&text, "stax: run %" PRIu32 " ", part->id);
    label_append(&text, part->stop_reason ? part->stop_reason : "frozen");
    text_printf(&text, "; stax save --run %" PRIu32 " stall.stax\n", part->id);
    if (ear->has_line) {
        live_line_erase(STDERR_FILENO);
    }
    /* Where stderr is gone there is nobody to tell. */
    (void)fd_write_all(STDERR_FILENO, text.data, text.length_bytes);
}

/* Parts of the run that were not told of so far, oldest first. */
static void look(struct ring_ear *ear)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run_list_result list = {0};
    int r = rpc_client_call(ear->client, "run.list", NULL, NULL, &rpc_type_run_list_result, &list,
                            &arena, NULL, NULL);
    for (size_t i = 0; r == 0 && i < list.n_runs; i++) {
        if (list.runs[i].frozen_from == ear->run && list.runs[i].id > ear->newest_told) {
            ear->newest_told = list.runs[i].id;
            tell(ear, &list.runs[i]);
        }
    }
}

static void freeze(struct ring_ear *ear)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct freeze_request request = {.run = ear->run, .reason = "SIGUSR2"};
    struct run_info part = {0};
    struct error error = {0};
    if (rpc_client_call(ear->client, "run.freeze", &rpc_type_freeze_request, &request,
                        &rpc_type_run_info, &part, &arena, NULL, &error) < 0) {
        complain_error(&error);
    }
}

static void *listen_to(void *userdata)
{
    struct ring_ear *ear = userdata;
    char asked = 0;
    while (asked != ASK_END) {
        struct pollfd question = {.fd = ear->asked_fd, .events = POLLIN};
        asked = 0;
        if (poll(&question, 1, LOOK_MS) == 1 && read(ear->asked_fd, &asked, 1) != 1) {
            asked = ASK_END;
        }
        if (asked == ASK_FREEZE) {
            freeze(ear);
        }
        if (!ear->is_quiet) {
            look(ear);
        }
    }
    return NULL;
}

int ring_ear_start(const char *socket_path, run_id run, bool is_quiet, struct ring_ear **ret_ear,
                   struct error *reterr_error)
{
    _cleanup_(ring_ear_freep) struct ring_ear *ear = calloc(1, sizeof(*ear));
    if (!ear) {
        return -ENOMEM;
    }
    ear->run = run;
    ear->is_quiet = is_quiet;
    ear->has_line = !is_quiet && live_line_can_draw(STDERR_FILENO);
    ear->asked_fd = ear->asking_fd = -1;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    ear->asked_fd = ends[0];
    ear->asking_fd = ends[1];
    int r = rpc_client_connect(socket_path, &ear->client, reterr_error);
    r = r < 0 ? r : thread_start("stax-ring", listen_to, ear, &ear->thread);
    if (r < 0) {
        return r;
    }
    ear->has_thread = true;
    *ret_ear = TAKE_PTR(ear);
    return 0;
}

static void ask(const struct ring_ear *ear, char what)
{
    (void)fd_write_all(ear->asking_fd, &what, 1);
}

struct ring_ear *ring_ear_free(struct ring_ear *ear)
{
    if (ear) {
        if (ear->has_thread) {
            ask(ear, ASK_END);
            pthread_join(ear->thread, NULL);
        }
        rpc_client_free(ear->client);
        fd_close(ear->asked_fd);
        fd_close(ear->asking_fd);
        free(ear);
    }
    return NULL;
}

void ring_ear_freeze(struct ring_ear *ear)
{
    if (ear) {
        ask(ear, ASK_FREEZE);
    }
}
