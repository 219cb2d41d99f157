/* SPDX-License-Identifier: MIT */
#include "cli/ask_query.h"

#include <unistd.h>

#include "cli/command.h"
#include "cli/render.h"

int ask_query(const struct query_page *page, struct arena *arena)
{
    struct question question = page->question;
    if (question.wants_json) {
        question.result_type = NULL;
        return ask(&question, arena);
    }
    int code = ask(&question, arena);
    if (code != EXIT_CODE_DONE) {
        return code;
    }
    if (page->choice) {
        ask_print_hint(*page->choice);
    }
    struct terminal terminal;
    terminal_probe(STDOUT_FILENO, (enum colour_choice)question.server->colour, &terminal);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    page->render(question.result, &terminal, &text);
    code = ask_print(&text);
    if (page->hint) {
        ask_print_hint(*page->hint);
    }
    return code;
}
