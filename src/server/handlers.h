/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * handlers - one function per RPC method; rpc.md and schema/ say what each does
 *
 * Owner:   each takes over its call and settles it.
 * Threads: the main loop.
 */

#include <stdbool.h>

#include "server/call.h"

struct query_context;
struct run;
struct server;
struct status_result;
struct view;

/* handlers_run.c */
void handle_run_status(struct call *call);
void handle_run_list(struct call *call);
void handle_run_start(struct call *call);
void handle_run_wait(struct call *call);
void handle_run_stop(struct call *call);
void handle_run_select(struct call *call);
void handle_run_report_exit(struct call *call);
/* The active run has come to another phase: answers who waited for that. */
void handlers_run_on_change(struct server *server);

/* For call_work(): the run of the call is the answer. */
int handlers_describe(struct call *call);

/* What the host lets a run record. 0 or -ENOMEM. */
int handlers_describe_abilities(struct call *call, struct status_result *result);

/* handlers_archive.c */
void handle_run_save(struct call *call);
void handle_run_open(struct call *call);
void handle_run_export(struct call *call);
/* The active run, an import, could not begin: false where it is none. */
bool handlers_open_failed(struct server *server);
/* The run is all read: whoever opened it is answered, if somebody did. */
void handlers_open_done(struct server *server, struct run *run);

/* handlers_freeze.c */
void handle_run_freeze(struct call *call);

/* handlers_doctor.c */
void handle_server_doctor(struct call *call);

/* handlers_spans.c */
void handle_profile_target_lanes(struct call *call);
void handle_profile_target_top(struct call *call);
void handle_profile_target_spans(struct call *call);
void handle_profile_target_origins(struct call *call);

/* handlers_profile.c */
void handle_profile_top(struct call *call);
void handle_profile_flame(struct call *call);
void handle_profile_threads(struct call *call);
void handle_profile_neighbors(struct call *call);
void handle_profile_intervals(struct call *call);
void handle_profile_wakers(struct call *call);
void handle_profile_timeline(struct call *call);
void handle_profile_why(struct call *call);
void handle_profile_annotate(struct call *call);
void handle_profile_off_cpu(struct call *call);
void handle_profile_counters(struct call *call);

/*
 * What a query about the run needs, names as far as they are known; the
 * snapshot is a reference. `view` is borrowed. In the pool. 0 or -ENOMEM.
 */
int handlers_take_snapshot(struct call *call, struct run *run, const struct view *view,
                           struct query_context *ret_context);

/* What a view adds: its options, and whom they are put to. */
typedef int (*handlers_answer_cb)(struct call *call, const struct query_context *context);

/* Of calls whose request begins with its view: chooses the run and has the pool work on it; … */
void handlers_ask_view(struct call *call, call_work_cb work);
/* … and there puts the question to a snapshot. 0 or what `answer` returned. */
int handlers_answer_view(struct call *call, handlers_answer_cb answer);

/* handlers_compare.c */
void handle_run_compare(struct call *call);

/* handlers_target_hello.c */
void handle_target_hello(struct call *call);
/* The run is told of all programs that are connected to report spans. */
void handlers_offer_producers(struct server *server, struct run *run);

/* handlers_server.c */
void handle_server_info(struct call *call);
void handle_server_diagnostics(struct call *call);
void handle_server_shutdown(struct call *call);
void handle_rpc_discover(struct call *call);
void handle_subscribe(struct call *call);
void handle_unsubscribe(struct call *call);
