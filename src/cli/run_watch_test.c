/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/run_watch.h"
#include "cli/test_server.h"

struct story {
    atomic_uint n_waits;
    unsigned n_waits_until_stopped;
    bool dies;
};

static bool answer(void *userdata, const char *method, const char *request, struct text *result,
                   bool *is_error)
{
    struct story *story = userdata;
    *is_error = false;
    assert_string_equal(method, "run.wait");
    assert_non_null(strstr(request, "\"run\":3"));
    unsigned n_waits = ++story->n_waits;
    if (story->dies) {
        return false;
    }
    if (n_waits < story->n_waits_until_stopped) {
        nanosleep(&(struct timespec){.tv_nsec = 10 * NS_PER_MS}, NULL);
        text_append(result,
                    "{\"outcome\":\"timed_out\",\"run\":{\"id\":3,\"state\":\"recording\"}}");
    } else {
        text_append(result, "{\"outcome\":\"stopped\",\"run\":{\"id\":3,\"state\":\"stopped\"}}");
    }
    return true;
}

static int start(const char *socket_path, struct run_watch **ret_watch)
{
    struct run_watch_options options = {.socket_path = socket_path, .run = 3};
    return run_watch_start(&options, ret_watch, NULL);
}

static bool is_readable(const struct run_watch *watch, int timeout_ms)
{
    struct pollfd ended = {.fd = run_watch_fd(watch), .events = POLLIN};
    return poll(&ended, 1, timeout_ms) == 1;
}

static void it_ends_with_the_run(void **state)
{
    (void)state;
    struct story story = {.n_waits_until_stopped = 3};
    struct test_server *server = test_server_start(answer, &story);
    struct run_watch *watch = NULL;
    assert_int_equal(start(test_server_socket(server), &watch), 0);
    assert_true(is_readable(watch, 5000));
    assert_int_equal(story.n_waits, 3);
    run_watch_free(watch);
    test_server_stop(server);
}

static void it_ends_with_the_server(void **state)
{
    (void)state;
    struct story story = {.dies = true};
    struct test_server *server = test_server_start(answer, &story);
    struct run_watch *watch = NULL;
    assert_int_equal(start(test_server_socket(server), &watch), 0);
    assert_true(is_readable(watch, 5000));
    run_watch_free(watch);
    test_server_stop(server);
}

static void it_can_be_ended_meanwhile(void **state)
{
    (void)state;
    struct story story = {.n_waits_until_stopped = 1000000};
    struct test_server *server = test_server_start(answer, &story);
    struct run_watch *watch = NULL;
    assert_int_equal(start(test_server_socket(server), &watch), 0);
    assert_false(is_readable(watch, 30));
    uint64_t before_ns = clock_now_ns();
    run_watch_free(watch);
    assert_true(clock_now_ns() - before_ns < 60 * NS_PER_S);
    test_server_stop(server);
}

static void without_a_server_there_is_none(void **state)
{
    (void)state;
    struct run_watch *watch = NULL;
    assert_true(start("/nonexistent/socket", &watch) < 0);
    assert_null(watch);
    assert_null(run_watch_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_with_the_run),
        cmocka_unit_test(it_ends_with_the_server),
        cmocka_unit_test(it_can_be_ended_meanwhile),
        cmocka_unit_test(without_a_server_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
