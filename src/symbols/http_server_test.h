/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * http_server_test - servers as they should not be, on a loopback port
 *
 * Owner:   http_server_start()/http_server_stop().
 * Threads: one of its own per server; settings are fixed at its start.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#define HTTP_SERVER_CONNECTIONS 64

/* libdebuginfod 0.188 never closes the streams by which it reads its cache's settings. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:_IO_file_doallocate\n";
}

enum http_server_manner {
    HTTP_SERVER_HAS_NOTHING, /* 404 */
    HTTP_SERVER_SENDS_FILE,  /* the same for every question */
    HTTP_SERVER_IS_SILENT,   /* accepts, and that is all */
    HTTP_SERVER_STOPS_HALFWAY,
};

struct http_server {
    enum http_server_manner manner;
    const char *file; /* path of what it sends */
    int listener;
    int port;
    pthread_t thread;
    atomic_bool is_stopping;
    atomic_int n_questions;
};

static inline void http_server_send(const struct http_server *server, int connection)
{
    _cleanup_(freep) char *body = NULL;
    size_t n_bytes = 0;
    char head[256];
    int head_bytes;
    if (server->manner == HTTP_SERVER_HAS_NOTHING ||
        fd_read_file(server->file, 64u << 20, &body, &n_bytes) < 0) {
        head_bytes = snprintf(head, sizeof(head),
                              "HTTP/1.1 404 Not Found\r\n"
                              "Content-Length: 0\r\nConnection: close\r\n\r\n");
        n_bytes = 0;
    } else {
        head_bytes = snprintf(head, sizeof(head),
                              "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                              "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                              n_bytes);
    }
    size_t sent_bytes = server->manner == HTTP_SERVER_STOPS_HALFWAY ? n_bytes / 2 : n_bytes;
    if (fd_write_all(connection, head, (size_t)head_bytes) == 0 && body) {
        (void)fd_write_all(connection, body, sent_bytes);
    }
}

static inline void *http_server_run(void *userdata)
{
    struct http_server *server = userdata;
    int kept[HTTP_SERVER_CONNECTIONS];
    size_t n_kept = 0;
    while (!atomic_load(&server->is_stopping)) {
        struct pollfd wait = {.fd = server->listener, .events = POLLIN};
        if (poll(&wait, 1, 20) <= 0) {
            continue;
        }
        int connection = accept(server->listener, NULL, NULL);
        if (connection < 0) {
            continue;
        }
        atomic_fetch_add(&server->n_questions, 1);
        char question[4096];
        if (server->manner != HTTP_SERVER_IS_SILENT &&
            recv(connection, question, sizeof(question), 0) > 0) {
            http_server_send(server, connection);
        }
        bool is_kept = server->manner >= HTTP_SERVER_IS_SILENT && n_kept < HTTP_SERVER_CONNECTIONS;
        if (is_kept) {
            kept[n_kept++] = connection;
        } else {
            (void)shutdown(connection, SHUT_WR);
            fd_close(connection);
        }
    }
    while (n_kept > 0) {
        fd_close(kept[--n_kept]);
    }
    return NULL;
}

static inline struct http_server *http_server_start(enum http_server_manner manner,
                                                    const char *file)
{
    struct http_server *server = calloc(1, sizeof(*server));
    assert_non_null(server);
    server->manner = manner;
    server->file = file;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t address_bytes = sizeof(address);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &address_bytes), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, http_server_run, server), 0);
    return server;
}

static inline void http_server_stop(struct http_server *server)
{
    atomic_store(&server->is_stopping, true);
    pthread_join(server->thread, NULL);
    fd_close(server->listener);
    free(server);
}

static inline int http_server_remove_cache(const char *folder)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

/* Makes the environment name this server and a cache folder; 0: nobody listens at the port. */
static inline void http_server_announce(int port, const char *cache_folder)
{
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
    setenv("DEBUGINFOD_URLS", url, 1);
    setenv("DEBUGINFOD_CACHE_PATH", cache_folder, 1);
    setenv("DEBUGINFOD_TIMEOUT", "2", 1);
    unsetenv("STAX_DEBUGINFOD");
    unsetenv("http_proxy");
    debuginfod_prepare_environment();
}
