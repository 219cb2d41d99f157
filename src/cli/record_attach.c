/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/complain.h"
#include "cli/live_line.h"
#include "cli/record.h"
#include "cli/run_watch.h"

struct attention {
    int signal_fd;
    sigset_t inherited_mask;
};

static int attention_open(struct attention *attention)
{
    static const int wanted_signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t wanted;
    sigemptyset(&wanted);
    for (size_t i = 0; i < sizeof(wanted_signals) / sizeof(wanted_signals[0]); i++) {
        struct sigaction action;
        if (sigaction(wanted_signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            sigaddset(&wanted, wanted_signals[i]);
        }
    }
    attention->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (attention->signal_fd < 0) {
        return -errno;
    }
    sigprocmask(SIG_BLOCK, &wanted, &attention->inherited_mask);
    return 0;
}

static void attention_close(struct attention *attention)
{
    sigprocmask(SIG_SETMASK, &attention->inherited_mask, NULL);
    attention->signal_fd = fd_close(attention->signal_fd);
}

/* Returns the signal that came, or 0 when the run has stopped. */
static int wait_for_end(const struct attention *attention, const struct run_watch *watch)
{
    struct pollfd wanted[] = {
        {.fd = run_watch_fd(watch), .events = POLLIN},
        {.fd = attention->signal_fd, .events = POLLIN},
    };
    for (;;) {
        if (poll(wanted, 2, -1) < 0) {
            continue; /* EINTR; nothing else can happen to two open descriptors */
        }
        struct signalfd_siginfo info;
        if (read(attention->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            return (int)info.ssi_signo;
        }
        if (wanted[0].revents != 0) {
            return 0;
        }
    }
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
    struct attention attention;
    int r = attention_open(&attention);
    if (r < 0) {
        error_set_errno(&error, r, "waiting for signals");
        return fail(&error);
    }
    _cleanup_(run_watch_freep) struct run_watch *watch = NULL;
    bool draws = !recording->options->quiet && live_line_can_draw(STDERR_FILENO);
    r = run_watch_start(recording->socket_path, recording->run.id, draws, &watch, &error);
    int signal = r == 0 ? wait_for_end(&attention, watch) : 0;
    watch = run_watch_free(watch);
    attention_close(&attention);
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
    if (signal == SIGINT && recording_stop(recording, &error) < 0) {
        return fail(&error);
    }
    if (recording_finish(recording, &error) < 0) {
        return fail(&error);
    }
    return EXIT_CODE_DONE;
}
