/* SPDX-License-Identifier: MIT */
#include "query/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int compile_expression(const char *text, size_t n_bytes, struct pattern *pattern,
                              struct error *reterr_error)
{
    _cleanup_(freep) char *inner = strndup(text, n_bytes);
    if (!inner) {
        return -ENOMEM;
    }
    int r = regcomp(&pattern->expression, inner, REG_EXTENDED | REG_NOSUB);
    if (r != 0) {
        char reason[128];
        (void)regerror(r, &pattern->expression, reason, sizeof(reason));
        error_set(reterr_error, "invalid_params", "/%s/ is no regular expression: %s", inner,
                  reason);
        error_hint(reterr_error, "leave the slashes out to search for plain text");
        return -EINVAL;
    }
    pattern->is_expression = true;
    return 0;
}

int patterns_compile(char *const *texts, size_t n_texts, struct patterns *ret_patterns,
                     struct error *reterr_error)
{
    ret_patterns->n_patterns = 0;
    if (n_texts > PATTERNS_MAX) {
        error_set(reterr_error, "invalid_params", "%zu patterns are too many (at most %u)", n_texts,
                  PATTERNS_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < n_texts; i++) {
        struct pattern *pattern = &ret_patterns->items[i];
        size_t n_bytes = strlen(texts[i]);
        *pattern = (struct pattern){.text = texts[i]};
        if (n_bytes > 2 && texts[i][0] == '/' && texts[i][n_bytes - 1] == '/') {
            int r = compile_expression(texts[i] + 1, n_bytes - 2, pattern, reterr_error);
            if (r != 0) {
                patterns_release(ret_patterns);
                return r;
            }
        }
        ret_patterns->n_patterns++;
    }
    return 0;
}

void patterns_release(struct patterns *patterns)
{
    for (size_t i = 0; i < patterns->n_patterns; i++) {
        if (patterns->items[i].is_expression) {
            regfree(&patterns->items[i].expression);
        }
    }
    patterns->n_patterns = 0;
}

static bool matches(const struct pattern *pattern, const char *text)
{
    return pattern->is_expression ? regexec(&pattern->expression, text, 0, NULL, 0) == 0
                                  : strcasestr(text, pattern->text) != NULL;
}

bool patterns_match(const struct patterns *patterns, const struct symbol *symbol)
{
    for (size_t i = 0; i < patterns->n_patterns; i++) {
        if (matches(&patterns->items[i], symbol->name) ||
            matches(&patterns->items[i], symbol->image)) {
            return true;
        }
    }
    return false;
}

bool patterns_match_text(const struct patterns *patterns, const char *text)
{
    for (size_t i = 0; i < patterns->n_patterns; i++) {
        if (matches(&patterns->items[i], text)) {
            return true;
        }
    }
    return false;
}
