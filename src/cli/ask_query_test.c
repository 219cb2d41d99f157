/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "cli/ask_query.h"
#include "cli/command.h"
#include "cli/test_server.h"
#include "model/results/neighbors.h"
#include "model/results/top.h"
#include "rpc/tables.h"

#define TOP "{\"rows\":[{\"name\":\"parse\"}],\"hint\":\"record longer\"}"
#define NEIGHBORS "{\"choice\":\"PARSE is taken as parse (tool)\"}"

static bool answer(void *userdata, const char *method, const char *request, struct text *result,
                   bool *is_error)
{
    (void)userdata;
    (void)request;
    if (strcmp(method, "profile.top") == 0) {
        text_append(result, TOP);
        return true;
    }
    if (strcmp(method, "profile.neighbors") == 0) {
        text_append(result, NEIGHBORS);
        return true;
    }
    *is_error = true;
    text_append(result, "{\"code\":-32000,\"message\":\"no run\",\"data\":{\"code\":\"no_run\"}}");
    return true;
}

/* Both streams go to one pipe, so that their order shows. */
struct capture {
    int before_out_fd, before_err_fd, read_fd;
};

static struct capture capture_begin(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct capture capture = {dup(STDOUT_FILENO), dup(STDERR_FILENO), ends[0]};
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    return capture;
}

static void capture_end(struct capture *capture, char *ret_text, size_t text_bytes)
{
    dup2(capture->before_out_fd, STDOUT_FILENO);
    dup2(capture->before_err_fd, STDERR_FILENO);
    close(capture->before_out_fd);
    close(capture->before_err_fd);
    size_t n_bytes = 0;
    for (ssize_t n = 1; n > 0; n_bytes += n > 0 ? (size_t)n : 0) {
        n = read(capture->read_fd, ret_text + n_bytes, text_bytes - 1 - n_bytes);
    }
    ret_text[n_bytes] = '\0';
    close(capture->read_fd);
}

static void render_top_names(const void *result, const struct terminal *terminal, struct text *text)
{
    const struct top_result *top = result;
    assert_false(terminal->is_terminal);
    assert_true(terminal->has_colour);
    text_printf(text, "first is %s\n", top->rows[0].name);
}

static void render_nothing(const void *result, const struct terminal *terminal, struct text *text)
{
    (void)result;
    (void)terminal;
    text_append(text, "page\n");
}

static int ask_top(const char *method, const char *socket, bool wants_json, char *ret_text,
                   size_t text_bytes)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct server_options server = {.socket = socket, .colour = COLOUR_ALWAYS};
    struct top_result result = {0};
    const struct query_page page = {
        .question =
            {
                .server = &server,
                .wants_json = wants_json,
                .method = method,
                .result_type = &rpc_type_top_result,
                .result = &result,
            },
        .render = render_top_names,
        .hint = &result.hint,
    };
    struct capture capture = capture_begin();
    int code = ask_query(&page, &arena);
    capture_end(&capture, ret_text, text_bytes);
    return code;
}

static void an_answer_is_rendered_and_hinted_at(void **state)
{
    char text[1000];
    assert_int_equal(ask_top("profile.top", test_server_socket(*state), false, text, sizeof(text)),
                     EXIT_CODE_DONE);
    assert_string_equal(text, "first is parse\nrecord longer\n");
}

static void json_is_printed_alone(void **state)
{
    char text[1000];
    assert_int_equal(ask_top("profile.top", test_server_socket(*state), true, text, sizeof(text)),
                     EXIT_CODE_DONE);
    assert_string_equal(text, TOP "\n");
}

static void a_failure_is_said_once(void **state)
{
    char text[1000];
    assert_int_equal(
        ask_top("profile.flame", test_server_socket(*state), false, text, sizeof(text)),
        EXIT_CODE_FAILED);
    assert_string_equal(text, "error: no run\n");
}

static void a_choice_is_said_before_the_page(void **state)
{
    _cleanup_(arena_releasep) struct arena arena;
    arena_init(&arena, 0);
    struct server_options server = {.socket = test_server_socket(*state)};
    struct neighbors_result result = {.choice = NULL};
    const struct query_page page = {
        .question =
            {
                .server = &server,
                .method = "profile.neighbors",
                .result_type = &rpc_type_neighbors_result,
                .result = &result,
            },
        .render = render_nothing,
        .choice = &result.choice,
    };
    struct capture capture = capture_begin();
    int code = ask_query(&page, &arena);
    char text[1000];
    capture_end(&capture, text, sizeof(text));
    assert_int_equal(code, EXIT_CODE_DONE);
    assert_string_equal(text, "PARSE is taken as parse (tool)\npage\n");
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
        cmocka_unit_test(an_answer_is_rendered_and_hinted_at),
        cmocka_unit_test(json_is_printed_alone),
        cmocka_unit_test(a_failure_is_said_once),
        cmocka_unit_test(a_choice_is_said_before_the_page),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
