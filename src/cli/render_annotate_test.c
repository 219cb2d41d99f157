/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/render.h"

static struct annotate_line lines[] = {
    {.address = "0xff8",
     .bytes = "31 d2",
     .text = "xor edx, edx",
     .file = "/src/tool/parse.c",
     .line = 70,
     .source = "\tfor (int i = 0; i < n; i++) {"},
    {.address = "0xffa",
     .bytes = "48 0f af c1",
     .text = "imul rax, rcx",
     .samples = 75,
     .self_active_ns = 75000000,
     .pct = 75,
     .file = "/src/tool/parse.c",
     .line = 70,
     .is_target = true},
    {.address = "0xffe",
     .bytes = "ff c2",
     .text = "inc edx",
     .samples = 25,
     .self_active_ns = 25000000,
     .pct = 25,
     .file = "/src/tool/mix.h",
     .line = 9,
     .source = "    x += 1;",
     .inlined = "mix"},
    {.address = "0x1000",
     .bytes = "75 f8",
     .text = "jnz 0xffa",
     .file = "/src/tool/parse.c",
     .line = 70,
     .source = "\tfor (int i = 0; i < n; i++) {",
     .flow = "branch",
     .branch_target = "0xffa"},
    {.address = "0x1002",
     .bytes = "e8 f9 ef 00 00",
     .text = "call 0x10000",
     .file = "/src/tool/parse.c",
     .line = 71,
     .flow = "call",
     .branch_target = "0x10000",
     .target_name = "finish\033[2J"},
};

static struct annotate_result make_result(void)
{
    return (struct annotate_result){
        .run = {.id = 3, .state = RUN_STATE_STOPPED, .duration_ns = 2000000000},
        .view = {.to_ns = 2000000000},
        .name = "parse_line",
        .image = "tool",
        .address = "0xff8",
        .size = 15,
        .self_samples = 75,
        .self_active_ns = 75000000,
        .self_pct = 50,
        .inlined_samples = 25,
        .inlined_active_ns = 25000000,
        .n_lines = sizeof(lines) / sizeof(lines[0]),
        .lines = lines,
    };
}

static const struct terminal plain = {.width = SIZE_MAX};

static void assert_rendered(const struct annotate_result *result,
                            const struct render_annotate_style *style, const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 20);
    render_annotate(result, style, &plain, &text);
    assert_string_equal(text.data, expected);
}

static void test_instructions_below_their_source(void **state)
{
    (void)state;
    const struct annotate_result result = make_result();
    const struct render_annotate_style style = {.has_bytes = false};
    assert_rendered(&result, &style,
                    "run 3 (stopped, 2.00 s): parse_line (tool)\n"
                    "75.0 ms self (50.0 %), 75 samples; 25.0 ms, 25 samples in code inlined into "
                    "it; 15 bytes at 0xff8; /src/tool/parse.c\n"
                    "      %  samples    address  instruction\n"
                    "parse.c:70      for (int i = 0; i < n; i++) {\n"
                    "                      0xff8  xor edx, edx\n"
                    ">  75.0       75  →   0xffa  imul rax, rcx\n"
                    "mix.h:9 (inlined mix)      x += 1;\n"
                    "   25.0       25      0xffe  inc edx\n"
                    "parse.c:70      for (int i = 0; i < n; i++) {\n"
                    "                     0x1000  jnz 0xffa  ↑\n"
                    "parse.c:71\n"
                    "                     0x1002  call 0x10000  <finish\\x1b[2J>\n");
}

static void test_bytes_without_source(void **state)
{
    (void)state;
    struct annotate_result result = make_result();
    result.n_lines = 2;
    result.inlined_samples = 0;
    const struct render_annotate_style style = {.has_bytes = true, .no_source = true};
    assert_rendered(&result, &style,
                    "run 3 (stopped, 2.00 s): parse_line (tool)\n"
                    "75.0 ms self (50.0 %), 75 samples; 15 bytes at 0xff8; /src/tool/parse.c\n"
                    "      %  samples    address  bytes        instruction\n"
                    "                      0xff8  31 d2        xor edx, edx\n"
                    ">  75.0       75  →   0xffa  48 0f af c1  imul rax, rcx\n");
}

static void test_context_hides_what_is_cold(void **state)
{
    (void)state;
    const struct annotate_result result = make_result();
    const struct render_annotate_style style = {.no_source = true, .has_context = true};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 20);
    render_annotate(&result, &style, &plain, &text);
    assert_non_null(strstr(text.data, "  …1 instruction without samples\n>  75.0"));
    assert_non_null(strstr(text.data, "inc edx\n  …2 instructions without samples\n"));
    assert_null(strstr(text.data, "xor"));

    const struct render_annotate_style wide = {
        .no_source = true, .has_context = true, .n_context = 1};
    text_clear(&text);
    render_annotate(&result, &wide, &plain, &text);
    assert_non_null(strstr(text.data, "xor"));
    assert_non_null(strstr(text.data, "jnz"));
    assert_null(strstr(text.data, "finish"));

    /* The first instruction of the line is hidden, its source is not. */
    const struct render_annotate_style source = {.has_context = true};
    text_clear(&text);
    render_annotate(&result, &source, &plain, &text);
    assert_non_null(strstr(text.data, "parse.c:70      for (int i = 0; i < n; i++) {\n>  75.0"));
}

static void test_an_inlined_function_says_where_it_stands(void **state)
{
    (void)state;
    struct annotate_candidate into[] = {
        {.name = "run",
         .image = "tool",
         .address = "0x1240",
         .self_samples = 20,
         .self_active_ns = 20000000},
        {.name = "do_read",
         .image = "[nf]",
         .kind = FRAME_KIND_KERNEL,
         .address = "0xffffffff81000000",
         .self_samples = 5,
         .self_active_ns = 5000000},
    };
    struct annotate_result result = make_result();
    result.name = "mix";
    result.inlined = true;
    result.n_lines = 0;
    result.self_samples = 25;
    result.inlined_samples = 0;
    result.n_inlined_into = 2;
    result.inlined_into = into;
    const struct render_annotate_style style = {.has_bytes = false};
    assert_rendered(&result, &style,
                    "run 3 (stopped, 2.00 s): mix (tool) (inlined)\n"
                    "75.0 ms self (50.0 %), 25 samples\n"
                    "It has no code of its own; it was inlined into:\n"
                    "active ms  samples  type                              function (image)\n"
                    "    20.00       20  stax annotate tool+0x1240         run (tool)\n"
                    "     5.00        5  stax annotate 0xffffffff81000000  do_read ([nf])\n");
}

static void test_colour_and_width_on_a_terminal_only(void **state)
{
    (void)state;
    const struct annotate_result result = make_result();
    const struct render_annotate_style style = {.has_bytes = false};
    const struct terminal terminal = {.is_terminal = true, .has_colour = true, .width = 40};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 20);
    render_annotate(&result, &style, &terminal, &text);
    assert_non_null(strstr(text.data, "\033[31m>  75.0"));
    assert_non_null(strstr(text.data, "…"));
    text_clear(&text);
    render_annotate(&result, &style, &plain, &text);
    assert_null(strchr(text.data, '\033'));
}

static void test_places_without_code(void **state)
{
    (void)state;
    struct annotate_line places[] = {
        {.address = "0x10", .samples = 2, .self_active_ns = 2000000, .pct = 100}};
    struct annotate_result result = make_result();
    result.lines = places;
    result.n_lines = 1;
    const struct render_annotate_style style = {.has_bytes = true};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 1 << 20);
    render_annotate(&result, &style, &plain, &text);
    assert_non_null(strstr(text.data, "> 100.0        2       0x10  ?\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instructions_below_their_source),
        cmocka_unit_test(test_bytes_without_source),
        cmocka_unit_test(test_context_hides_what_is_cold),
        cmocka_unit_test(test_an_inlined_function_says_where_it_stands),
        cmocka_unit_test(test_colour_and_width_on_a_terminal_only),
        cmocka_unit_test(test_places_without_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
