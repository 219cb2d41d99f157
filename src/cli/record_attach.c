/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/complain.h"
#include "cli/live_line.h"
#include "cli/record.h"
#include "cli/run_watch.h"

static const int attended[] = {SIGINT, SIGTERM, SIGHUP};
#define N_ATTENDED (sizeof(attended) / sizeof(attended[0]))

static volatile sig_atomic_t arrived_signal, arrived_freeze;

static void on_signal(int signal)
{
    if (signal == SIGUSR2) {
        arrived_freeze = 1;
    } else {
        arrived_signal = signal;
    }
}

/* Signals arrive only while wait_for_end() waits, so that none is missed in between. */
static void take_signals(bool takes_freezes, sigset_t *ret_inherited_mask)
{
    sigset_t wanted;
    sigemptyset(&wanted);
    if (takes_freezes) {
        sigaddset(&wanted, SIGUSR2);
    }
    for (size_t i = 0; i < N_ATTENDED; i++) {
        sigaddset(&wanted, attended[i]);
    }
    sigprocmask(SIG_BLOCK, &wanted, ret_inherited_mask);
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    if (takes_freezes) {
        sigaction(SIGUSR2, &action, NULL);
    }
    for (size_t i = 0; i < N_ATTENDED; i++) {
        struct sigaction inherited;
        if (sigaction(attended[i], NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) {
            sigaction(attended[i], &action, NULL);
        }
    }
}

static void give_signals_back(const sigset_t *inherited_mask)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_ATTENDED; i++) {
        struct sigaction ours;
        if (sigaction(attended[i], NULL, &ours) == 0 && ours.sa_handler == on_signal) {
            sigaction(attended[i], &action, NULL);
        }
    }
    sigprocmask(SIG_SETMASK, inherited_mask, NULL);
}

/* Returns the signal that came, or 0 when the run has stopped. */
static int wait_for_end(const struct run_watch *watch, struct ring_ear *ear,
                        const sigset_t *inherited_mask)
{
    struct pollfd ended = {.fd = run_watch_fd(watch), .events = POLLIN};
    while (arrived_signal == 0 && ppoll(&ended, 1, NULL, inherited_mask) != 1) {
        if (arrived_freeze) {
            arrived_freeze = 0;
            ring_ear_freeze(ear);
        }
    }
    return arrived_signal;
}

static int fail(const struct error *error)
{
    complain_error(error);
    return EXIT_CODE_FAILED;
}

int record_attach(struct recording *recording)
{
    struct error error = {0};
    if (recording_connect(recording, &error) < 0 ||
        recording_start(recording, (pid_t)recording->options->pid.value, NULL, &error) < 0) {
        return fail(&error);
    }
    sigset_t inherited_mask;
    take_signals(recording->ring.on_signal, &inherited_mask);
    _cleanup_(run_watch_freep) struct run_watch *watch = NULL;
    struct run_watch_options options = {
        .socket_path = recording->socket_path,
        .run = recording->run.id,
        .draws = !recording->options->quiet && live_line_can_draw(STDERR_FILENO),
    };
    int r = run_watch_start(&options, &watch, &error);
    int signal = r == 0 ? wait_for_end(watch, recording->ear, &inherited_mask) : 0;
    watch = run_watch_free(watch);
    give_signals_back(&inherited_mask);
    if (r < 0) {
        return fail(&error);
    }
    if (signal == SIGTERM || signal == SIGHUP) {
        /* Killing stax ends neither the recording nor the target. */
        if (!recording->options->quiet) {
            fprintf(stderr, "stax: run %u goes on; to end it: stax stop\n", recording->run.id);
        }
        raise(signal);
    }
    if (signal == SIGINT && !recording->options->quiet && isatty(STDERR_FILENO) == 1) {
        fputc('\n', stderr); /* behind the "^C" that the terminal has shown */
    }
    if (signal == SIGINT && recording_stop(recording, &error) < 0) {
        return fail(&error);
    }
    if (recording_finish(recording, &error) < 0) {
        return fail(&error);
    }
    return EXIT_CODE_DONE;
}
