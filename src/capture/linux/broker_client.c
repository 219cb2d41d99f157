/* SPDX-License-Identifier: MIT */
#include "capture/linux/broker_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "broker_wire/fd_pass.h"

struct broker_client {
    int fd; /* -1: it has gone */
    uint32_t abilities;
};

struct broker_client *broker_client_free(struct broker_client *client)
{
    if (client) {
        fd_close(client->fd);
        free(client);
    }
    return NULL;
}

uint32_t broker_client_abilities(const struct broker_client *client)
{
    return client->abilities;
}

/*
 * One question, one answer. *ret_fd (may be NULL: none is expected) is set
 * where a descriptor comes. Returns 0, an enum broker_refusal, or a negative
 * errno; -EPIPE: nothing more is to be had.
 */
static int ask(struct broker_client *client, const void *request, size_t n_bytes, int give_fd,
               struct broker_reply *ret_reply, int *ret_fd)
{
    _cleanup_(fd_closep) int fd = -1;
    *ret_reply = (struct broker_reply){0};
    if (client->fd < 0) {
        return -EPIPE;
    }
    int r = fd_pass_send(client->fd, request, n_bytes, give_fd, true);
    ssize_t n_read =
        r != 0 ? r : fd_pass_receive(client->fd, ret_reply, sizeof(*ret_reply), &fd, true);
    if (n_read != (ssize_t)sizeof(*ret_reply)) {
        client->fd = fd_close(client->fd);
        return -EPIPE;
    }
    if (ret_reply->status == 0 && ret_fd) {
        if (fd < 0) {
            return -EPROTO;
        }
        *ret_fd = TAKE_FD(fd);
    }
    return ret_reply->status;
}

/* The socket's own owner does not count: whoever made it listen is asked for. */
static bool listener_is_root(int fd)
{
    struct ucred peer;
    socklen_t n_bytes = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_bytes) == 0 && peer.uid == 0;
}

/* For an answer, or for room for a question. */
static int set_wait(int fd, time_t wait_s)
{
    const struct timeval wait = {.tv_sec = wait_s};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
                   setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0
               ? -errno
               : 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path));
    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || set_wait(fd, BROKER_CLIENT_WAIT_S) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        return -errno;
    }
    return listener_is_root(fd) ? TAKE_FD(fd) : -EPERM;
}

static void explain_absence(int negative_errno, const char *path, struct error *reterr_error)
{
    switch (-negative_errno) {
    case ENOENT:
    case ECONNREFUSED:
        error_set(reterr_error, "no_broker", "staxd is not installed (nobody listens at %s)", path);
        error_hint(reterr_error, "`sudo stax setup` installs it");
        break;
    case EACCES:
        error_set(reterr_error, "no_broker", "staxd at %s is not for this user", path);
        error_hint(reterr_error, "join the group of the socket: `sudo usermod -aG stax $USER`, "
                                 "then log in again");
        break;
    case EPERM:
        error_set(reterr_error, "no_broker", "who listens at %s is not root, and not asked", path);
        error_hint(reterr_error, "`sudo stax setup` installs staxd");
        break;
    default:
        error_set(reterr_error, "no_broker", "staxd at %s does not answer: %s", path,
                  strerror(-negative_errno));
        error_hint(reterr_error, "`sudo stax setup` installs it anew");
        break;
    }
}

int broker_client_new(const char *path, struct broker_client **ret_client,
                      struct error *reterr_error)
{
    const struct broker_short_request hello = {.verb = BROKER_HELLO, .word = BROKER_VERSION};
    struct broker_reply reply;
    path = path ? path : BROKER_SOCKET;
    _cleanup_(broker_client_freep) struct broker_client *client = calloc(1, sizeof(*client));
    if (!client) {
        error_set_errno(reterr_error, -ENOMEM, "asking staxd");
        return -ENOMEM;
    }
    client->fd = connect_to(path);
    int r = client->fd < 0 ? client->fd : ask(client, &hello, sizeof(hello), -1, &reply, NULL);
    r = r > 0 ? -EPROTO : r;
    if (r != 0) {
        explain_absence(r, path, reterr_error);
        return r;
    }
    client->abilities = reply.abilities;
    *ret_client = TAKE_PTR(client);
    return 0;
}

int broker_client_open_session(struct broker_client *client, int pidfd, struct error *reterr_error)
{
    const struct broker_short_request request = {.verb = BROKER_OPEN_SESSION};
    struct broker_reply reply;
    int r = pidfd < 0 ? -EOPNOTSUPP : ask(client, &request, sizeof(request), pidfd, &reply, NULL);
    if (r > 0) {
        error_set(reterr_error, "permission", "staxd does not let you observe this process: %s",
                  broker_refusal_name((enum broker_refusal)r));
        error_hint(reterr_error, "profile processes of your own user and group that gained no "
                                 "privilege, or record as root");
        return -EACCES;
    }
    if (r < 0) {
        error_set_errno(reterr_error, r, "asking staxd for a session");
    }
    return r;
}

bool broker_client_describe(const struct perf_event_attr *attr, pid_t tid, int cpu,
                            struct broker_event_request *ret_request)
{
    bool has_samples = attr->config == PERF_COUNT_SW_CPU_CLOCK;
    if (attr->type != PERF_TYPE_SOFTWARE || tid <= 0 ||
        (!has_samples && attr->config != PERF_COUNT_SW_DUMMY)) {
        return false;
    }
    *ret_request = (struct broker_event_request){
        .verb = BROKER_OPEN_EVENT,
        .kind = has_samples
                    ? (attr->task ? BROKER_KIND_SAMPLES_WITH_SIDE_BAND : BROKER_KIND_SAMPLES)
                    : (attr->task ? BROKER_KIND_SIDE_BAND : BROKER_KIND_ANCHOR),
        .tid = tid,
        .cpu = cpu,
        .period_ns = has_samples ? attr->sample_period : 0,
        .stack_bytes = has_samples ? attr->sample_stack_user : 0,
        .wakeup_bytes = attr->wakeup_watermark,
        .flags = (attr->exclude_kernel ? BROKER_FLAG_EXCLUDE_KERNEL : 0u) |
                 (attr->exclude_callchain_kernel ? BROKER_FLAG_NO_KERNEL_FRAMES : 0u) |
                 (attr->inherit ? BROKER_FLAG_INHERIT_THREADS : 0u) |
                 (attr->inherit && !attr->inherit_thread ? BROKER_FLAG_INHERIT_CHILDREN : 0u) |
                 (attr->context_switch ? BROKER_FLAG_WITH_SWITCHES : 0u) |
                 (attr->disabled ? 0u : BROKER_FLAG_ENABLED),
    };
    return true;
}

static int errno_of(int status)
{
    switch (status) {
    case BROKER_REFUSED_GONE:
    case BROKER_REFUSED_CHANGED: /* it ends, or becomes another program: a later look tells */
        return -ESRCH;
    case BROKER_REFUSED_TOO_MANY:
        return -EMFILE;
    default:
        return status > 0 ? -EACCES : status;
    }
}

static int open_one(struct broker_client *client, const void *request, size_t n_bytes)
{
    struct broker_reply reply;
    int fd = -1;
    int r = ask(client, request, n_bytes, -1, &reply, &fd);
    return r == 0 ? fd : errno_of(r);
}

int broker_client_open_event(struct broker_client *client, const struct perf_event_attr *attr,
                             pid_t tid, int cpu)
{
    struct broker_event_request request;
    return broker_client_describe(attr, tid, cpu, &request)
               ? open_one(client, &request, sizeof(request))
               : -EOPNOTSUPP;
}

int broker_client_open_kernel_names(struct broker_client *client)
{
    const struct broker_short_request request = {.verb = BROKER_OPEN_KERNEL_NAMES};
    return open_one(client, &request, sizeof(request));
}

int broker_client_start_switches(struct broker_client *client, bool no_kernel)
{
    const struct broker_short_request request = {
        .verb = BROKER_START_SWITCHES,
        .word = no_kernel ? BROKER_FLAG_EXCLUDE_KERNEL : 0,
    };
    struct broker_reply reply;
    if (client->fd >= 0) {
        (void)set_wait(client->fd, BROKER_CLIENT_LOAD_WAIT_S);
    }
    int r = ask(client, &request, sizeof(request), -1, &reply, NULL);
    if (client->fd >= 0) {
        (void)set_wait(client->fd, BROKER_CLIENT_WAIT_S);
    }
    return errno_of(r);
}

int broker_client_open_switches(struct broker_client *client, uint32_t cpu)
{
    const struct broker_short_request request = {.verb = BROKER_OPEN_SWITCHES, .word = cpu};
    return open_one(client, &request, sizeof(request));
}
