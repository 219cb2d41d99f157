/* SPDX-License-Identifier: MIT */

/*
 * The program staxd: opens events for those who may observe a process, and
 * hands the descriptors over. One thread, one loop, no memory but what it
 * starts with.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "broker/listen.h"
#include "broker/sandbox.h"
#include "broker/session.h"

#define IDLE_LOOK_MS 500
#define STARVED_LOOK_MS 20
/* Whose programs are at work is looked at anew so often. */
#define RECHECK_MS 200

static struct broker broker;

static void describe(void)
{
    static const char *const phases[] = {"as before", "greeted", "open"};
    puts("| verb | number | bytes | with a descriptor | in phase | then | answered with one |\n"
         "|---|---|---|---|---|---|---|");
    for (uint32_t verb = 1; verb < BROKER_VERB_END; verb++) {
        const struct broker_rule *rule = broker_rule_of(verb);
        printf("| %s | %u | %zu | %s |%s%s%s | %s | %s |\n", rule->name, verb, rule->n_bytes,
               rule->n_fds ? "yes" : "no", rule->phases & 1u << BROKER_PHASE_NEW ? " new" : "",
               rule->phases & 1u << BROKER_PHASE_GREETED ? " greeted" : "",
               rule->phases & 1u << BROKER_PHASE_OPEN ? " open" : "", phases[rule->next_phase],
               rule->has_descriptor ? "yes" : "no");
    }
    for (int kind = 1; kind < BROKER_KIND_END; kind++) {
        printf("kind %d %s\n", kind, broker_kind_name((enum broker_kind)kind));
    }
    for (int refusal = 1; refusal < BROKER_REFUSAL_N; refusal++) {
        printf("refusal %d %s\n", refusal, broker_refusal_name((enum broker_refusal)refusal));
    }
    printf("limits: version %u, %u connections, %u of one uid, %u events each, %u requests at once "
           "and %u a second of one uid\n",
           BROKER_VERSION, SESSION_N, SESSIONS_PER_UID, BROKER_SESSION_EVENTS_MAX, USER_BURST,
           USER_REQUESTS_PER_S);
}

/* The place of that uid; a new one takes that of whoever has been away longest. */
static struct user *find_user(uid_t uid, uint64_t now_ns)
{
    struct user *oldest = NULL;
    for (size_t i = 0; i < SESSION_N; i++) {
        struct user *user = &broker.users[i];
        if (user->seen_ns != 0 && user->uid == uid) {
            return user;
        }
        if (user->n_sessions == 0 && (!oldest || user->seen_ns < oldest->seen_ns)) {
            oldest = user;
        }
    }
    if (oldest) {
        *oldest = (struct user){.uid = uid, .seen_ns = now_ns, .n_tokens = USER_BURST};
    }
    return oldest;
}

static void take_connection(uint64_t now_ns)
{
    struct caller caller;
    _cleanup_(fd_closep) int fd = listen_accept(broker.listen_fd, &caller);
    if (fd < 0) {
        return;
    }
    struct user *user = find_user(caller.uid, now_ns);
    for (size_t i = 0; user && user->n_sessions < SESSIONS_PER_UID && i < SESSION_N; i++) {
        if (broker.sessions[i].fd < 0) {
            session_begin(&broker.sessions[i], TAKE_FD(fd), &caller, user, now_ns);
            return;
        }
    }
    session_refuse(&caller, 0, BROKER_REFUSED_TOO_MANY);
}

/* What is to be waited for, and how long. */
static int look(struct pollfd *fds, uint64_t now_ns, size_t *ret_n_open)
{
    int timeout_ms = -1;
    *ret_n_open = 0;
    for (size_t i = 0; i < SESSION_N; i++) {
        struct session *session = &broker.sessions[i];
        fds[i] = (struct pollfd){.fd = session->fd, .events = POLLIN};
        if (session->fd < 0) {
            continue;
        }
        ++*ret_n_open;
        if (session->phase != BROKER_PHASE_OPEN) {
            timeout_ms = timeout_ms < 0 ? IDLE_LOOK_MS : timeout_ms;
            if (now_ns - session->since_ns > SESSION_IDLE_NS) {
                session_refuse(&session->caller, 0, BROKER_REFUSED_SLOW);
                session_close(session);
                fds[i].fd = -1;
            }
        } else if (session->watch) {
            session_recheck(session);
            timeout_ms = RECHECK_MS;
        }
        if (!user_has_token(session->user, now_ns)) {
            fds[i].fd = -1;
            timeout_ms = STARVED_LOOK_MS;
        }
    }
    return timeout_ms;
}

static int serve(void)
{
    struct pollfd fds[SESSION_N + 1];
    for (;;) {
        size_t n_open;
        int timeout_ms = look(fds, clock_now_ns(), &n_open);
        fds[SESSION_N] = (struct pollfd){.fd = broker.listen_fd, .events = POLLIN};
        if (broker.listen_fd < 0 && n_open == 0) {
            return 0;
        }
        if (poll(fds, SESSION_N + 1, timeout_ms) < 0 && errno != EINTR) {
            return -errno;
        }
        for (size_t i = 0; i < SESSION_N; i++) {
            struct session *session = &broker.sessions[i];
            /* In a process that was made for one session, the others are gone by now. */
            if (fds[i].fd >= 0 && fds[i].revents != 0 && session->fd >= 0 &&
                !session_serve(&broker, session)) {
                session_close(session);
            }
        }
        if (fds[SESSION_N].revents != 0 && broker.listen_fd >= 0) {
            take_connection(clock_now_ns());
        }
    }
}

/* Does the kernel tell us addresses? Only data that each CPU has of its own has none then. */
static bool has_kernel_names(void)
{
    char text[4096];
    bool has_address = false;
    _cleanup_(fd_closep) int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && !has_address && (n = read(fd, text, sizeof(text))) > 0;) {
        has_address = memmem(text, (size_t)n, "\nffff", 5) != NULL;
    }
    return has_address;
}

static int complain(const char *doing, int negative_errno)
{
    (void)fprintf(stderr, "staxd: %s: %s\n", doing, strerror(-negative_errno));
    return EXIT_FAILURE;
}

static int usage(int code)
{
    (void)fprintf(code ? stderr : stdout,
                  "usage: staxd [--socket PATH] [--socket-group GROUP] [--no-kernel-stacks]\n"
                  "       staxd --describe | --version | --help\n");
    return code;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"socket-group", required_argument, NULL, 'g'},
        {"no-kernel-stacks", no_argument, NULL, 'k'},
        {"describe", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = BROKER_SOCKET;
    gid_t group_id = (gid_t)-1;
    for (int option; (option = getopt_long(argc, argv, "hV", options, NULL)) != -1;) {
        const struct group *group;
        switch (option) {
        case 's':
            path = optarg;
            break;
        case 'g':
            group = getgrnam(optarg);
            if (!group) {
                return complain("--socket-group", -ENOENT);
            }
            group_id = group->gr_gid;
            break;
        case 'k':
            broker.no_kernel_stacks = true;
            break;
        case 'd':
            describe();
            return EXIT_SUCCESS;
        case 'V':
            puts("staxd " STAX_VERSION);
            return EXIT_SUCCESS;
        default:
            return usage(option == 'h' ? EXIT_SUCCESS : 2);
        }
    }
    if (optind < argc) {
        return usage(2);
    }
    for (size_t i = 0; i < SESSION_N; i++) {
        broker.sessions[i].fd = -1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    broker.listen_fd = listen_adopt();
    if (broker.listen_fd == -ENOENT) {
        broker.listen_fd = listen_open(path, group_id);
    }
    if (broker.listen_fd < 0) {
        return complain(path, broker.listen_fd);
    }
    int r = sandbox_enter();
    if (r != 0) {
        return complain("it has to be started as root", r);
    }
    broker.has_kernel_names = !broker.no_kernel_stacks && has_kernel_names();
    (void)fprintf(stderr, "staxd: " STAX_VERSION " listens\n");
    r = serve();
    return r == 0 ? EXIT_SUCCESS : complain("poll", r);
}
