/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/render.h"

static struct doctor_finding findings[] = {
    {"host", "kernel", DOCTOR_STATE_OK, "Linux 6.1", NULL},
    {"host", "bpf", DOCTOR_STATE_WARN, "may not be loaded", "sudo stax record …"},
    {"run", "losses", DOCTOR_STATE_OK, "no event was lost", NULL},
    {"symbols", "/opt/a\033b", DOCTOR_STATE_BROKEN, "0 %", "install it"},
};

static const struct doctor_result result = {
    .run = 4, .broken = 1, .warnings = 1, .n_findings = 4, .findings = findings};

static void each_finding_is_a_line_and_its_fix_another(void **state)
{
    (void)state;
    const struct terminal plain = {.width = SIZE_MAX};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_doctor(&result, &plain, &text);
    assert_string_equal(text.data, "host\n"
                                   "ok      kernel: Linux 6.1\n"
                                   "warn    bpf: may not be loaded\n"
                                   "        fix: sudo stax record …\n"
                                   "\n"
                                   "run 4\n"
                                   "ok      losses: no event was lost\n"
                                   "\n"
                                   "symbols\n"
                                   "broken  /opt/a\\x1bb: 0 %\n"
                                   "        fix: install it\n"
                                   "\n"
                                   "1 broken, 1 warning\n");
}

static void what_is_broken_is_red_where_there_is_colour(void **state)
{
    (void)state;
    const struct terminal colourful = {.width = SIZE_MAX, .has_colour = true};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, RENDER_MAX_BYTES);
    render_doctor(&result, &colourful, &text);
    assert_non_null(strstr(text.data, "\033[31mbroken\033[0m  /opt/a\\x1bb"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_finding_is_a_line_and_its_fix_another),
        cmocka_unit_test(what_is_broken_is_red_where_there_is_colour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
