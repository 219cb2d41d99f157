/* SPDX-License-Identifier: MIT */

#include "target/hello.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stax/target.h>

#include "target_ring/memory.h"

static const char question[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"target.hello\",\"params\":{\"version\":1,"
    "\"library\":\"" STAX_VERSION "\"}}\n";

static int check_peer(int fd)
{
    struct ucred peer;
    socklen_t n_bytes = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_bytes) < 0) {
        return -errno;
    }
    return peer.uid == geteuid() ? 0 : -EPERM;
}

int target_hello_open(int *ret_fd)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -errno;
    }
    *ret_fd = target_ring_move_fd(fd);
    return 0;
}

int target_hello_connect(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        return -errno;
    }
    return check_peer(fd);
}

/* The descriptor goes with the first byte. The question fits into an empty socket. */
static int ask(int fd, int memory_fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)question, .iov_len = sizeof(question) - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    memset(&control, 0, sizeof(control));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &memory_fd, sizeof(memory_fd));
    ssize_t n_sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n_sent < 0) {
        return -errno;
    }
    return (size_t)n_sent == sizeof(question) - 1 ? 0 : -EIO;
}

static int64_t now_ms(void)
{
    return (int64_t)(stax_now_ns() / 1000000);
}

static int read_line(int fd, char line[TARGET_ANSWER_BYTES])
{
    int64_t deadline_ms = now_ms() + TARGET_ANSWER_MS;
    size_t n_bytes = 0;

    while (n_bytes < TARGET_ANSWER_BYTES - 1) {
        ssize_t n_read = recv(fd, line + n_bytes, TARGET_ANSWER_BYTES - 1 - n_bytes, MSG_DONTWAIT);
        if (n_read == 0) {
            return -ECONNRESET;
        }
        if (n_read < 0 && errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
        if (n_read > 0) {
            n_bytes += (size_t)n_read;
            line[n_bytes] = '\0';
            if (strchr(line, '\n')) {
                return 0;
            }
            continue;
        }
        int64_t left_ms = deadline_ms - now_ms();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0) {
            return -ETIMEDOUT;
        }
        poll(&wait, 1, (int)left_ms);
    }
    return -EMSGSIZE;
}

/* The number behind "name": in the line, or -1. */
static long number_of(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    char *end;

    if (!at) {
        return -1;
    }
    at += strlen(name);
    at += strspn(at, " \t");
    if (*at != ':') {
        return -1;
    }
    long number = strtol(at + 1, &end, 10);
    return end == at + 1 ? -1 : number;
}

bool target_hello_is_yes(const char *line)
{
    return !strstr(line, "\"error\"") && strstr(line, "\"result\"") &&
           number_of(line, "\"version\"") == STAX_TARGET_VERSION;
}

int target_hello_say(int fd, int memory_fd)
{
    char line[TARGET_ANSWER_BYTES];
    int r = ask(fd, memory_fd);

    if (r < 0) {
        return r;
    }
    r = read_line(fd, line);
    if (r < 0) {
        return r;
    }
    return target_hello_is_yes(line) ? 0 : -EPROTO;
}
