/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/test_server.h"
#include "model/results/run.h"
#include "rpc/tables.h"

#define LIST "{\"runs\":[{\"id\":7,\"state\":\"stopped\",\"command\":\"x\",\"unheard_of\":1}]}"

static bool answer(void *userdata, const char *method, const char *request, struct text *result,
                   bool *is_error)
{
    (void)userdata;
    (void)request;
    if (strcmp(method, "run.list") == 0) {
        text_append(result, LIST);
        return true;
    }
    if (strcmp(method, "run.stop") == 0) {
        *is_error = true;
        text_append(result, "{\"code\":-32000,\"message\":\"no active run\","
                            "\"data\":{\"code\":\"no_active_run\",\"hint\":\"stax record\"}}");
        return true;
    }
    return false;
}

struct capture {
    int before_fd, read_fd, fd;
};

static struct capture capture_begin(int fd)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct capture capture = {.before_fd = dup(fd), .read_fd = ends[0], .fd = fd};
    dup2(ends[1], fd);
    close(ends[1]);
    return capture;
}

/* What was written in between; fits a pipe. */
static void capture_end(struct capture *capture, char *ret_text, size_t text_bytes)
{
    dup2(capture->before_fd, capture->fd);
    close(capture->before_fd);
    ssize_t n = read(capture->read_fd, ret_text, text_bytes - 1);
    ret_text[n > 0 ? n : 0] = '\0';
    close(capture->read_fd);
}

static void json_is_printed_as_it_came(void **state)
{
    struct server_options server = {.socket = test_server_socket(*state)};
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct question question = {.server = &server, .wants_json = true, .method = "run.list"};
    struct capture capture = capture_begin(STDOUT_FILENO);
    int code = ask(&question, &arena);
    char text[1000];
    capture_end(&capture, text, sizeof(text));
    assert_int_equal(code, EXIT_CODE_DONE);
    assert_string_equal(text, LIST "\n");
}

static void a_result_is_decoded(void **state)
{
    struct server_options server = {.socket = test_server_socket(*state)};
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct run_list_result list = {0};
    struct question question = {
        .server = &server,
        .method = "run.list",
        .result_type = &rpc_type_run_list_result,
        .result = &list,
    };
    assert_int_equal(ask(&question, &arena), EXIT_CODE_DONE);
    assert_int_equal(list.n_runs, 1);
    assert_int_equal(list.runs[0].id, 7);
    assert_int_equal(list.runs[0].state, RUN_STATE_STOPPED);
}

static void assert_complaint(const char *socket, const char *method, const char *expected)
{
    struct server_options server = {.socket = socket};
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct question question = {.server = &server, .method = method};
    struct capture capture = capture_begin(STDERR_FILENO);
    int code = ask(&question, &arena);
    char text[1000];
    capture_end(&capture, text, sizeof(text));
    assert_int_equal(code, EXIT_CODE_FAILED);
    assert_non_null(strstr(text, expected));
    assert_ptr_equal(strstr(text, "error: "), text);
}

static void errors_say_what_to_do(void **state)
{
    assert_complaint(test_server_socket(*state), "run.stop",
                     "error: no active run\n  stax record\n");
    assert_complaint(test_server_socket(*state), "gone", "error: ");
    assert_complaint("/nonexistent/socket", "run.list", "error: stax-server isn't running\n  ");
}

static int set_up(void **state)
{
    *state = test_server_start(answer, NULL);
    return 0;
}

static int tear_down(void **state)
{
    test_server_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_printed_as_it_came),
        cmocka_unit_test(a_result_is_decoded),
        cmocka_unit_test(errors_say_what_to_do),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
