/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/hello.h"

static void an_answer_is_yes_or_no(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool is_yes;
    } rows[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"version\":1}}\n", true},
        {"{\"id\": 1, \"result\": {\"version\" : 1, \"more\": []}}\n", true},
        {"{\"id\":1,\"result\":{\"version\":2}}\n", false},
        {"{\"id\":1,\"result\":{\"version\":11}}\n", false},
        {"{\"id\":1,\"result\":{\"version\":}}\n", false},
        {"{\"id\":1,\"result\":{}}\n", false},
        {"{\"id\":1,\"error\":{\"code\":-32601,\"message\":\"no such method\"}}\n", false},
        {"{\"id\":1,\"error\":{\"data\":{\"result\":0,\"version\":1}}}\n", false},
        {"\n", false},
        {"version 1", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(target_hello_is_yes(rows[i].line), rows[i].is_yes);
    }
}

static int say_to(const char *answer)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], answer, strlen(answer)), strlen(answer));
    shutdown(ends[1], SHUT_WR);
    int r = target_hello_say(ends[0], STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
    return r;
}

static void what_is_no_answer_is_an_error(void **state)
{
    (void)state;
    char endless[TARGET_ANSWER_BYTES + 10];
    memset(endless, 'x', sizeof(endless));
    endless[sizeof(endless) - 1] = '\0';
    assert_int_equal(say_to("{\"result\":{\"version\":1}}\n"), 0);
    assert_int_equal(say_to("{\"error\":{}}\n"), -EPROTO);
    assert_int_equal(say_to("{\"result\":{\"version\":1}}"), -ECONNRESET);
    assert_int_equal(say_to(""), -ECONNRESET);
    assert_int_equal(say_to(endless), -EMSGSIZE);
}

static void nobody_is_there(void **state)
{
    (void)state;
    int fd = -1;
    char long_path[300];
    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(target_hello_open(&fd), 0);
    assert_int_equal(target_hello_connect(fd, "/tmp/there-is-no-such-folder/socket"), -ENOENT);
    assert_int_equal(target_hello_connect(fd, long_path), -ENAMETOOLONG);
    assert_true(fd >= 64);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_yes_or_no),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(nobody_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
