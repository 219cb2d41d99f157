/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/test_server.h"

#define MAX_CONNECTIONS 8
#define LINE_MAX_BYTES (64u * 1024)

struct test_server {
    char folder[64];
    char socket_path[96];
    test_server_cb answer;
    void *userdata;
    int listen_fd, end_read_fd, end_fd;
    pthread_t thread;
};

/* The text of a string member, cut out of the line; good enough for what our own client writes. */
static void copy_member(const char *line, const char *member, char *ret_value, size_t value_bytes)
{
    const char *at = strstr(line, member);
    at = at ? at + strlen(member) : "";
    at += strspn(at, ": \"");
    snprintf(ret_value, value_bytes, "%.*s", (int)strcspn(at, "\",}"), at);
}

static bool answer_line(const struct test_server *server, int fd, const char *line)
{
    char method[64];
    char id[32];
    copy_member(line, "\"method\"", method, sizeof(method));
    copy_member(line, "\"id\"", id, sizeof(id));
    _cleanup_(text_releasep) struct text result;
    text_init(&result, LINE_MAX_BYTES);
    bool is_error = false;
    if (!server->answer(server->userdata, method, line, &result, &is_error)) {
        return false;
    }
    _cleanup_(text_releasep) struct text document;
    text_init(&document, LINE_MAX_BYTES);
    text_printf(&document, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"%s\":%s}\n", id,
                is_error ? "error" : "result", result.data);
    return fd_write_all(fd, document.data, document.length_bytes) == 0;
}

/* Requests of our client come one at a time, so that a read ends where a line ends. */
static bool answer_connection(const struct test_server *server, int fd)
{
    char line[LINE_MAX_BYTES];
    size_t n_bytes = 0;
    do {
        ssize_t n = recv(fd, line + n_bytes, sizeof(line) - 1 - n_bytes, 0);
        if (n <= 0) {
            return false;
        }
        n_bytes += (size_t)n;
    } while (line[n_bytes - 1] != '\n' && n_bytes < sizeof(line) - 1);
    line[n_bytes] = '\0';
    return answer_line(server, fd, line);
}

static void *serve(void *userdata)
{
    struct test_server *server = userdata;
    struct pollfd fds[2 + MAX_CONNECTIONS] = {
        {.fd = server->end_read_fd, .events = POLLIN},
        {.fd = server->listen_fd, .events = POLLIN},
    };
    for (size_t i = 2; i < 2 + MAX_CONNECTIONS; i++) {
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    }
    while (poll(fds, 2 + MAX_CONNECTIONS, -1) >= 0 && fds[0].revents == 0) {
        for (size_t i = 2; i < 2 + MAX_CONNECTIONS; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0 && !answer_connection(server, fds[i].fd)) {
                fds[i].fd = fd_close(fds[i].fd);
            }
        }
        if (fds[1].revents != 0) {
            int fd = accept(server->listen_fd, NULL, NULL);
            for (size_t i = 2; fd >= 0 && i < 2 + MAX_CONNECTIONS; i++) {
                if (fds[i].fd < 0) {
                    fds[i].fd = fd;
                    fd = -1;
                }
            }
            fd_close(fd);
        }
    }
    for (size_t i = 2; i < 2 + MAX_CONNECTIONS; i++) {
        fd_close(fds[i].fd);
    }
    return NULL;
}

struct test_server *test_server_start(test_server_cb answer, void *userdata)
{
    signal(SIGPIPE, SIG_IGN); /* clients may hang up before their answer */
    struct test_server *server = calloc(1, sizeof(*server));
    assert_non_null(server);
    server->answer = answer;
    server->userdata = userdata;
    snprintf(server->folder, sizeof(server->folder), "/tmp/test-server-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    snprintf(server->socket_path, sizeof(server->socket_path), "%s/socket", server->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, server->socket_path, strlen(server->socket_path) + 1);
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listen_fd, (const struct sockaddr *)&address, sizeof(address)),
                     0);
    assert_int_equal(listen(server->listen_fd, MAX_CONNECTIONS), 0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    server->end_read_fd = ends[0];
    server->end_fd = ends[1];
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

void test_server_stop(struct test_server *server)
{
    server->end_fd = fd_close(server->end_fd);
    pthread_join(server->thread, NULL);
    fd_close(server->end_read_fd);
    fd_close(server->listen_fd);
    unlink(server->socket_path);
    rmdir(server->folder);
    free(server);
}

const char *test_server_socket(const struct test_server *server)
{
    return server->socket_path;
}
