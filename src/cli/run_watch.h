/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * run_watch - follows a run until it stops, and draws the live line meanwhile
 *
 * Has a connection and a thread of its own, so that whoever waits for the
 * target never waits for the server.
 *
 * Owner:   run_watch_start()/run_watch_free(); free() ends thread and line.
 * Threads: the watch draws; the other functions are for the thread that made it.
 * Tests:   run_watch_test.c
 */

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "model/ids.h"

struct run_watch;

struct run_watch_options {
    const char *socket_path;
    run_id run;
    bool draws;
    pid_t writer; /* shares the terminal: no line while it writes; 0: nobody does */
};

/* 0, or what rpc_client_connect() or pthread_create() return. */
int run_watch_start(const struct run_watch_options *options, struct run_watch **ret_watch,
                    struct error *reterr_error);
struct run_watch *run_watch_free(struct run_watch *watch);
DEFINE_FREEP(run_watch);

/* Readable (at its end) as soon as the run has stopped, or the server is gone. */
int run_watch_fd(const struct run_watch *watch);

/* Erases the line, and draws none until it is shown again. A NULL watch has none. */
void run_watch_hide(struct run_watch *watch);
void run_watch_show(struct run_watch *watch);
