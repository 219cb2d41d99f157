/* SPDX-License-Identifier: MIT */

#include "rpc/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "jsonrpc/frame.h"
#include "jsonrpc/json_scan.h"
#include "jsonrpc/rpc_error.h"
#include "rpc/message.h"

#define ANSWER_MAX_BYTES (256u << 20)
#define REQUEST_MAX_BYTES (1u << 20) /* the server would refuse a longer one */
#define MAX_WAITING_UPDATES 16u

struct rpc_client {
    int fd;
    uint64_t last_id;
    struct frame_buffer incoming;
    /* Updates that arrived while an answer was awaited, oldest first; the oldest give way. */
    char *updates[MAX_WAITING_UPDATES];
    size_t n_updates;
};

/* The parts of one document from the server, borrowed from its line; NULL where they are missing.
 */
struct document {
    uint64_t id; /* 0: none of ours */
    const char *result, *error, *params;
    size_t n_result, n_error, n_params;
    bool is_update;
};

static int check_peer(int fd, const char *socket_path, struct error *error)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        int r = -errno;
        error_set_errno(error, r, "asking who listens on the server's socket");
        return r;
    }
    if (peer.uid != geteuid()) {
        error_set(error, "permission", "the socket %s belongs to user %u, not to you", socket_path,
                  (unsigned)peer.uid);
        error_hint(error, "name your own server's socket with --server or STAX_SERVER_SOCKET");
        return -EPERM;
    }
    return 0;
}

static int explain_connect(int r, const char *socket_path, struct error *error)
{
    if (r == -ENOENT || r == -ECONNREFUSED) {
        error_set(error, "no_server", "stax-server isn't running");
        error_hint(error, "no one listens on %s", socket_path);
    } else if (r == -EACCES) {
        error_set(error, "permission", "the socket %s is not for you", socket_path);
        r = -EPERM;
    } else {
        error_set_errno(error, r, "connecting to the server's socket");
    }
    return r;
}

int rpc_client_connect(const char *socket_path, struct rpc_client **ret_client,
                       struct error *reterr_error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n_bytes = strlen(socket_path);
    if (n_bytes >= sizeof(address.sun_path)) {
        return explain_connect(-ENAMETOOLONG, socket_path, reterr_error);
    }
    memcpy(address.sun_path, socket_path, n_bytes + 1);

    _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return explain_connect(-errno, socket_path, reterr_error);
    }
    /*
     * Who listens is asked of the connection, not of the path: between looking
     * at a path and connecting to it somebody else may have taken its place.
     * Nothing has been said yet.
     */
    int r;
    do {
        r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    } while (r == -EINTR);
    if (r < 0 && r != -EISCONN) {
        return explain_connect(r, socket_path, reterr_error);
    }
    r = check_peer(fd, socket_path, reterr_error);
    if (r < 0) {
        return r;
    }

    struct rpc_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return explain_connect(-ENOMEM, socket_path, reterr_error);
    }
    client->fd = TAKE_FD(fd);
    frame_buffer_init(&client->incoming, ANSWER_MAX_BYTES);
    *ret_client = client;
    return 0;
}

struct rpc_client *rpc_client_free(struct rpc_client *client)
{
    if (!client) {
        return NULL;
    }
    for (size_t i = 0; i < client->n_updates; i++) {
        free(client->updates[i]);
    }
    frame_buffer_release(&client->incoming);
    (void)fd_close(client->fd);
    free(client);
    return NULL;
}

int rpc_client_fd(const struct rpc_client *client)
{
    return client->fd;
}

static int lost_server(struct error *error)
{
    error_set(error, "no_server", "stax-server went away");
    return -EPIPE;
}

static int bad_answer(struct error *error, const char *why)
{
    error_set(error, "internal", "the server's answer makes no sense: %s", why);
    return -EBADMSG;
}

static int send_all(struct rpc_client *client, const struct text *text, struct error *error)
{
    size_t n_sent = 0;
    while (n_sent < text->length_bytes) {
        ssize_t n =
            send(client->fd, text->data + n_sent, text->length_bytes - n_sent, MSG_NOSIGNAL);
        if (n >= 0) {
            n_sent += (size_t)n;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return lost_server(error);
        } else if (errno != EINTR) {
            int r = -errno;
            error_set_errno(error, r, "sending a request to the server");
            return r;
        }
    }
    return 0;
}

/* Reads once, as much as has arrived; blocks when nothing has. */
static int receive(struct rpc_client *client, struct error *error)
{
    char chunk[FRAME_SLACK_BYTES];
    ssize_t n;
    do {
        n = recv(client->fd, chunk, sizeof(chunk), 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        return lost_server(error);
    }
    int r = n < 0 ? -errno : frame_buffer_feed(&client->incoming, chunk, (size_t)n);
    if (r < 0) {
        error_set_errno(error, r, "reading the server's answer");
    }
    return r;
}

static bool take_word(struct json_scan *scan, const char *word)
{
    char string[16] = "";
    const char *text;
    size_t n_bytes;
    if (!json_scan_skip(scan, &text, &n_bytes) || n_bytes < 2 || n_bytes - 2 >= sizeof(string)) {
        return false;
    }
    memcpy(string, text + 1, n_bytes - 2);
    return text[0] == '"' && strcmp(string, word) == 0;
}

static uint64_t take_id(struct json_scan *scan)
{
    struct json_number number;
    if (json_scan_kind(scan) != JSON_KIND_NUMBER) {
        (void)json_scan_skip(scan, NULL, NULL);
        return 0;
    }
    bool is_ours = json_scan_number(scan, &number) && number.is_integer && !number.is_negative;
    return is_ours ? number.magnitude : 0;
}

static int parse_document(const char *line, size_t n_bytes, struct document *ret_document,
                          struct error *error)
{
    struct json_scan scan = json_scan_of(line, n_bytes);
    struct document document = {.id = 0};
    char key[16];
    (void)json_scan_enter(&scan, '{');
    while (json_scan_next_member(&scan, key, sizeof(key))) {
        if (strcmp(key, "id") == 0) {
            document.id = take_id(&scan);
        } else if (strcmp(key, "result") == 0) {
            (void)json_scan_skip(&scan, &document.result, &document.n_result);
        } else if (strcmp(key, "error") == 0) {
            (void)json_scan_skip(&scan, &document.error, &document.n_error);
        } else if (strcmp(key, "params") == 0) {
            (void)json_scan_skip(&scan, &document.params, &document.n_params);
        } else if (strcmp(key, "method") == 0) {
            document.is_update = take_word(&scan, "update");
        } else {
            (void)json_scan_skip(&scan, NULL, NULL);
        }
    }
    if (!json_scan_end(&scan)) {
        return bad_answer(error, scan.failure ? scan.failure : "more follows the document");
    }
    *ret_document = document;
    return 0;
}

/* The next whole line: 1; 0 when none is complete. */
static int next_line(struct rpc_client *client, const char **ret_line, size_t *ret_n_bytes,
                     struct error *error)
{
    int r = frame_buffer_next(&client->incoming, ret_line, ret_n_bytes);
    return r == -EMSGSIZE ? bad_answer(error, "it does not end") : r;
}

static int keep_update(struct rpc_client *client, const char *line, size_t n_bytes,
                       struct error *error)
{
    char *copy = strndup(line, n_bytes);
    if (!copy) {
        error_set(error, "internal", "out of memory");
        return -ENOMEM;
    }
    if (client->n_updates == MAX_WAITING_UPDATES) {
        free(client->updates[0]);
        client->n_updates--;
        memmove(client->updates, client->updates + 1, client->n_updates * sizeof(char *));
    }
    client->updates[client->n_updates++] = copy;
    return 0;
}

/* Blocks until the answer to `id` is there; updates that come before it are kept. */
static int await_answer(struct rpc_client *client, uint64_t id, struct document *ret_document,
                        struct error *error)
{
    for (;;) {
        const char *line;
        size_t n_bytes;
        int r = next_line(client, &line, &n_bytes, error);
        if (r > 0) {
            r = parse_document(line, n_bytes, ret_document, error);
            if (r == 0 && ret_document->is_update) {
                r = keep_update(client, line, n_bytes, error);
            } else if (r == 0 && (ret_document->id == id ||
                                  /* An error without an id is about what could not be read. */
                                  (ret_document->id == 0 && ret_document->error))) {
                return 0;
            }
        } else if (r == 0) {
            r = receive(client, error);
        }
        if (r < 0) {
            return r;
        }
    }
}

/* Decodes a result; what the schema refuses is the server's fault, not the caller's. */
static int decode_result(const struct rpc_type *type, const char *json, size_t n_bytes,
                         struct arena *arena, void *result, struct error *error)
{
    struct error why = {.code = ""};
    struct json_scan scan = json_scan_of(json, n_bytes);
    int r = rpc_decode_text(type, &scan, arena, result, &why);
    if (r == -EINVAL || r == -EBADMSG) {
        return bad_answer(error, why.message);
    }
    if (r < 0 && error) {
        *error = why;
    }
    return r;
}

/* What is asked and what is wanted back are pairs: a struct would only rename the parameters. */
/* NOLINTNEXTLINE(readability-function-size) */
int rpc_client_call(struct rpc_client *client, const char *method,
                    const struct rpc_type *params_type, const void *params,
                    const struct rpc_type *result_type, void *result, struct arena *arena,
                    char **ret_json, struct error *reterr_error)
{
    _cleanup_(text_releasep) struct text request;
    struct document answer = {.id = 0};
    uint64_t id = ++client->last_id;

    text_init(&request, REQUEST_MAX_BYTES);
    message_request(&request, id, method, params_type, params);
    if (request.is_cut) {
        error_set(reterr_error, "limit", "the request is too long");
        return -EMSGSIZE;
    }
    int r = send_all(client, &request, reterr_error);
    if (r == 0 || r == -EPIPE) {
        /* Who hangs up may have said why; what it said can still be read. */
        int r_answer = await_answer(client, id, &answer, reterr_error);
        r = r == 0 || r_answer == 0 ? r_answer : r;
    }
    if (r < 0) {
        return r;
    }
    if (answer.error) {
        struct error ignored;
        struct json_scan scan = json_scan_of(answer.error, answer.n_error);
        rpc_error_read(&scan, reterr_error ? reterr_error : &ignored);
        return -EREMOTEIO;
    }
    if (!answer.result) {
        return bad_answer(reterr_error, "it holds neither a result nor an error");
    }
    if (result_type) {
        r = decode_result(result_type, answer.result, answer.n_result, arena, result, reterr_error);
        if (r < 0) {
            return r;
        }
    }
    if (ret_json) {
        char *json = strndup(answer.result, answer.n_result);
        if (!json) {
            error_set(reterr_error, "internal", "out of memory");
            return -ENOMEM;
        }
        *ret_json = json;
    }
    return 0;
}

/* Waits for bytes until deadline_ns; -ETIMEDOUT, also early when a signal came. */
static int wait_readable(struct rpc_client *client, uint64_t deadline_ns, struct error *error)
{
    struct pollfd ready = {.fd = client->fd, .events = POLLIN};
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ms =
        now_ns < deadline_ns ? (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    int n = poll(&ready, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
    if (n > 0) {
        return 0;
    }
    if (n == 0 || errno == EINTR) {
        error_set(error, "timed_out", "no update came in time");
        return -ETIMEDOUT;
    }
    int r = -errno;
    error_set_errno(error, r, "waiting for the server");
    return r;
}

/* The next update: its line is in *ret_kept (free()) or, when that is NULL, borrowed. */
static int await_update(struct rpc_client *client, uint64_t deadline_ns, char **ret_kept,
                        struct document *ret_document, struct error *error)
{
    if (client->n_updates > 0) {
        char *line = client->updates[0];
        client->n_updates--;
        memmove(client->updates, client->updates + 1, client->n_updates * sizeof(char *));
        *ret_kept = line;
        return parse_document(line, strlen(line), ret_document, error);
    }
    for (;;) {
        const char *line;
        size_t n_bytes;
        int r = next_line(client, &line, &n_bytes, error);
        if (r > 0) {
            r = parse_document(line, n_bytes, ret_document, error);
            if (r == 0 && ret_document->is_update) {
                return 0;
            }
        } else if (r == 0) {
            r = wait_readable(client, deadline_ns, error);
            r = r < 0 ? r : receive(client, error);
        }
        if (r < 0) {
            return r;
        }
    }
}

int rpc_client_next_update(struct rpc_client *client, int timeout_ms,
                           const struct rpc_type *result_type, void *result, struct arena *arena,
                           uint64_t *ret_subscription, struct error *reterr_error)
{
    _cleanup_(freep) char *kept = NULL;
    struct document document;
    uint64_t timeout_ns = timeout_ms > 0 ? (uint64_t)timeout_ms * NS_PER_MS : 0;
    int r = await_update(client, clock_now_ns() + timeout_ns, &kept, &document, reterr_error);
    if (r < 0) {
        return r;
    }

    const char *json = NULL;
    size_t n_json = 0;
    uint64_t subscription = 0;
    char key[16];
    struct json_scan scan = json_scan_of(document.params ? document.params : "", document.n_params);
    (void)json_scan_enter(&scan, '{');
    while (json_scan_next_member(&scan, key, sizeof(key))) {
        if (strcmp(key, "subscription") == 0) {
            subscription = take_id(&scan);
        } else if (strcmp(key, "result") == 0) {
            (void)json_scan_skip(&scan, &json, &n_json);
        } else {
            (void)json_scan_skip(&scan, NULL, NULL);
        }
    }
    if (scan.failure || !json) {
        return bad_answer(reterr_error, "an update without a result");
    }
    r = result_type ? decode_result(result_type, json, n_json, arena, result, reterr_error) : 0;
    if (r == 0 && ret_subscription) {
        *ret_subscription = subscription;
    }
    return r;
}
