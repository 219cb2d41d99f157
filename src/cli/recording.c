/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/label.h"
#include "cli/record.h"
#include "cli/render.h"
#include "cli/server_start.h"
#include "rpc/client.h"
#include "rpc/tables.h"

static bool is_switched_off(const char *variable)
{
    const char *value = getenv(variable);
    return value && strcmp(value, "0") == 0;
}

static void write_stderr(const struct text *text)
{
    /* Where stderr is gone there is nobody to tell. */
    (void)fd_write_all(STDERR_FILENO, text->data, text->length_bytes);
}

int recording_connect(struct recording *recording, struct error *reterr_error)
{
    const struct record_options *options = recording->options;
    int r = server_options_connect(&options->server, &recording->client, reterr_error);
    if (!server_options_is_absent(r)) {
        return r;
    }
    if (options->no_autostart || is_switched_off("STAX_AUTOSTART")) {
        error_hint(reterr_error, "start it: stax-server & (or record without %s)",
                   options->no_autostart ? "--no-autostart" : "STAX_AUTOSTART=0");
        return r;
    }
    return server_start(recording->socket_path, &recording->client, reterr_error);
}

static void show_notes(const struct run_info *run)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    for (size_t i = 0; i < run->n_notes; i++) {
        text_append(&text, "stax: ");
        label_append(&text, run->notes[i]);
        text_append_char(&text, '\n');
    }
    write_stderr(&text);
}

int recording_start(struct recording *recording, pid_t pid, const char *command,
                    struct error *reterr_error)
{
    const struct record_options *options = recording->options;
    struct start_request request = {
        .pid = pid,
        .launched = command != NULL,
        .command = command,
        .frequency_hz = (uint32_t)options->frequency_hz.value,
        .time_limit_ns = (uint64_t)options->time_limit_ns.value,
        .follow_children = options->follow_children,
        .no_kernel = options->no_kernel,
        .no_off_cpu = options->no_off_cpu,
        .counters = options->counters,
        .no_dwarf_unwind = options->no_dwarf_unwind || is_switched_off("STAX_DWARF_UNWIND"),
        .stack_bytes = (uint32_t)options->stack_bytes.value,
        .max_memory_bytes = (uint64_t)options->max_memory_bytes.value,
        .daemon_socket = options->daemon_socket,
    };
    int r =
        rpc_client_call(recording->client, "run.start", &rpc_type_start_request, &request,
                        &rpc_type_run_info, &recording->run, recording->arena, NULL, reterr_error);
    if (r == 0 && !options->quiet) {
        show_notes(&recording->run);
    }
    return r;
}

int recording_stop(struct recording *recording, struct error *reterr_error)
{
    struct run_request request = {.run = recording->run.id};
    struct run_info run = {0};
    int r = rpc_client_call(recording->client, "run.stop", &rpc_type_run_request, &request,
                            &rpc_type_run_info, &run, recording->arena, NULL, reterr_error);
    if (r < 0 && strcmp(reterr_error->code, "no_active_run") == 0) {
        return 0;
    }
    return r;
}

static void show_summary(struct recording *recording)
{
    struct top_request request = {.view = {.run = recording->run.id}, .limit = 1};
    struct top_result top = {0};
    int r = rpc_client_call(recording->client, "profile.top", &rpc_type_top_request, &request,
                            &rpc_type_top_result, &top, recording->arena, NULL, NULL);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_run_summary(&recording->run, r == 0 ? &top.totals : NULL, &text);
    text_append(&text, recording->run.samples > 0
                           ? "  next: stax top · stax flame · stax threads · stax off-cpu\n"
                           : "  next: stax threads · stax off-cpu (no sample was taken; why: stax "
                             "diagnose)\n");
    write_stderr(&text);
}

int recording_finish(struct recording *recording, struct error *reterr_error)
{
    struct wait_request request = {.run = recording->run.id};
    struct wait_result result = {0};
    int r = rpc_client_call(recording->client, "run.wait", &rpc_type_wait_request, &request,
                            &rpc_type_wait_result, &result, recording->arena, NULL, reterr_error);
    if (r < 0) {
        return r;
    }
    recording->run = result.run;
    if (!recording->options->quiet) {
        show_summary(recording);
    }
    return 0;
}
