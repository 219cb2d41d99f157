/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "cli/options.h"

struct sample_values {
    bool is_loud;
    const char *name;
    struct option_texts patterns;
    struct option_ids tids;
    struct option_number count, size_bytes, limit_ns, from_ns;
    double share_pct;
    unsigned sort;
};

static const char *const sorts[] = {"self", "total", NULL};

static const struct option_spec specs[] = {
    {.name = "loud",
     .letter = 'L',
     .kind = OPTION_FLAG,
     .offset = offsetof(struct sample_values, is_loud)},
    {.name = "name", .kind = OPTION_TEXT, .offset = offsetof(struct sample_values, name)},
    {.name = "focus", .kind = OPTION_TEXT_LIST, .offset = offsetof(struct sample_values, patterns)},
    {.name = "tid",
     .kind = OPTION_ID_LIST,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct sample_values, tids)},
    {.name = "count",
     .letter = 'n',
     .alias = 'k',
     .kind = OPTION_INTEGER,
     .fallback = "20",
     .min = 0,
     .max = 100,
     .offset = offsetof(struct sample_values, count)},
    {.name = "size",
     .kind = OPTION_BYTES,
     .fallback = "2G",
     .offset = offsetof(struct sample_values, size_bytes)},
    {.name = "limit", .kind = OPTION_DURATION, .offset = offsetof(struct sample_values, limit_ns)},
    {.name = "from", .kind = OPTION_TIME, .offset = offsetof(struct sample_values, from_ns)},
    {.name = "threshold-pct",
     .kind = OPTION_PERCENT,
     .fallback = "1.0",
     .offset = offsetof(struct sample_values, share_pct)},
    {.name = "sort",
     .kind = OPTION_CHOICE,
     .fallback = "self",
     .choices = sorts,
     .offset = offsetof(struct sample_values, sort)},
};

static const struct option_table table = {
    .groups = {{.title = "Options", OPTION_SPECS(specs)}},
    .values_bytes = sizeof(struct sample_values),
};

static const struct option_table stopping_table = {
    .groups = {{.title = "Options", OPTION_SPECS(specs)}},
    .values_bytes = sizeof(struct sample_values),
    .stops_at_operand = true,
};

struct parse {
    struct arena arena;
    struct error error;
    struct parsed_options parsed;
    char *argv[32];
    char words[256];
    int r;
};

/* Splits the line at blanks, as a shell would without quotes. */
static const struct sample_values *parse(struct parse *parse, const struct option_table *wanted,
                                         const char *line)
{
    *parse = (struct parse){0};
    arena_init(&parse->arena, 0);
    snprintf(parse->words, sizeof(parse->words), "command %s", line);
    int argc = 0;
    char *rest = parse->words;
    for (char *word; (word = strsep(&rest, " "));) {
        if (*word != '\0') {
            parse->argv[argc++] = word;
        }
    }
    parse->r =
        options_parse(wanted, argc, parse->argv, &parse->arena, &parse->parsed, &parse->error);
    return parse->parsed.values;
}

static void without_options_the_defaults_hold(void **state)
{
    (void)state;
    struct parse p;
    const struct sample_values *values = parse(&p, &table, "");
    assert_int_equal(p.r, 0);
    assert_false(values->is_loud);
    assert_null(values->name);
    assert_int_equal(values->count.value, 20);
    assert_false(values->count.is_given);
    assert_int_equal(values->size_bytes.value, INT64_C(2) << 30);
    assert_true(values->share_pct == 1.0);
    assert_int_equal(values->sort, 0);
    assert_int_equal(p.parsed.n_operands, 0);
    arena_release(&p.arena);
}

static void every_kind_is_taken(void **state)
{
    (void)state;
    struct parse p;
    const struct sample_values *values =
        parse(&p, &table,
              "-L --name=x --focus a --focus b --tid 7 --tid 8 -n5 --size 64K --limit 1500ms "
              "--from -5");
    assert_int_equal(p.r, 0);
    assert_true(values->is_loud);
    assert_string_equal(values->name, "x");
    assert_int_equal(values->patterns.n_items, 2);
    assert_string_equal(values->patterns.items[1], "b");
    assert_int_equal(values->tids.n_items, 2);
    assert_int_equal(values->tids.items[0], 7);
    assert_int_equal(values->tids.items[1], 8);
    assert_true(values->count.is_given);
    assert_int_equal(values->count.value, 5);
    assert_int_equal(values->size_bytes.value, 65536);
    assert_int_equal(values->limit_ns.value, 1500000000);
    assert_int_equal(values->from_ns.value, -5000000000);
    arena_release(&p.arena);

    values = parse(&p, &table, "-k 9 --threshold-pct 2.5 --sort total");
    assert_int_equal(p.r, 0);
    assert_int_equal(values->count.value, 9);
    assert_true(values->share_pct == 2.5);
    assert_int_equal(values->sort, 1);
    arena_release(&p.arena);
}

static void operands_may_stand_anywhere(void **state)
{
    (void)state;
    struct parse p;
    const struct sample_values *values = parse(&p, &table, "one -L two");
    assert_int_equal(p.r, 0);
    assert_true(values->is_loud);
    assert_int_equal(p.parsed.n_operands, 2);
    assert_string_equal(p.parsed.operands[0], "one");
    assert_string_equal(p.parsed.operands[1], "two");
    arena_release(&p.arena);
}

static void options_end_at_the_command(void **state)
{
    (void)state;
    static const char *const lines[] = {"-L ls -n 500 --help", "-L -- ls -n 500 --help"};
    for (size_t i = 0; i < 2; i++) {
        struct parse p;
        const struct sample_values *values = parse(&p, &stopping_table, lines[i]);
        assert_int_equal(p.r, 0);
        assert_true(values->is_loud);
        assert_false(values->count.is_given);
        assert_int_equal(p.parsed.n_operands, 4);
        assert_string_equal(p.parsed.operands[0], "ls");
        assert_string_equal(p.parsed.operands[3], "--help");
        arena_release(&p.arena);
    }
}

static void help_wins(void **state)
{
    (void)state;
    static const char *const lines[] = {"-h", "--help", "-n 3 --help", "-Lh"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct parse p;
        parse(&p, &table, lines[i]);
        assert_int_equal(p.r, OPTIONS_E_HELP);
        arena_release(&p.arena);
    }
}

static void errors_name_the_word(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *message;
    } cases[] = {
        {"--frobnicate", "unknown option '--frobnicate'"},
        {"--frobnicate=3", "unknown option '--frobnicate'"},
        {"--lodu", "unknown option '--lodu'; did you mean '--loud'?"},
        {"--thresh 3", "unknown option '--thresh'; did you mean '--threshold-pct'?"},
        {"--nam=x", "unknown option '--nam'; did you mean '--name'?"},
        {"-x", "unknown option '-x'"},
        {"-Lx", "unknown option '-x'"},
        {"--loud=yes", "option '--loud' takes no value"},
        {"--name", "option '--name' needs a value"},
        {"-n", "option '-n' needs a value"},
        {"-Ln", "option '-n' needs a value"},
        {"-n 101", "--count: '101' is not a whole number from 0 to 100"},
        {"-n 1.5", "--count: '1.5' is not a whole number from 0 to 100"},
        {"--sort luck", "--sort: 'luck' is not one of self, total"},
        {"--limit 0", "--limit: '0' is not a duration, such as 2.5, 1500ms or 2m"},
        {"--limit -1", "--limit: '-1' is not a duration, such as 2.5, 1500ms or 2m"},
        {"--size big", "--size: 'big' is not a size, such as 512M or 2G"},
        {"--threshold-pct 101", "--threshold-pct: '101' is not a number from 0 to 100"},
        {"--from abc", "--from: 'abc' is not a time, such as 2.5, 1500ms, 2m or -5 (from the end)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parse p;
        parse(&p, &table, cases[i].line);
        assert_int_equal(p.r, -EINVAL);
        assert_string_equal(p.error.message, cases[i].message);
        arena_release(&p.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_the_defaults_hold),
        cmocka_unit_test(every_kind_is_taken),
        cmocka_unit_test(operands_may_stand_anywhere),
        cmocka_unit_test(options_end_at_the_command),
        cmocka_unit_test(help_wins),
        cmocka_unit_test(errors_name_the_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
