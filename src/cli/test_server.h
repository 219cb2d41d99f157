/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * test_server - a server for unit tests, with the answers that a test gives it
 *
 * Owner:   test_server_start()/test_server_stop().
 * Threads: answers on a thread of its own; the callback runs there.
 */

#include <stdbool.h>

#include "base/text.h"

struct test_server;

/*
 * Appends the `result` member for one request, or `{"code":…}` after setting
 * *is_error. `request` is the whole line. Returning false closes the connection
 * without an answer.
 */
typedef bool (*test_server_cb)(void *userdata, const char *method, const char *request,
                               struct text *result, bool *is_error);

/* Asserts that it could be started. */
struct test_server *test_server_start(test_server_cb answer, void *userdata);
void test_server_stop(struct test_server *server);

const char *test_server_socket(const struct test_server *server);
