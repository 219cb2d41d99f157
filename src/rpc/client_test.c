/* SPDX-License-Identifier: MIT */

/* The client against a scripted server: a thread that answers each line with prepared bytes. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "model/requests.h"
#include "model/results/run.h"
#include "rpc/client.h"
#include "rpc/service.h"
#include "rpc/tables.h"

struct script {
    char folder[64];
    char path[96];
    int listen_fd;
    pthread_t thread;
    const char *const *answers; /* one per request line; NULL ends the connection */
    char seen[4096];            /* all that the client sent */
};

static void *serve(void *userdata)
{
    struct script *script = userdata;
    int fd = accept(script->listen_fd, NULL, NULL);
    size_t n_seen = 0;
    for (size_t i = 0; script->answers[i]; i++) {
        char *newline;
        size_t line = n_seen;
        do {
            ssize_t n = read(fd, script->seen + n_seen, sizeof(script->seen) - 1 - n_seen);
            if (n <= 0) {
                (void)fd_close(fd);
                return NULL;
            }
            n_seen += (size_t)n;
            newline = memchr(script->seen + line, '\n', n_seen - line);
        } while (!newline);
        (void)fd_write_all(fd, script->answers[i], strlen(script->answers[i]));
    }
    (void)fd_close(fd);
    return NULL;
}

static void script_start(struct script *script, const char *const *answers)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(script, 0, sizeof(*script));
    script->answers = answers;
    snprintf(script->folder, sizeof(script->folder), "/tmp/client_test.XXXXXX");
    assert_non_null(mkdtemp(script->folder));
    snprintf(script->path, sizeof(script->path), "%s/s", script->folder);
    memcpy(address.sun_path, script->path, strlen(script->path) + 1);
    script->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(script->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(script->listen_fd, 1), 0);
    assert_int_equal(pthread_create(&script->thread, NULL, serve, script), 0);
}

static void script_end(struct script *script)
{
    pthread_join(script->thread, NULL);
    (void)fd_close(script->listen_fd);
    (void)unlink(script->path);
    (void)rmdir(script->folder);
}

static struct rpc_client *connect_to(const struct script *script)
{
    struct rpc_client *client = NULL;
    struct error error;
    assert_int_equal(rpc_client_connect(script->path, &client, &error), 0);
    assert_true(rpc_client_fd(client) >= 0);
    return client;
}

static int call_list(struct rpc_client *client, struct run_list_result *result, struct arena *arena,
                     char **json, struct error *error)
{
    return rpc_client_call(client, "run.list", NULL, NULL, &rpc_type_run_list_result, result, arena,
                           json, error);
}

static void a_call_is_answered(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"runs\": [ {\"id\":3,\"new\":[]} ]}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"id\":3,\"state\":\"stopped\"}}\n", NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct arena arena;
    struct error error;
    arena_init(&arena, 0);

    struct run_list_result list;
    char *json = NULL;
    assert_int_equal(call_list(client, &list, &arena, &json, &error), 0);
    assert_int_equal(list.n_runs, 1);
    assert_int_equal(list.runs[0].id, 3);
    assert_string_equal(json, "{\"runs\": [ {\"id\":3,\"new\":[]} ]}");
    free(json);

    const struct run_request request = {.run = 3};
    struct run_info info;
    assert_int_equal(rpc_client_call(client, "run.stop", &rpc_type_run_request, &request,
                                     &rpc_type_run_info, &info, &arena, NULL, &error),
                     0);
    assert_int_equal(info.state, RUN_STATE_STOPPED);

    client = rpc_client_free(client);
    assert_null(client);
    script_end(&script);
    assert_string_equal(script.seen, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"run.list\"}\n"
                                     "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"run.stop\","
                                     "\"params\":{\"run\":3}}\n");
    arena_release(&arena);
}

static void the_servers_error_arrives(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":\"no run\","
        "\"data\":{\"code\":\"no_active_run\",\"hint\":\"stax record\"}}}\n",
        /* About a request that could not be read, so it has no id. */
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"bad\","
        "\"data\":{\"code\":\"parse_error\"}}}\n",
        NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct error error;
    assert_int_equal(
        rpc_client_call(client, "run.stop", NULL, NULL, NULL, NULL, NULL, NULL, &error),
        -EREMOTEIO);
    assert_string_equal(error.code, "no_active_run");
    assert_string_equal(error.message, "no run");
    assert_string_equal(error.hint, "stax record");
    assert_int_equal(rpc_client_call(client, "x", NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                     -EREMOTEIO);
    rpc_client_free(client);
    script_end(&script);
}

#define OTHERS_ANSWER "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n"

static void nonsense_is_told_from_an_answer(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "hello\n",
        "{\"jsonrpc\":\"2.0\",\"id\":2}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"runs\":5}}\n",
        OTHERS_ANSWER "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"runs\":[]}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}} x\n",
        NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct arena arena;
    struct error error;
    struct run_list_result list;
    arena_init(&arena, 0);
    assert_int_equal(call_list(client, &list, &arena, NULL, &error), -EBADMSG);
    assert_int_equal(call_list(client, &list, &arena, NULL, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "neither a result nor an error"));
    assert_int_equal(call_list(client, &list, &arena, NULL, &error), -EBADMSG);
    assert_string_equal(error.code, "internal");
    assert_non_null(strstr(error.message, "runs: an array is expected"));
    assert_int_equal(call_list(client, &list, &arena, NULL, &error), 0);
    assert_int_equal(call_list(client, &list, &arena, NULL, &error), -EBADMSG);
    rpc_client_free(client);
    script_end(&script);
    arena_release(&arena);
}

static void a_server_that_goes_away_is_noticed(void **state)
{
    (void)state;
    static const char *const answers[] = {"{\"jsonrpc\":\"2.0\",\"id\":1,\"resu", NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct error error;
    assert_int_equal(
        rpc_client_call(client, "run.list", NULL, NULL, NULL, NULL, NULL, NULL, &error), -EPIPE);
    assert_string_equal(error.code, "no_server");
    /* Writing to it must not raise SIGPIPE. */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            rpc_client_call(client, "run.list", NULL, NULL, NULL, NULL, NULL, NULL, &error),
            -EPIPE);
    }
    rpc_client_free(client);
    script_end(&script);
}

static void updates_are_kept_while_an_answer_is_awaited(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":{\"subscription\":4,\"sequence\":1,"
        "\"result\":{\"run\":1}}}\n"
        "{\"jsonrpc\":\"2.0\",\"method\":\"later\",\"params\":{}}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"subscription\":4}}\n"
        "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":{\"subscription\":4,\"sequence\":2,"
        "\"result\":{\"run\":2}}}\n"
        "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":{\"subscription\":4}}\n",
        "\n", NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct arena arena;
    struct error error;
    struct subscription subscription;
    struct run_request update;
    uint64_t number = 0;
    arena_init(&arena, 0);
    const struct subscribe_request request = {.method = "run.status", .min_interval_ms = 1};
    assert_int_equal(rpc_client_call(client, "subscribe", &rpc_type_subscribe_request, &request,
                                     &rpc_type_subscription, &subscription, &arena, NULL, &error),
                     0);
    assert_int_equal(subscription.subscription, 4);
    for (unsigned i = 1; i <= 2; i++) {
        number = 0;
        assert_int_equal(rpc_client_next_update(client, 2000, &rpc_type_run_request, &update,
                                                &arena, &number, &error),
                         0);
        assert_int_equal(number, 4);
        assert_int_equal(update.run, i);
    }
    assert_int_equal(rpc_client_next_update(client, 2000, NULL, NULL, &arena, NULL, &error),
                     -EBADMSG);
    assert_int_equal(rpc_client_next_update(client, 0, NULL, NULL, &arena, NULL, &error),
                     -ETIMEDOUT);
    uint64_t start_ns = clock_now_ns();
    assert_int_equal(rpc_client_next_update(client, 30, NULL, NULL, &arena, NULL, &error),
                     -ETIMEDOUT);
    assert_string_equal(error.code, "timed_out");
    assert_true(clock_now_ns() - start_ns >= 29 * NS_PER_MS);
    rpc_client_free(client);
    script_end(&script);
    arena_release(&arena);
}

static void only_the_newest_updates_are_kept(void **state)
{
    (void)state;
    char *many = calloc(1, 64 << 10);
    size_t n = 0;
    for (unsigned i = 1; i <= 40; i++) {
        n += (size_t)snprintf(many + n, 200,
                              "{\"jsonrpc\":\"2.0\",\"method\":\"update\",\"params\":"
                              "{\"subscription\":1,\"sequence\":%u,\"result\":{\"run\":%u}}}\n",
                              i, i);
    }
    snprintf(many + n, 100, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    const char *const answers[] = {many, "\n", NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct arena arena;
    struct error error;
    arena_init(&arena, 0);
    assert_int_equal(rpc_client_call(client, "x", NULL, NULL, NULL, NULL, NULL, NULL, &error), 0);
    for (unsigned i = 25; i <= 40; i++) {
        struct run_request update;
        assert_int_equal(
            rpc_client_next_update(client, 0, &rpc_type_run_request, &update, &arena, NULL, &error),
            0);
        assert_int_equal(update.run, i);
    }
    assert_int_equal(rpc_client_next_update(client, 0, NULL, NULL, &arena, NULL, &error),
                     -ETIMEDOUT);
    rpc_client_free(client);
    script_end(&script);
    arena_release(&arena);
    free(many);
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
}

static void a_signal_ends_the_wait_for_an_update(void **state)
{
    (void)state;
    static const char *const answers[] = {"\n", NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *client = connect_to(&script);
    struct sigaction action = {.sa_handler = on_alarm};
    struct error error;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    (void)ualarm(20000, 20000); /* repeats, in case the scripted server's thread took the first */
    assert_int_equal(rpc_client_next_update(client, 60000, NULL, NULL, NULL, NULL, &error),
                     -ETIMEDOUT);
    (void)ualarm(0, 0);
    rpc_client_free(client);
    script_end(&script);
}

static void nobody_there_is_said(void **state)
{
    (void)state;
    struct rpc_client *client = NULL;
    struct error error;
    char path[300];
    assert_int_equal(rpc_client_connect("/nonexistent/s", &client, &error), -ENOENT);
    assert_string_equal(error.code, "no_server");
    assert_string_equal(error.message, "stax-server isn't running");
    memset(path, 'a', sizeof(path));
    path[299] = '\0';
    assert_int_equal(rpc_client_connect(path, &client, &error), -ENAMETOOLONG);

    static const char *const answers[] = {NULL};
    struct script script;
    script_start(&script, answers);
    struct rpc_client *other = connect_to(&script);
    rpc_client_free(other);
    pthread_join(script.thread, NULL);
    (void)fd_close(script.listen_fd); /* the path stays, as after a crash */
    assert_int_equal(rpc_client_connect(script.path, &client, &error), -ECONNREFUSED);
    assert_string_equal(error.code, "no_server");
    (void)unlink(script.path);
    (void)rmdir(script.folder);
    assert_null(client);
    assert_null(rpc_client_free(NULL));
}

static void somebody_elses_socket_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n", NULL};
    if (geteuid() != 0) {
        skip(); /* only root can listen as somebody else */
    }
    struct script script;
    script_start(&script, answers);
    /* The kernel notes who listens at listen(). */
    assert_int_equal(seteuid(65534), 0);
    assert_int_equal(listen(script.listen_fd, 1), 0);
    assert_int_equal(seteuid(0), 0);
    struct rpc_client *client = NULL;
    struct error error;
    assert_int_equal(rpc_client_connect(script.path, &client, &error), -EPERM);
    assert_string_equal(error.code, "permission");
    assert_non_null(strstr(error.message, "belongs to user 65534"));
    assert_null(client);
    script_end(&script);
    assert_string_equal(script.seen, ""); /* not a byte was said */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_answered),
        cmocka_unit_test(the_servers_error_arrives),
        cmocka_unit_test(nonsense_is_told_from_an_answer),
        cmocka_unit_test(a_server_that_goes_away_is_noticed),
        cmocka_unit_test(updates_are_kept_while_an_answer_is_awaited),
        cmocka_unit_test(only_the_newest_updates_are_kept),
        cmocka_unit_test(a_signal_ends_the_wait_for_an_update),
        cmocka_unit_test(nobody_there_is_said),
        cmocka_unit_test(somebody_elses_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
