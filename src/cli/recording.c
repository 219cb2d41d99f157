/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/archive_path.h"
#include "cli/complain.h"
#include "cli/label.h"
#include "cli/record.h"
#include "cli/render.h"
#include "cli/server_reach.h"
#include "rpc/client.h"
#include "rpc/tables.h"

static void write_stderr(const struct text *text)
{
    /* Where stderr is gone there is nobody to tell. */
    (void)fd_write_all(STDERR_FILENO, text->data, text->length_bytes);
}

int recording_connect(struct recording *recording, struct error *reterr_error)
{
    const struct record_options *options = recording->options;
    return server_reach(&options->server, options->no_autostart, &recording->client, reterr_error);
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

/* Without it what is frozen is listed all the same. */
static void start_ear(struct recording *recording)
{
    struct error error = {0};
    int r = ring_ear_start(recording->socket_path, recording->run.id, recording->options->quiet,
                           &recording->ear, &error);
    if (r < 0) {
        recording->ear = NULL;
        complain("following the run: %s; what is frozen is in stax list only%s",
                 error_is_set(&error) ? error.message : strerror(-r),
                 recording->ring.on_signal ? ", and SIGUSR2 freezes nothing" : "");
    }
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
        .no_dwarf_unwind = options->no_dwarf_unwind || server_reach_is_off("STAX_DWARF_UNWIND"),
        .stack_bytes = (uint32_t)options->stack_bytes.value,
        .max_memory_bytes = (uint64_t)options->max_memory_bytes.value,
        .ring_ns = (uint64_t)options->ring_ns.value,
        .n_triggers = recording->ring.n_triggers,
        .triggers = recording->ring.triggers,
        .daemon_socket = options->daemon_socket,
    };
    int r =
        rpc_client_call(recording->client, "run.start", &rpc_type_start_request, &request,
                        &rpc_type_run_info, &recording->run, recording->arena, NULL, reterr_error);
    if (r == 0 && !options->quiet) {
        show_notes(&recording->run);
    }
    if (r == 0 && options->on.n_items > 0) {
        start_ear(recording);
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

/* What is noted of the run by now and was not when it began. */
static void append_new_notes(const struct recording *recording, const struct run_info *began,
                             struct text *text)
{
    for (size_t i = 0; i < recording->run.n_notes; i++) {
        bool is_new = true;
        for (size_t k = 0; k < began->n_notes && is_new; k++) {
            is_new = strcmp(recording->run.notes[i], began->notes[k]) != 0;
        }
        if (is_new) {
            text_append(text, "  ");
            label_append(text, recording->run.notes[i]);
            text_append_char(text, '\n');
        }
    }
}

static void show_summary(struct recording *recording, const struct run_info *began)
{
    struct top_request request = {.view = {.run = recording->run.id}, .limit = 1};
    struct top_result top = {0};
    int r = rpc_client_call(recording->client, "profile.top", &rpc_type_top_request, &request,
                            &rpc_type_top_result, &top, recording->arena, NULL, NULL);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_run_summary(&recording->run, r == 0 ? &top.totals : NULL, &text);
    append_new_notes(recording, began, &text);
    const char *spans = recording->run.spans > 0 ? " · stax target top" : "";
    if (recording->run.samples > 0) {
        text_printf(&text, "  next: stax top · stax flame · stax threads · stax off-cpu%s\n",
                    spans);
    } else {
        text_printf(&text,
                    "  next: stax threads · stax off-cpu%s (no sample was taken; why: stax "
                    "diagnose)\n",
                    spans);
    }
    write_stderr(&text);
}

/* --save */
static int save(struct recording *recording, struct error *reterr_error)
{
    const struct archive_path_facts facts = {
        .pid = recording->run.pid,
        .started_unix_ns = recording->run.started_at_unix_ns,
        .command = recording->run.command,
    };
    const char *name = archive_path_expand(recording->arena, recording->options->save, &facts);
    struct save_request request = {
        .run = recording->run.id,
        .path = name ? archive_path_absolute(recording->arena, name) : NULL,
    };
    if (!request.path) {
        error_set_errno(reterr_error, -errno, recording->options->save);
        return -errno;
    }
    struct save_result result = {0};
    int r = rpc_client_call(recording->client, "run.save", &rpc_type_save_request, &request,
                            &rpc_type_save_result, &result, recording->arena, NULL, reterr_error);
    if (r == 0 && !recording->options->quiet) {
        _cleanup_(text_releasep) struct text text;
        text_init(&text, RENDER_MAX_BYTES);
        text_append(&text, "  ");
        render_save(&result, &text);
        write_stderr(&text);
    }
    return r;
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
    struct run_info began = recording->run;
    recording->run = result.run;
    recording->ear = ring_ear_free(recording->ear);
    if (!recording->options->quiet) {
        show_summary(recording, &began);
    }
    return recording->options->save ? save(recording, reterr_error) : 0;
}
