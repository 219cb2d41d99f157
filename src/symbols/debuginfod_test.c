/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/clock.h"
#include "symbols/debuginfod.h"
#include "symbols/http_server_test.h"

static const uint8_t some_id[20] = "an id of twenty byte";
static const uint8_t other_id[20] = "and another, as long";

struct answers {
    pthread_mutex_t lock;
    pthread_cond_t has_come;
    int n_answers;
    char path[512], failure[200]; /* of the last one */
};

static struct answers answers = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .has_come = PTHREAD_COND_INITIALIZER,
};

static char folder[] = "/tmp/stax-debuginfod-XXXXXX";

static void on_answer(const char *path, const char *failure, void *userdata)
{
    assert_ptr_equal(userdata, &answers);
    pthread_mutex_lock(&answers.lock);
    answers.n_answers++;
    snprintf(answers.path, sizeof(answers.path), "%s", path ? path : "");
    snprintf(answers.failure, sizeof(answers.failure), "%s", failure ? failure : "");
    pthread_cond_signal(&answers.has_come);
    pthread_mutex_unlock(&answers.lock);
}

static void ask(struct debuginfod *client, const uint8_t *id)
{
    assert_int_equal(debuginfod_ask(client, id, 20, on_answer, &answers), 0);
}

static void await(int n_answers)
{
    pthread_mutex_lock(&answers.lock);
    while (answers.n_answers < n_answers) {
        pthread_cond_wait(&answers.has_come, &answers.lock);
    }
    pthread_mutex_unlock(&answers.lock);
}

static uint64_t since_ms(uint64_t start_ns)
{
    return (clock_now_ns() - start_ns) / NS_PER_MS;
}

static bool has_note(const uint8_t *id)
{
    char path[128];
    int n_bytes = snprintf(path, sizeof(path), "%s/", folder);
    for (size_t i = 0; i < 20; i++) {
        n_bytes += snprintf(path + n_bytes, sizeof(path) - (size_t)n_bytes, "%02x", id[i]);
    }
    snprintf(path + n_bytes, sizeof(path) - (size_t)n_bytes, "/debuginfo");
    struct stat status;
    return lstat(path, &status) == 0 && status.st_size == 0;
}

static bool is_library_missing(void)
{
    return dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL) == NULL;
}

static int set_up(void **state)
{
    (void)state;
    answers.n_answers = 0;
    memcpy(folder, "/tmp/stax-debuginfod-XXXXXX", sizeof(folder));
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return http_server_remove_cache(folder);
}

static void test_who_turns_it_on(void **state)
{
    (void)state;
    unsetenv("STAX_DEBUGINFOD");
    unsetenv("DEBUGINFOD_URLS");
    debuginfod_prepare_environment();
    assert_false(debuginfod_is_enabled());
    setenv("DEBUGINFOD_URLS", "  ", 1);
    assert_false(debuginfod_is_enabled());
    setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1", 1);
    assert_true(debuginfod_is_enabled());
    setenv("STAX_DEBUGINFOD", "0", 1);
    assert_false(debuginfod_is_enabled());
    setenv("STAX_DEBUGINFOD", "1", 1);
    debuginfod_prepare_environment();
    assert_string_equal(getenv("DEBUGINFOD_URLS"), "http://127.0.0.1:1");
    assert_non_null(getenv("DEBUGINFOD_MAXSIZE"));
    setenv("DEBUGINFOD_TIMEOUT", "7", 1);
    debuginfod_prepare_environment();
    assert_string_equal(getenv("DEBUGINFOD_TIMEOUT"), "7");
}

static void test_file_is_fetched_and_kept(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    struct http_server *server = http_server_start(HTTP_SERVER_SENDS_FILE, "/proc/self/exe");
    http_server_announce(server->port, folder);
    _cleanup_(debuginfod_freep) struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    ask(client, some_id);
    await(1);
    assert_string_equal(answers.failure, "");
    assert_memory_equal(answers.path, folder, strlen(folder));
    struct stat sent;
    struct stat kept;
    assert_int_equal(stat("/proc/self/exe", &sent), 0);
    assert_int_equal(stat(answers.path, &kept), 0);
    assert_int_equal(sent.st_size, kept.st_size);
    int n_questions = atomic_load(&server->n_questions);
    ask(client, some_id);
    await(2);
    assert_string_not_equal(answers.path, "");
    assert_int_equal(atomic_load(&server->n_questions), n_questions);
    http_server_stop(server);
}

static void test_server_that_has_nothing(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    struct http_server *server = http_server_start(HTTP_SERVER_HAS_NOTHING, NULL);
    http_server_announce(server->port, folder);
    _cleanup_(debuginfod_freep) struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    ask(client, some_id);
    ask(client, other_id);
    await(2);
    assert_string_equal(answers.failure, "the server does not have it");
    assert_int_equal(atomic_load(&server->n_questions), 2);
    assert_true(has_note(some_id));
    http_server_stop(server);
}

static void test_absent_server_costs_no_time(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    struct http_server *server = http_server_start(HTTP_SERVER_HAS_NOTHING, NULL);
    int port = server->port;
    http_server_stop(server);
    http_server_announce(port, folder);
    _cleanup_(debuginfod_freep) struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    uint64_t start_ns = clock_now_ns();
    ask(client, some_id);
    ask(client, other_id);
    await(2);
    assert_true(since_ms(start_ns) < 1000);
    assert_string_equal(answers.failure, "the server cannot be reached");
    assert_false(has_note(some_id));
}

/* A server that is gone takes away only what was never fetched. */
static void test_cache_outlives_the_server(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    struct http_server *server = http_server_start(HTTP_SERVER_SENDS_FILE, "/proc/self/exe");
    http_server_announce(server->port, folder);
    _cleanup_(debuginfod_freep) struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    ask(client, some_id);
    await(1);
    http_server_stop(server);
    ask(client, other_id);
    await(2);
    assert_string_equal(answers.failure, "the server cannot be reached");
    ask(client, some_id);
    await(3);
    assert_memory_equal(answers.path, folder, strlen(folder));
    ask(client, other_id);
    await(4);
    assert_string_equal(answers.path, "");
}

/* One silence is paid for; who asks next is told at once. */
static void test_silent_server_is_given_up(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    struct http_server *server = http_server_start(HTTP_SERVER_IS_SILENT, NULL);
    http_server_announce(server->port, folder);
    _cleanup_(debuginfod_freep) struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    uint64_t start_ns = clock_now_ns();
    for (size_t i = 0; i < 40; i++) {
        ask(client, i == 0 ? some_id : other_id);
    }
    assert_true(since_ms(start_ns) < 100);
    await(40);
    assert_in_range(since_ms(start_ns), 1500, 6000);
    assert_string_equal(answers.failure, "the server does not answer");
    assert_int_equal(atomic_load(&server->n_questions), 1);
    assert_false(has_note(some_id));
    http_server_stop(server);
}

static void goodbye(enum http_server_manner manner)
{
    struct http_server *server = http_server_start(manner, "/proc/self/exe");
    http_server_announce(server->port, folder);
    setenv("DEBUGINFOD_TIMEOUT", "60", 1);
    struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    ask(client, some_id);
    ask(client, other_id);
    while (atomic_load(&server->n_questions) == 0) {
        usleep(10000);
    }
    usleep(100000);
    uint64_t start_ns = clock_now_ns();
    debuginfod_free(client);
    print_message("left after %u ms\n", (unsigned)since_ms(start_ns));
    assert_true(since_ms(start_ns) < DEBUGINFOD_GOODBYE_MS + 500);
    assert_int_equal(answers.n_answers, 0);
    assert_false(has_note(some_id));
    http_server_stop(server);
}

static void test_leaving_a_silent_server(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    goodbye(HTTP_SERVER_IS_SILENT);
}

static void test_leaving_in_the_middle_of_a_file(void **state)
{
    (void)state;
    if (is_library_missing()) {
        print_message("no libdebuginfod.so.1\n");
        skip();
    }
    goodbye(HTTP_SERVER_STOPS_HALFWAY);
}

static void test_limits(void **state)
{
    (void)state;
    struct http_server *server = http_server_start(HTTP_SERVER_IS_SILENT, NULL);
    http_server_announce(server->port, folder);
    struct debuginfod *client = NULL;
    assert_int_equal(debuginfod_new(&client), 0);
    assert_int_equal(debuginfod_ask(client, some_id, 1, on_answer, &answers), -EINVAL);
    assert_int_equal(debuginfod_ask(client, some_id, 21, on_answer, &answers), -EINVAL);
    if (is_library_missing()) {
        ask(client, some_id);
        await(1);
        assert_string_equal(answers.failure, "libdebuginfod.so.1 cannot be loaded");
    } else {
        size_t n_asked = 0;
        while (debuginfod_ask(client, some_id, 20, on_answer, &answers) == 0) {
            n_asked++;
        }
        assert_in_range(n_asked, DEBUGINFOD_MAX_WAITING, DEBUGINFOD_MAX_WAITING + 1);
    }
    debuginfod_free(client);
    http_server_stop(server);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_who_turns_it_on),
        CASE(test_file_is_fetched_and_kept),
        CASE(test_server_that_has_nothing),
        CASE(test_absent_server_costs_no_time),
        CASE(test_cache_outlives_the_server),
        CASE(test_silent_server_is_given_up),
        CASE(test_leaving_a_silent_server),
        CASE(test_leaving_in_the_middle_of_a_file),
        CASE(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
