/* SPDX-License-Identifier: MIT */

#include "target/test_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define N_PEERS 64

struct test_server {
    int listen_fd, stop_fds[2];
    enum test_server_manner manner;
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned n_peers, n_hellos;
    struct test_peer peers[N_PEERS];
};

static const char *const answers[] = {
    [TEST_SERVER_ACCEPTS] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"version\":1}}\n",
    [TEST_SERVER_REFUSES] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,"
                            "\"message\":\"only version 2 is spoken here\"}}\n",
    [TEST_SERVER_KNOWS_NO_SUCH_METHOD] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,"
                                         "\"message\":\"no method target.hello\"}}\n",
    [TEST_SERVER_HANGS_UP] = NULL,
};

static void give_up(const char *what)
{
    perror(what);
    _exit(1);
}

/* The line, and the descriptor that came with it. */
static int receive_hello(int fd)
{
    char line[1024];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = line, .iov_len = sizeof(line) - 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t n_bytes = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int memory_fd = -1;

    if (n_bytes <= 0 || !header || header->cmsg_type != SCM_RIGHTS) {
        return -1;
    }
    memcpy(&memory_fd, CMSG_DATA(header), sizeof(memory_fd));
    line[n_bytes] = '\0';
    if (!strstr(line, "\"method\":\"target.hello\"") || line[n_bytes - 1] != '\n') {
        fprintf(stderr, "not a hello: %s\n", line);
        _exit(1);
    }
    return memory_fd;
}

static void map_peer(struct test_peer *peer, int memory_fd)
{
    peer->memory = mmap(NULL, TARGET_RING_BYTES, PROT_READ, MAP_SHARED, memory_fd, 0);
    peer->control = mmap(NULL, TARGET_RING_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
    if (peer->memory == MAP_FAILED || (void *)peer->control == MAP_FAILED) {
        give_up("mmap");
    }
    peer->tail = __atomic_load_n(&peer->control->tail, __ATOMIC_RELAXED);
}

static void welcome(struct test_server *server, int fd)
{
    struct ucred who;
    socklen_t n_bytes = sizeof(who);
    const char *answer = answers[server->manner];
    int memory_fd = receive_hello(fd);

    server->n_hellos += memory_fd >= 0;
    if (memory_fd < 0 || server->n_peers == N_PEERS ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n_bytes) < 0 || !answer) {
        close(fd);
        close(memory_fd);
        return;
    }
    struct test_peer *peer = &server->peers[server->n_peers++];
    *peer = (struct test_peer){.pid = who.pid, .fd = fd};
    map_peer(peer, memory_fd);
    close(memory_fd);
    peer->is_there =
        send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0 && server->manner == TEST_SERVER_ACCEPTS;
}

static void look_at_peers(struct test_server *server)
{
    for (unsigned i = 0; i < server->n_peers; i++) {
        struct test_peer *peer = &server->peers[i];
        char byte;
        if (peer->fd >= 0 && recv(peer->fd, &byte, 1, MSG_DONTWAIT) == 0) {
            close(peer->fd);
            peer->fd = -1;
            peer->is_there = false;
        }
    }
}

static void *serve(void *argument)
{
    struct test_server *server = argument;

    for (;;) {
        struct pollfd wait[2 + N_PEERS] = {{.fd = server->stop_fds[0], .events = POLLIN},
                                           {.fd = server->listen_fd, .events = POLLIN}};
        pthread_mutex_lock(&server->lock);
        for (unsigned i = 0; i < server->n_peers; i++) {
            wait[2 + i] = (struct pollfd){.fd = server->peers[i].fd, .events = POLLIN};
        }
        nfds_t n = 2 + server->n_peers;
        pthread_mutex_unlock(&server->lock);
        poll(wait, n, -1);
        if (wait[0].revents) {
            return NULL;
        }
        pthread_mutex_lock(&server->lock);
        int fd = wait[1].revents ? accept(server->listen_fd, NULL, NULL) : -1;
        if (fd >= 0) {
            welcome(server, fd);
        }
        look_at_peers(server);
        pthread_mutex_unlock(&server->lock);
    }
}

struct test_server *test_server_start(const char *path, enum test_server_manner manner)
{
    struct test_server *server = calloc(1, sizeof(*server));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!server) {
        give_up("calloc");
    }
    server->manner = manner;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listen_fd < 0 ||
        bind(server->listen_fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(server->listen_fd, 64) < 0 || pipe(server->stop_fds) < 0 ||
        pthread_mutex_init(&server->lock, NULL) != 0 ||
        pthread_create(&server->thread, NULL, serve, server) != 0) {
        give_up(path);
    }
    return server;
}

void test_server_stop(struct test_server *server)
{
    if (write(server->stop_fds[1], "", 1) != 1) {
        give_up("pipe");
    }
    pthread_join(server->thread, NULL);
    for (unsigned i = 0; i < server->n_peers; i++) {
        munmap(server->peers[i].memory, TARGET_RING_BYTES);
        munmap(server->peers[i].control, TARGET_RING_PAGE);
        if (server->peers[i].fd >= 0) {
            close(server->peers[i].fd);
        }
    }
    close(server->listen_fd);
    close(server->stop_fds[0]);
    close(server->stop_fds[1]);
    free(server);
}

unsigned test_server_n_hellos(const struct test_server *server)
{
    struct test_server *locked = (struct test_server *)server;

    pthread_mutex_lock(&locked->lock);
    unsigned n_hellos = server->n_hellos;
    pthread_mutex_unlock(&locked->lock);
    return n_hellos;
}

static struct test_peer *find_now(struct test_server *server, pid_t pid)
{
    struct test_peer *found = NULL;

    pthread_mutex_lock(&server->lock);
    for (unsigned i = 0; i < server->n_peers; i++) {
        if (server->peers[i].is_there && server->peers[i].pid == pid) {
            found = &server->peers[i];
        }
    }
    pthread_mutex_unlock(&server->lock);
    return found;
}

struct test_peer *test_server_find(struct test_server *server, pid_t pid, int timeout_ms)
{
    for (int waited_ms = 0;; waited_ms++) {
        struct test_peer *found = find_now(server, pid);
        if (found || waited_ms >= timeout_ms) {
            return found;
        }
        poll(NULL, 0, 1);
    }
}

void test_peer_set_active(struct test_peer *peer, bool is_active)
{
    if (is_active) {
        peer->tail = __atomic_load_n(&target_ring_state(peer->memory)->head, __ATOMIC_ACQUIRE);
        __atomic_store_n(&peer->control->tail, peer->tail, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&peer->control->active, is_active, __ATOMIC_RELEASE);
}

/* Spans are told as taken before their slots are. */
static void move_tail(struct test_peer *peer, uint64_t n_spans)
{
    uint64_t n_taken = __atomic_load_n(&peer->control->n_taken, __ATOMIC_RELAXED) + n_spans;

    __atomic_store_n(&peer->control->n_taken, n_taken, __ATOMIC_RELEASE);
    __atomic_store_n(&peer->control->tail, peer->tail, __ATOMIC_RELEASE);
}

static const struct target_ring_slot *next_slot(const struct test_peer *peer)
{
    const struct target_ring_slot *slot =
        &target_ring_slots(peer->memory)[peer->tail & (TARGET_RING_SLOTS - 1)];

    return __atomic_load_n(&slot->commit, __ATOMIC_ACQUIRE) == peer->tail + 1 ? slot : NULL;
}

size_t test_peer_take(struct test_peer *peer, struct target_ring_slot *ret_slots, size_t n_max)
{
    const struct target_ring_slot *slot;
    uint64_t n_spans = 0;
    size_t n = 0;

    while (n < n_max && (slot = next_slot(peer))) {
        n_spans += slot->kind == TARGET_RING_SPAN;
        ret_slots[n++] = *slot;
        peer->tail++;
    }
    move_tail(peer, n_spans);
    return n;
}

size_t test_peer_drain(struct test_peer *peer)
{
    const struct target_ring_slot *slot;
    uint64_t n_spans = 0;
    size_t n = 0;

    while ((slot = next_slot(peer))) {
        n_spans += slot->kind == TARGET_RING_SPAN;
        peer->tail++;
        n++;
    }
    move_tail(peer, n_spans);
    return n;
}

void test_peer_name(const struct test_peer *peer, uint32_t id, char *ret_text, size_t size)
{
    const struct target_ring_name *name = &target_ring_names(peer->memory)[id];

    snprintf(ret_text, size, "%.*s", (int)name->n_bytes,
             target_ring_text(peer->memory) + name->text_offset);
}
