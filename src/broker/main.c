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
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "broker/listen.h"
#include "broker/sandbox.h"
#include "broker/session.h"

/* How long to wait at most while a connection has no target, while somebody's programs are at
 * work (who may see them is looked at anew each time), and while somebody has asked too much. */
#define GREETING_WAIT_MS 500
#define RECHECK_WAIT_MS 200
#define STARVED_WAIT_MS 20

static struct broker broker = {.sessions = {[0 ... SESSION_N - 1] = {.fd = -1}}};

static int describe(void)
{
    static const char *const phases[] = {"as before", "greeted", "open"};
    puts("| verb | number | bytes | with a descriptor | in phase | then | answered with one |\n"
         "|---|---|---|---|---|---|---|");
    for (uint32_t verb = 1; verb < BROKER_VERB_END; verb++) {
        const struct broker_rule *rule = broker_rule_of(verb);
        printf("| %s | %u | %zu | %s |%s%s%s | %s | %s |\n", rule->name, verb, rule->n_bytes,
               rule->n_fds ? "yes" : "no", rule->phases & 1 ? " new" : "",
               rule->phases & 2 ? " greeted" : "", rule->phases & 4 ? " open" : "",
               phases[rule->next_phase], rule->has_descriptor ? "yes" : "no");
    }
    for (int kind = 1; kind < BROKER_KIND_END; kind++) {
        printf("kind %d %s\n", kind, broker_kind_name((enum broker_kind)kind));
    }
    for (int refusal = 1; refusal < BROKER_REFUSAL_N; refusal++) {
        printf("refusal %d %s\n", refusal, broker_refusal_name((enum broker_refusal)refusal));
    }
    printf("limits: version %u, %u connections, %u of one uid, %u events each and %u more a "
           "second, %u requests at once and %u a second of one uid\n",
           BROKER_VERSION, SESSION_N, SESSIONS_PER_UID, BROKER_SESSION_EVENTS_MAX,
           SESSION_EVENTS_PER_S, USER_BURST, USER_REQUESTS_PER_S);
    return EXIT_SUCCESS;
}

/* The place of that uid; a new one takes that of whoever has been away longest. */
static struct user *find_user(uid_t uid, uint64_t now_ns)
{
    struct user *oldest = NULL;
    for (struct user *user = broker.users; user < broker.users + SESSION_N; user++) {
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
    struct user *user = fd < 0 ? NULL : find_user(caller.uid, now_ns);
    for (size_t i = 0; user && user->n_sessions < SESSIONS_PER_UID && i < SESSION_N; i++) {
        if (broker.sessions[i].fd < 0) {
            session_begin(&broker.sessions[i], TAKE_FD(fd), &caller, user, now_ns);
            return;
        }
    }
    if (fd >= 0) {
        session_refuse(&caller, 0, BROKER_REFUSED_TOO_MANY);
    }
}

/* What is to be waited for, of one session; lowers the time that may be waited. */
static int look(struct session *session, uint64_t now_ns, int *inout_wait_ms)
{
    int wait_ms = *inout_wait_ms;
    if (session->phase != BROKER_PHASE_OPEN) {
        wait_ms = GREETING_WAIT_MS;
        if (now_ns - session->since_ns > SESSION_IDLE_NS) {
            session_refuse(&session->caller, 0, BROKER_REFUSED_SLOW);
            session_close(session);
            return -1;
        }
    } else if (session->watch) {
        session_recheck(session);
        wait_ms = RECHECK_WAIT_MS;
    }
    bool may_ask = user_has_token(session->user);
    wait_ms = may_ask ? wait_ms : STARVED_WAIT_MS;
    *inout_wait_ms =
        (unsigned int)wait_ms < (unsigned int)*inout_wait_ms ? wait_ms : *inout_wait_ms;
    return may_ask ? session->fd : -1;
}

static int serve(void)
{
    struct pollfd fds[SESSION_N + 1];
    for (size_t n_open;;) {
        int wait_ms = -1;
        n_open = 0;
        fds[SESSION_N] = (struct pollfd){.fd = broker.listen_fd, .events = POLLIN};
        for (size_t i = 0; i < SESSION_N; i++) {
            struct session *session = &broker.sessions[i];
            fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
            if (session->fd >= 0) {
                fds[i].fd = look(session, clock_now_ns(), &wait_ms);
                n_open++;
            }
        }
        if (broker.listen_fd < 0 && n_open == 0) {
            return 0;
        }
        if (poll(fds, SESSION_N + 1, wait_ms) < 0 && errno != EINTR) {
            return -errno;
        }
        for (size_t i = 0; i < SESSION_N; i++) {
            /* In a process that was made for one session the others are gone by now. */
            if (fds[i].fd >= 0 && fds[i].revents != 0 && broker.sessions[i].fd >= 0 &&
                !session_serve(&broker, &broker.sessions[i])) {
                session_close(&broker.sessions[i]);
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

static int end(const char *doing, int negative_errno)
{
    (void)fprintf(stderr, "staxd: %s: %s\n", doing, strerror(-negative_errno));
    return negative_errno == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"socket-group", required_argument, NULL, 'g'},
                                            {"no-kernel-stacks", no_argument, NULL, 'k'},
                                            {"describe", no_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    const char *path = BROKER_SOCKET, *group_name = NULL;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'd') {
            return describe();
        }
        if (option == '?') {
            return end("[--socket PATH] [--socket-group GROUP] [--no-kernel-stacks] [--describe]",
                       -EINVAL);
        }
        path = option == 's' ? optarg : path;
        group_name = option == 'g' ? optarg : group_name;
        broker.no_kernel_stacks |= option == 'k';
    }
    const struct group *group = group_name ? getgrnam(group_name) : NULL;
    if (group_name && !group) {
        return end("--socket-group", -ENOENT);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    broker.listen_fd = listen_adopt();
    if (broker.listen_fd == -ENOENT) {
        broker.listen_fd = listen_open(path, group ? group->gr_gid : (gid_t)-1);
    }
    int r = broker.listen_fd < 0 ? broker.listen_fd : sandbox_enter();
    if (r != 0) {
        return end(broker.listen_fd < 0 ? path : "it has to be started as root", r);
    }
    broker.has_kernel_names = !broker.no_kernel_stacks && has_kernel_names();
    (void)fprintf(stderr, "staxd: " STAX_VERSION " listens\n");
    return end("ends", serve());
}
