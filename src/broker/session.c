/* SPDX-License-Identifier: MIT */
#include "broker/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "broker_wire/fd_pass.h"

#define AUDIT_LINES_PER_S 200u
/* Not among what is answered: nobody here answers any more. */
#define HANDED_OVER BROKER_REFUSAL_N

static void audit(const char *what, const struct caller *caller, pid_t pid, const char *key,
                  const char *value)
{
    static uint64_t second, n_lines;
    uint64_t now_s = clock_now_ns() / NS_PER_S;
    n_lines = now_s == second ? n_lines + 1 : 0;
    second = now_s;
    if (n_lines < AUDIT_LINES_PER_S) {
        (void)dprintf(STDERR_FILENO, "staxd: %s uid=%u gid=%u caller=%d pid=%d %s=%s\n", what,
                      caller->uid, caller->gid, caller->pid, pid, key, value);
    } else if (n_lines == AUDIT_LINES_PER_S) {
        (void)dprintf(STDERR_FILENO, "staxd: more in this second is left out\n");
    }
}

void session_refuse(const struct caller *caller, pid_t pid, enum broker_refusal refusal)
{
    audit("refused", caller, pid, "reason", broker_refusal_name(refusal));
}

/* What has come together since then, at so many a second. */
static uint64_t take_since(uint64_t *inout_ns, uint64_t per_s)
{
    uint64_t now_ns = clock_now_ns(), n = (now_ns - *inout_ns) / (NS_PER_S / per_s);
    *inout_ns = n > 0 ? now_ns : *inout_ns;
    return n;
}

bool user_has_token(struct user *user)
{
    user->n_tokens += take_since(&user->seen_ns, USER_REQUESTS_PER_S);
    user->n_tokens = user->n_tokens < USER_BURST ? user->n_tokens : USER_BURST;
    return user->n_tokens > 0;
}

void session_begin(struct session *session, int take_fd, const struct caller *caller,
                   struct user *user, uint64_t now_ns)
{
    *session = (struct session){.fd = take_fd,
                                .caller = *caller,
                                .user = user,
                                .since_ns = now_ns,
                                .pidfd = -1,
                                .target = {.process_fd = -1}};
    user->n_sessions++;
}

static void release(struct session *session)
{
    session->watch = sched_watch_free(session->watch);
    session->pidfd = fd_close(session->pidfd);
    session->target.process_fd = fd_close(session->target.process_fd);
    session->fd = fd_close(session->fd);
}

void session_close(struct session *session)
{
    if (session->worker != 0) {
        (void)waitpid(session->worker, NULL, WNOHANG);
        session->user->n_watches--;
    } else if (session->phase == BROKER_PHASE_OPEN) {
        audit("closed", &session->caller, session->target.pid, "what", "OPEN_SESSION");
    }
    session->user->n_sessions--;
    release(session);
}

void session_recheck(struct session *session)
{
    if (open_events_check(&session->caller, &session->target, session->target.pid) != 0) {
        audit("ended", &session->caller, session->target.pid, "what", "START_SWITCHES");
        session->watch = sched_watch_free(session->watch);
    }
}

static int open_session(struct session *session, int take_pidfd)
{
    session->pidfd = take_pidfd;
    int r = target_facts_open(session->pidfd, &session->target.pid, &session->target.process_fd);
    if (r != 0) {
        return r == -EBADF ? BROKER_REFUSED_NO_PIDFD : r == -ESRCH ? BROKER_REFUSED_GONE : r;
    }
    return open_events_check(&session->caller, &session->target, session->target.pid);
}

/* The new process, which runs as this one does, keeps the session and nothing else. */
static int start_switches(struct broker *broker, struct session *session, bool no_kernel)
{
    struct user *user = session->user;
    if (broker->listen_fd < 0 || user->n_watches >= USER_SWITCHES_MAX) {
        return BROKER_REFUSED_TOO_MANY;
    }
    user->n_tokens = user->n_tokens > USER_SWITCHES_COST ? user->n_tokens - USER_SWITCHES_COST : 0;
    pid_t worker = fork();
    if (worker != 0) {
        int worker_fd = worker < 0 ? -1 : (int)syscall(SYS_pidfd_open, worker, 0);
        if (worker_fd < 0) {
            int r = -errno;
            (void)(worker > 0 && kill(worker, SIGKILL)); /* two would read from the caller */
            return r;
        }
        release(session);
        session->fd = worker_fd;
        session->worker = worker;
        user->n_watches++;
        return HANDED_OVER;
    }
    broker->listen_fd = fd_close(broker->listen_fd);
    for (size_t i = 0; i < SESSION_N; i++) {
        if (&broker->sessions[i] != session && broker->sessions[i].fd >= 0) {
            release(&broker->sessions[i]);
        }
    }
    return open_switches_start(&session->caller, &session->target, no_kernel, &session->watch);
}

/* A descriptor that came with it is taken; one that goes out is put in its place. */
static int perform(struct broker *broker, struct session *session,
                   const struct broker_event_request *request, int *inout_fd)
{
    bool wants_kernel = (request->flags & BROKER_FLAG_EXCLUDE_KERNEL) == 0;
    bool is_forbidden = wants_kernel && broker->no_kernel_stacks;
    if (session->phase == BROKER_PHASE_OPEN) {
        uint64_t n_spent = take_since(&session->since_ns, SESSION_EVENTS_PER_S);
        session->n_events -= n_spent < session->n_events ? (uint32_t)n_spent : session->n_events;
    }
    bool is_full = session->n_events >= BROKER_SESSION_EVENTS_MAX;
    switch (request->verb) {
    case BROKER_OPEN_SESSION:
        return open_session(session, TAKE_FD(*inout_fd));
    case BROKER_OPEN_EVENT:
        return is_forbidden ? BROKER_REFUSED_POLICY
               : is_full    ? BROKER_REFUSED_TOO_MANY
                         : open_events_open(&session->caller, &session->target, request, inout_fd);
    case BROKER_START_SWITCHES:
        return is_forbidden ? BROKER_REFUSED_POLICY
                            : start_switches(broker, session, !wants_kernel);
    case BROKER_OPEN_SWITCHES:
        return !session->watch || is_full
                   ? BROKER_REFUSED_TOO_MANY
                   : open_switches_ring(session->watch, request->flags, inout_fd);
    case BROKER_OPEN_KERNEL_NAMES:
        /* Opened anew each time: the place in a file is shared by its duplicates. */
        *inout_fd = broker->has_kernel_names ? open("/proc/kallsyms", O_RDONLY | O_CLOEXEC) : -1;
        return *inout_fd < 0 ? BROKER_REFUSED_POLICY : 0;
    default:
        return 0;
    }
}

static void note_granted(struct session *session, const struct broker_event_request *request)
{
    const struct broker_rule *rule = broker_rule_of(request->verb);
    bool is_event = request->verb == BROKER_OPEN_EVENT;
    uint32_t bit = 1u << (is_event ? BROKER_VERB_END + request->kind : request->verb);
    session->phase = rule->next_phase > session->phase ? rule->next_phase : session->phase;
    session->n_events += rule->has_descriptor;
    if (session->phase == BROKER_PHASE_OPEN && (session->verbs & bit) == 0) {
        session->verbs |= bit;
        audit("granted", &session->caller, session->target.pid, "what",
              is_event ? broker_kind_name((enum broker_kind)request->kind) : rule->name);
    }
}

bool session_serve(struct broker *broker, struct session *session)
{
    char data[BROKER_REQUEST_MAX_BYTES];
    struct broker_event_request request = {0};
    _cleanup_(fd_closep) int fd = -1;
    int status = BROKER_REFUSED_LENGTH;
    if (session->worker != 0) {
        return false; /* it has ended */
    }
    ssize_t n_bytes = fd_pass_receive(session->fd, data, sizeof(data), &fd, false);
    if (n_bytes == -EAGAIN || n_bytes == 0 || (n_bytes < 0 && n_bytes != -EMSGSIZE)) {
        return n_bytes == -EAGAIN;
    }
    session->user->n_tokens -= session->user->n_tokens > 0;
    if (n_bytes > 0) {
        status =
            (int)broker_check_request(session->phase, data, (size_t)n_bytes, fd >= 0, &request);
    }
    bool is_over = status != 0;
    if (status == 0) {
        status = perform(broker, session, &request, &fd);
        is_over = status != 0 && session->phase != BROKER_PHASE_OPEN;
    }
    if (status == HANDED_OVER) {
        return true;
    }
    if (status == 0) {
        note_granted(session, &request);
    } else if (status > 0) {
        session_refuse(&session->caller, session->target.pid, (enum broker_refusal)status);
    }
    const struct broker_reply reply = {
        .verb = request.verb,
        .status = status,
        .version = BROKER_VERSION,
        .abilities = (broker->no_kernel_stacks ? 0 : BROKER_CAN_KERNEL_STACKS) |
                     (broker->has_kernel_names ? BROKER_CAN_KERNEL_NAMES : 0) | BROKER_CAN_SWITCHES,
        .n_events = session->n_events};
    int r = fd_pass_send(session->fd, &reply, sizeof(reply), status == 0 ? fd : -1, false);
    if (r == -EAGAIN) {
        session_refuse(&session->caller, session->target.pid, BROKER_REFUSED_SLOW);
    }
    return r == 0 && !is_over;
}
