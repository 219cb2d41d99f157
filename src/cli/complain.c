/* SPDX-License-Identifier: MIT */
#include "cli/complain.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/label.h"
#include "cli/terminal.h"

#define COMPLAINT_MAX_BYTES 4096

/* Messages may quote names that the profiled program chose. */
static void append_message(struct text *text, const char *message)
{
    struct terminal terminal;
    terminal_probe(STDERR_FILENO, COLOUR_AUTO, &terminal);
    text_printf(text, "%serror:%s ", terminal_red(&terminal), terminal_plain(&terminal));
    label_append(text, message);
    text_append_char(text, '\n');
}

static void write_out(const struct text *text)
{
    /* Where stderr is gone there is nobody to tell. */
    (void)fd_write_all(STDERR_FILENO, text->data, text->length_bytes);
}

void complain_error(const struct error *error)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, COMPLAINT_MAX_BYTES);
    append_message(&text, error->message);
    if (error->hint[0] != '\0') {
        text_append(&text, "  ");
        label_append(&text, error->hint);
        text_append_char(&text, '\n');
    }
    write_out(&text);
}

void complain(const char *format, ...)
{
    _cleanup_(text_releasep) struct text message;
    text_init(&message, COMPLAINT_MAX_BYTES);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&message, format, arguments);
    va_end(arguments);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, COMPLAINT_MAX_BYTES);
    append_message(&text, message.data);
    write_out(&text);
}

int complain_usage(const struct command *command, const char *format, ...)
{
    _cleanup_(text_releasep) struct text message;
    text_init(&message, COMPLAINT_MAX_BYTES);
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&message, format, arguments);
    va_end(arguments);
    _cleanup_(text_releasep) struct text text;
    text_init(&text, COMPLAINT_MAX_BYTES);
    append_message(&text, message.data);
    text_printf(&text, "Try 'stax %s%s--help'\n", command ? command->name : "", command ? " " : "");
    write_out(&text);
    return EXIT_CODE_USAGE;
}
