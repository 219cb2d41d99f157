/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * record - what `stax record` knows, between its two modes
 *
 * Owner:   values are borrowed from argv.
 * Threads: one.
 */

#include "cli/command.h"
#include "cli/ring_ear.h"
#include "cli/ring_options.h"
#include "cli/server_options.h"
#include "cli/span_dialects.h"
#include "model/requests.h"
#include "model/results/run.h"

struct record_options {
    struct option_number frequency_hz;
    struct option_number time_limit_ns;
    struct option_number pid;
    bool follow_children;
    bool no_dwarf_unwind;
    struct option_number stack_bytes;
    bool no_off_cpu;
    bool no_kernel;
    bool counters;
    const char *spans; /* NULL: none but those of libstax-target */
    const char *daemon_socket;
    struct option_number max_memory_bytes;
    struct option_number ring_ns;
    struct option_texts on;
    const char *save; /* NULL: not */
    struct option_number repeat;
    bool no_autostart;
    bool quiet;
    struct server_options server;
};

/* The connection, and what both modes do with it. */
struct recording {
    const struct record_options *options;
    struct arena *arena;
    const char *socket_path;
    struct ring_options ring;
    const struct span_dialects *dialects;
    struct rpc_client *client;
    struct run_info run;
    struct ring_ear *ear; /* NULL: nothing can be frozen */
    bool is_told_to_end;  /* a launched target's signals meant more than the target */
};

/* Connects, starting a server where none runs and that is allowed. 0 or a negative errno. */
int recording_connect(struct recording *recording, struct error *reterr_error);

/* run.start with what the options say; shows the run's notes. */
int recording_start(struct recording *recording, pid_t pid, const char *command,
                    struct error *reterr_error);

/* run.stop; a run that has just stopped by itself is no error. */
int recording_stop(struct recording *recording, struct error *reterr_error);

/* Waits until everything is folded in, and shows the summary. */
int recording_finish(struct recording *recording, struct error *reterr_error);

/* The two modes. Return the exit code. */
int record_launch(struct recording *recording, char **argv);
int record_attach(struct recording *recording);
