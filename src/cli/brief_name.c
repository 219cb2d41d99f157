/* SPDX-License-Identifier: MIT */
#include "cli/brief_name.h"

#include <stdbool.h>
#include <string.h>

#define OPERATOR "operator"

/* The bracket that closes the one at `open`, or NULL; "->" closes nothing. */
static const char *find_end(const char *open)
{
    size_t depth = 0;
    for (const char *at = open; *at != '\0'; at++) {
        if (*at == '<' || *at == '(') {
            depth++;
        } else if (*at == ')' || (*at == '>' && at[-1] != '-')) {
            depth--;
        }
        if (depth == 0) {
            return at;
        }
    }
    return NULL;
}

/* "operator<<", "operator()", "operator->": their brackets are part of the name. */
static size_t operator_bytes(const char *name, const char *at)
{
    size_t n_bytes = strlen(OPERATOR);
    bool begins_word = at == name || strchr(" :", at[-1]) != NULL;
    if (!begins_word || strncmp(at, OPERATOR, n_bytes) != 0) {
        return 0;
    }
    if (strncmp(at + n_bytes, "()", 2) == 0) {
        return n_bytes + 2;
    }
    return n_bytes + strspn(at + n_bytes, "<>=-");
}

/* "(anonymous namespace)" names a place, "<T as Trait>::f" would be nothing without it. */
static bool is_kept(const char *name, const char *at)
{
    return strncmp(at, "(anonymous", strlen("(anonymous")) == 0 || at == name;
}

void brief_name_append(struct text *text, const char *name)
{
    const char *at = name;
    while (*at != '\0') {
        size_t n_operator = operator_bytes(name, at);
        if (n_operator > 0) {
            text_append_bytes(text, at, n_operator);
            at += n_operator;
            continue;
        }
        bool opens = *at == '<' || *at == '(';
        const char *end = opens && !is_kept(name, at) ? find_end(at) : NULL;
        if (!end) {
            text_append_char(text, *at++);
            continue;
        }
        text_append_char(text, *at);
        text_append(text, end > at + 1 ? "…" : "");
        text_append_char(text, *end);
        at = end + 1;
        if (strcmp(at, " const") == 0) {
            break;
        }
    }
}
