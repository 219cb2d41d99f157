/* SPDX-License-Identifier: MIT */
#include "cli/ring_options.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "cli/quantity.h"
#include "model/wait_reason.h"

#define WORD_MAX_BYTES 32
#define SYNTAX                                                                                     \
    "what>duration, such as off-cpu>100ms, runq>50ms or lock>5ms, or SIGUSR2; in a shell it "      \
    "needs quotes: --on 'lock>5ms'"

/* The name as the server knows it; NULL: it is none. */
static const char *find_name(const char *word)
{
    enum wait_reason reason;
    if (strcasecmp(word, "off-cpu") == 0) {
        return "off-cpu";
    }
    if (strcasecmp(word, "runq") == 0) {
        return "runq";
    }
    return wait_reason_parse(word, &reason) ? wait_reason_name(reason) : NULL;
}

static const char *skip_spaces(const char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    return text;
}

/* Copies up to the first of `ends`, without the spaces around; false where it is too long. */
static bool take_word(const char **text, const char *ends, char word[static WORD_MAX_BYTES])
{
    const char *start = skip_spaces(*text);
    size_t n_bytes = strcspn(start, ends);
    *text = start + n_bytes;
    while (n_bytes > 0 && isspace((unsigned char)start[n_bytes - 1])) {
        n_bytes--;
    }
    if (n_bytes >= WORD_MAX_BYTES) {
        return false;
    }
    memcpy(word, start, n_bytes);
    word[n_bytes] = '\0';
    return true;
}

static int refuse(struct error *reterr_error, const char *text, const char *why)
{
    error_set(reterr_error, "usage", "--on %s: %s", text, why);
    return -EINVAL;
}

static int parse(const char *text, struct ring_trigger *trigger, bool *ret_is_signal,
                 struct error *reterr_error)
{
    char word[WORD_MAX_BYTES], length[WORD_MAX_BYTES];
    const char *at = text;
    int64_t longer_than_ns;
    if (!take_word(&at, ">", word)) {
        return refuse(reterr_error, text, SYNTAX);
    }
    *ret_is_signal = *at == '\0' && strcasecmp(word, "SIGUSR2") == 0;
    if (*ret_is_signal) {
        return 0;
    }
    trigger->on = find_name(word);
    if (*at == '\0') {
        return refuse(reterr_error, text, trigger->on ? "for how long? " SYNTAX : SYNTAX);
    }
    if (!trigger->on) {
        return refuse(reterr_error, text,
                      "on what? off-cpu (any wait but idle and sleep), runq (for a CPU), or one "
                      "of idle, lock, sem, ipc, ioR, ioW, ready, sleep, conn and other");
    }
    at += at[1] == '=' ? 2 : 1;
    if (!take_word(&at, "", length) || quantity_parse_duration(length, &longer_than_ns) < 0 ||
        longer_than_ns <= 0) {
        return refuse(reterr_error, text, "longer than what? 100ms, 2.5 (seconds) or 1500us");
    }
    trigger->longer_than_ns = (uint64_t)longer_than_ns;
    return 0;
}

int ring_options_parse(const struct option_texts *texts, struct arena *arena,
                       struct ring_options *ret_options, struct error *reterr_error)
{
    *ret_options = (struct ring_options){
        .triggers = arena_alloc_array(arena, texts->n_items + 1, sizeof(struct ring_trigger)),
    };
    if (!ret_options->triggers) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < texts->n_items; i++) {
        bool is_signal;
        int r = parse(texts->items[i], &ret_options->triggers[ret_options->n_triggers], &is_signal,
                      reterr_error);
        if (r != 0) {
            return r;
        }
        ret_options->on_signal = ret_options->on_signal || is_signal;
        ret_options->n_triggers += !is_signal;
    }
    return 0;
}
