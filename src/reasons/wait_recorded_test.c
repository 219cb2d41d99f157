/* SPDX-License-Identifier: MIT */
/*
 * The stacks of tests/golden/waits: what real programs waited for, three times each: as root sees
 * it, as an ordinary user does (one kernel name), and with the kernel hidden.
 *
 * Usage: wait_recorded_test FILE
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "reasons/wait_cause.h"

#define FRAMES_MAX 64
#define LINE_MAX_BYTES 8192

/* The lines of one stack; "" where there is none. */
struct recording {
    char title[LINE_MAX_BYTES];
    char reason[LINE_MAX_BYTES];
    char site[LINE_MAX_BYTES];
    char kernel[LINE_MAX_BYTES];
    char user[LINE_MAX_BYTES];
    char wchan[LINE_MAX_BYTES];
    char hidden[LINE_MAX_BYTES];
};

static const char *golden_path;

/* Splits at " | ", in place. */
static size_t split(char *line, const char **names, size_t n_names_max)
{
    size_t n_names = 0;
    char *next = line[0] == '\0' ? NULL : line;
    while (next != NULL) {
        char *word = next;
        next = strstr(word, " | ");
        if (next != NULL) {
            *next = '\0';
            next += 3;
        }
        assert_true(n_names < n_names_max);
        names[n_names++] = strcmp(word, "?") == 0 ? NULL : word;
    }
    return n_names;
}

static void expect(const struct recording *recording, const char *what,
                   const struct wait_cause *got, const char *reason)
{
    if (strcmp(wait_reason_name(got->reason), reason) != 0) {
        print_error("%s, %s: %s\n", recording->title, what, wait_reason_name(got->reason));
    }
    assert_string_equal(wait_reason_name(got->reason), reason);
}

static void check(struct recording *recording)
{
    const char *names[FRAMES_MAX];
    struct wait_names stack = {.names = names};
    stack.n_kernel = split(recording->kernel, names, FRAMES_MAX);
    stack.n_names = stack.n_kernel +
                    split(recording->user, names + stack.n_kernel, FRAMES_MAX - stack.n_kernel);
    assert_true(stack.n_kernel > 0);

    struct wait_cause cause = wait_cause_decide(&stack);
    expect(recording, "whole", &cause, recording->reason);
    assert_true(cause.site < stack.n_names);
    assert_string_equal(names[cause.site], recording->site);

    const struct wait_names user = {.names = names + stack.n_kernel,
                                    .n_names = stack.n_names - stack.n_kernel};
    if (recording->hidden[0] != '\0') {
        cause = wait_cause_decide(&user);
        expect(recording, "hidden", &cause, recording->hidden);
    }
    if (recording->wchan[0] != '\0') {
        const char *few[FRAMES_MAX];
        size_t n_few = split(recording->wchan, few, FRAMES_MAX);
        assert_true(n_few >= 2 && n_few + user.n_names <= FRAMES_MAX);
        for (size_t i = 0; i < user.n_names; i++) {
            few[n_few + i] = user.names[i];
        }
        cause = wait_cause_decide(&(struct wait_names){
            .names = few + 1, .n_names = n_few - 1 + user.n_names, .n_kernel = n_few - 1});
        expect(recording, "wchan", &cause, few[0]);
    }
}

static char *field_of(struct recording *recording, const char *key)
{
    const struct {
        const char *key;
        char *field;
    } fields[] = {
        {"stack", recording->title},   {"reason", recording->reason}, {"site", recording->site},
        {"kernel", recording->kernel}, {"user", recording->user},     {"wchan", recording->wchan},
        {"hidden", recording->hidden},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(key, fields[i].key) == 0) {
            return fields[i].field;
        }
    }
    return NULL;
}

static void every_recorded_stack_is_decided_as_recorded(void **state)
{
    (void)state;
    static struct recording recording;
    static char line[LINE_MAX_BYTES];
    size_t n_checked = 0;
    FILE *file = fopen(golden_path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') {
            continue;
        }
        if (line[0] == '\0') {
            if (recording.title[0] != '\0') {
                check(&recording);
                n_checked++;
            }
            memset(&recording, 0, sizeof(recording));
            continue;
        }
        char *value = line + strcspn(line, " ");
        assert_true(*value == ' ');
        *value++ = '\0';
        value += strspn(value, " ");
        char *field = field_of(&recording, line);
        assert_non_null(field);
        memcpy(field, value, strlen(value) + 1);
    }
    (void)fclose(file);
    assert_int_equal(recording.title[0], '\0'); /* A blank line ends the last one. */
    assert_true(n_checked >= 100);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    golden_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_stack_is_decided_as_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
