/* SPDX-License-Identifier: MIT */
#include "cli/ask.h"

#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/command.h"
#include "cli/complain.h"
#include "cli/label.h"

#define HINT_MAX_BYTES 4096

static int write_stdout(const char *data, size_t n_bytes)
{
    int r = fd_write_all(STDOUT_FILENO, data, n_bytes);
    if (r < 0) {
        complain("writing to standard output: %s", strerror(-r));
        return EXIT_CODE_FAILED;
    }
    return EXIT_CODE_DONE;
}

int ask_print(const struct text *text)
{
    if (text->is_cut) {
        complain("the answer is too long to be shown; --json prints it whole");
        return EXIT_CODE_FAILED;
    }
    return write_stdout(text->data, text->length_bytes);
}

void ask_print_hint(const char *hint)
{
    if (!hint) {
        return;
    }
    _cleanup_(text_releasep) struct text text;
    text_init(&text, HINT_MAX_BYTES);
    label_append(&text, hint);
    text_append_char(&text, '\n');
    /* Where stderr is gone there is nobody to tell. */
    (void)fd_write_all(STDERR_FILENO, text.data, text.length_bytes);
}

int ask_over(struct rpc_client *client, const struct question *question, struct arena *arena)
{
    struct error error = {0};
    _cleanup_(freep) char *json = NULL;
    bool wants_json = question->wants_json;
    int r = rpc_client_call(client, question->method, question->params_type, question->params,
                            question->result_type, question->result, arena,
                            wants_json ? &json : NULL, &error);
    if (r < 0) {
        if (!error_is_set(&error)) {
            error_set_errno(&error, r, "asking stax-server");
        }
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    if (!wants_json) {
        return EXIT_CODE_DONE;
    }
    int code = write_stdout(json, strlen(json));
    return code != EXIT_CODE_DONE ? code : write_stdout("\n", 1);
}

int ask(const struct question *question, struct arena *arena)
{
    _cleanup_(rpc_client_freep) struct rpc_client *client = NULL;
    struct error error = {0};
    int r = server_options_connect(question->server, &client, &error);
    if (r < 0) {
        complain_error(&error);
        return EXIT_CODE_FAILED;
    }
    return ask_over(client, question, arena);
}
