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

#include "base/cleanup.h"
#include "base/error.h"
#include "model/ids.h"

struct run_watch;

/* 0, or what rpc_client_connect() or pthread_create() return. */
int run_watch_start(const char *socket_path, run_id run, bool draws, struct run_watch **ret_watch,
                    struct error *reterr_error);
struct run_watch *run_watch_free(struct run_watch *watch);
DEFINE_FREEP(run_watch);

/* Readable as soon as the run has stopped, or the server is gone. */
int run_watch_fd(const struct run_watch *watch);
