/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/complain.h"
#include "cli/launch_linux.h"
#include "cli/live_line.h"
#include "cli/path_search.h"
#include "cli/record.h"
#include "cli/run_watch.h"
#include "rpc/client.h"
#include "rpc/tables.h"

#define COMMAND_MAX_BYTES 4000 /* what a list of runs can bear */

/* Words as a shell would take them. */
static void append_quoted(struct text *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_^~";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        text_append(text, word);
        return;
    }
    text_append_char(text, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'') {
            text_append(text, "'\\''");
        } else {
            text_append_char(text, *word);
        }
    }
    text_append_char(text, '\'');
}

static void append_command(struct text *text, char *const *argv)
{
    for (size_t i = 0; argv[i]; i++) {
        text_append(text, i > 0 ? " " : "");
        append_quoted(text, argv[i]);
    }
}

static int exit_code_of_exec(int error)
{
    return error == ENOENT ? EXIT_CODE_NOT_FOUND : EXIT_CODE_NOT_EXECUTABLE;
}

/* What happens to the target touches both. */
struct attendance {
    struct recording *recording;
    struct run_watch *watch; /* NULL: no live line */
};

static void on_interrupt(void *userdata, unsigned count)
{
    const struct attendance *attendance = userdata;
    if (count != 2) {
        return; /* the first one is the target's own */
    }
    struct recording *recording = attendance->recording;
    struct error error = {0};
    run_watch_hide(attendance->watch);
    if (recording_stop(recording, &error) < 0) {
        complain_error(&error);
    } else if (!recording->options->quiet) {
        fprintf(stderr, "stax: run %" PRIu32 " is stopped; its target goes on\n",
                recording->run.id);
    }
    run_watch_show(attendance->watch);
}

static void on_suspend(void *userdata)
{
    run_watch_hide(((const struct attendance *)userdata)->watch);
}

static void on_resume(void *userdata)
{
    run_watch_show(((const struct attendance *)userdata)->watch);
}

static void on_freeze_signal(void *userdata)
{
    ring_ear_freeze(((const struct attendance *)userdata)->recording->ear);
}

/* Tells the server how the target ended; it can see only that. */
static int report_exit(struct recording *recording, int exit_status, struct error *reterr_error)
{
    struct exit_request request = {.run = recording->run.id, .exit_status = exit_status};
    return rpc_client_call(recording->client, "run.reportExit", &rpc_type_exit_request, &request,
                           NULL, NULL, recording->arena, NULL, reterr_error);
}

/*
 * What is left to do once the target has ended. What fails here is not the
 * target's failure; but who has asked for an archive and has none should not
 * be told that all went well. Returns the exit code.
 */
static int conclude(struct recording *recording, int exit_status)
{
    struct error error = {0};
    int r = report_exit(recording, exit_status, &error);
    if (r == 0) {
        r = recording_finish(recording, &error);
    }
    if (r < 0) {
        complain_error(&error);
    }
    bool is_unsaved = r < 0 && recording->options->save;
    return is_unsaved && exit_status == EXIT_CODE_DONE ? EXIT_CODE_LAUNCH_FAILED : exit_status;
}

static int run_target(struct recording *recording, struct launch *launch, const char *name)
{
    int error = launch_release(launch);
    if (error != 0) {
        complain("%s: %s", name, strerror(error));
        launch_restore_signals(launch);
        int exit_code = exit_code_of_exec(error);
        struct error ignored = {0};
        (void)report_exit(recording, exit_code, &ignored);
        return exit_code;
    }
    struct attendance attendance = {.recording = recording};
    if (!recording->options->quiet && live_line_can_draw(STDERR_FILENO)) {
        struct run_watch_options options = {
            .socket_path = recording->socket_path,
            .run = recording->run.id,
            .draws = true,
            .writer = launch_pid(launch),
        };
        /* Without a line the recording is as good. */
        (void)run_watch_start(&options, &attendance.watch, NULL);
    }
    struct launch_listener listener = {
        .userdata = &attendance,
        .on_interrupt = on_interrupt,
        .on_suspend = on_suspend,
        .on_resume = on_resume,
        .kept_signal = recording->ring.on_signal ? SIGUSR2 : 0,
        .on_kept_signal = on_freeze_signal,
    };
    int exit_status = launch_wait(launch, &listener);
    run_watch_free(attendance.watch);
    recording->is_told_to_end = launch_was_told_to_end(launch);
    launch_restore_signals(launch);
    bool is_interrupted = exit_status == EXIT_CODE_SIGNAL_BASE + SIGINT;
    if (is_interrupted && !recording->options->quiet && isatty(STDERR_FILENO) == 1) {
        fputc('\n', stderr); /* behind the "^C" that the terminal has shown */
    }
    return conclude(recording, exit_status);
}

int record_launch(struct recording *recording, char **argv)
{
    char path[PATH_MAX];
    int r = path_search(argv[0], path, sizeof(path));
    if (r != 0) {
        bool is_absent = r == PATH_SEARCH_E_NOT_FOUND;
        complain("%s: %s", argv[0], strerror(r < 0 ? -r : errno));
        return is_absent ? EXIT_CODE_NOT_FOUND : EXIT_CODE_NOT_EXECUTABLE;
    }
    struct error error = {0};
    r = recording->client ? 0 : recording_connect(recording, &error);
    if (r < 0) {
        complain_error(&error);
        return EXIT_CODE_LAUNCH_FAILED;
    }
    _cleanup_(text_releasep) struct text command;
    text_init(&command, COMMAND_MAX_BYTES);
    append_command(&command, argv);
    _cleanup_(launch_freep) struct launch *launch = NULL;
    span_dialects_set(recording->dialects,
                      recording->options->server.socket ? recording->socket_path : NULL);
    r = launch_start(path, argv, &launch);
    if (r < 0) {
        complain("starting %s: %s", argv[0], strerror(-r));
        return EXIT_CODE_LAUNCH_FAILED;
    }
    r = recording_start(recording, launch_pid(launch), command.data, &error);
    if (r < 0) {
        launch_abort(launch);
        complain_error(&error);
        return EXIT_CODE_LAUNCH_FAILED;
    }
    return run_target(recording, launch, argv[0]);
}
