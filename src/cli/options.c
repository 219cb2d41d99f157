/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/quantity.h"
#include "cli/spelling.h"

#define MAX_SPECS 40
#define LONG_VALUE_BASE 256 /* getopt's value of the i-th long option; letters lie below */

struct parser {
    const struct option_spec *specs[MAX_SPECS];
    char *bases[MAX_SPECS]; /* where each spec's group lies in the values */
    size_t n_specs;
    struct option longs[MAX_SPECS + 2];
    char letters[4 + 4 * MAX_SPECS];
    struct arena *arena;
    struct error *error;
};

static void collect(struct parser *parser, const struct option_table *table, char *values)
{
    for (size_t g = 0; g < OPTION_GROUP_N; g++) {
        const struct option_group *group = &table->groups[g];
        for (size_t i = 0; i < group->n_specs; i++) {
            assert(parser->n_specs < MAX_SPECS);
            parser->specs[parser->n_specs] = &group->specs[i];
            parser->bases[parser->n_specs] = values + group->offset;
            parser->n_specs++;
        }
    }
}

static void add_letter(char *letters, char letter, bool has_value)
{
    if (letter == '\0') {
        return;
    }
    size_t length = strlen(letters);
    letters[length++] = letter;
    if (has_value) {
        letters[length++] = ':';
    }
    letters[length] = '\0';
}

static void describe_to_getopt(struct parser *parser, bool stops_at_operand)
{
    /* ':' asks getopt to tell a missing value from an unknown option. */
    snprintf(parser->letters, sizeof(parser->letters), "%s:h", stops_at_operand ? "+" : "");
    size_t n_longs = 0;
    for (size_t i = 0; i < parser->n_specs; i++) {
        const struct option_spec *spec = parser->specs[i];
        bool has_value = spec->kind != OPTION_FLAG;
        add_letter(parser->letters, spec->letter, has_value);
        add_letter(parser->letters, spec->alias, has_value);
        if (spec->name) {
            parser->longs[n_longs++] = (struct option){
                .name = spec->name,
                .has_arg = has_value ? required_argument : no_argument,
                .val = LONG_VALUE_BASE + (int)i,
            };
        }
    }
    parser->longs[n_longs] = (struct option){.name = "help", .has_arg = no_argument, .val = 'h'};
}

/* "-F" or "--frequency", as an error message should name the option. */
static void name_of(const struct option_spec *spec, char *ret_name, size_t name_bytes)
{
    if (spec->name) {
        snprintf(ret_name, name_bytes, "--%s", spec->name);
    } else {
        snprintf(ret_name, name_bytes, "-%c", spec->letter);
    }
}

static int refuse_value(const struct parser *parser, const struct option_spec *spec,
                        const char *value, const char *expected)
{
    char name[64];
    name_of(spec, name, sizeof(name));
    error_set(parser->error, "usage", "%s: '%s' is not %s", name, value, expected);
    return -EINVAL;
}

static int append_text(const struct parser *parser, struct option_texts *texts, char *value)
{
    char **items = arena_alloc_array(parser->arena, texts->n_items + 1, sizeof(*items));
    if (!items) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < texts->n_items; i++) {
        items[i] = texts->items[i];
    }
    items[texts->n_items++] = value;
    texts->items = items;
    return 0;
}

static int append_id(const struct parser *parser, struct option_ids *ids, int64_t value)
{
    int64_t *items = arena_alloc_array(parser->arena, ids->n_items + 1, sizeof(*items));
    if (!items) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < ids->n_items; i++) {
        items[i] = ids->items[i];
    }
    items[ids->n_items++] = value;
    ids->items = items;
    return 0;
}

static int set_integer(const struct parser *parser, const struct option_spec *spec,
                       const char *value, int64_t *ret_number)
{
    char expected[96] = "a whole number";
    if (spec->max > 0) {
        snprintf(expected, sizeof(expected), "a whole number from %" PRId64 " to %" PRId64,
                 spec->min, spec->max);
    }
    int64_t number;
    if (quantity_parse_integer(value, &number) < 0 ||
        (spec->max > 0 ? number < spec->min || number > spec->max : number < 0)) {
        return refuse_value(parser, spec, value, expected);
    }
    *ret_number = number;
    return 0;
}

static int set_choice(const struct parser *parser, const struct option_spec *spec,
                      const char *value, unsigned *ret_index)
{
    char expected[128] = "one of";
    for (unsigned i = 0; spec->choices[i]; i++) {
        if (strcmp(value, spec->choices[i]) == 0) {
            *ret_index = i;
            return 0;
        }
        size_t length = strlen(expected);
        snprintf(expected + length, sizeof(expected) - length, "%s %s", i > 0 ? "," : "",
                 spec->choices[i]);
    }
    return refuse_value(parser, spec, value, expected);
}

static int set_number(const struct parser *parser, const struct option_spec *spec,
                      const char *value, struct option_number *number)
{
    int64_t parsed;
    switch (spec->kind) {
    case OPTION_BYTES:
        if (quantity_parse_bytes(value, &parsed) < 0) {
            return refuse_value(parser, spec, value, "a size, such as 512M or 2G");
        }
        break;
    case OPTION_DURATION:
        if (quantity_parse_duration(value, &parsed) < 0 || parsed <= 0) {
            return refuse_value(parser, spec, value, "a duration, such as 2.5, 1500ms or 2m");
        }
        break;
    case OPTION_TIME:
        if (quantity_parse_duration(value, &parsed) < 0) {
            return refuse_value(parser, spec, value,
                                "a time, such as 2.5, 1500ms, 2m or -5 (from the end)");
        }
        break;
    default:
        if (set_integer(parser, spec, value, &parsed) < 0) {
            return -EINVAL;
        }
        break;
    }
    *number = (struct option_number){.is_given = true, .value = parsed};
    return 0;
}

static int set_value(const struct parser *parser, size_t index, char *value)
{
    const struct option_spec *spec = parser->specs[index];
    void *at = parser->bases[index] + spec->offset;
    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return 0;
    case OPTION_TEXT:
        *(char **)at = value;
        return 0;
    case OPTION_TEXT_LIST:
        return append_text(parser, at, value);
    case OPTION_ID_LIST: {
        int64_t id;
        int r = set_integer(parser, spec, value, &id);
        return r < 0 ? r : append_id(parser, at, id);
    }
    case OPTION_PERCENT: {
        double percent;
        if (quantity_parse_decimal(value, &percent) < 0 || percent > 100) {
            return refuse_value(parser, spec, value, "a number from 0 to 100");
        }
        *(double *)at = percent;
        return 0;
    }
    case OPTION_CHOICE:
        return set_choice(parser, spec, value, at);
    case OPTION_INTEGER:
    case OPTION_BYTES:
    case OPTION_DURATION:
    case OPTION_TIME:
        break;
    }
    return set_number(parser, spec, value, at);
}

static int set_defaults(const struct parser *parser)
{
    for (size_t i = 0; i < parser->n_specs; i++) {
        const char *fallback = parser->specs[i]->fallback;
        if (fallback) {
            char *copy = arena_strdup(parser->arena, fallback);
            int r = copy ? set_value(parser, i, copy) : -ENOMEM;
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int refuse_unknown(const struct parser *parser, const char *word)
{
    if (word[0] == '-' && word[1] != '-') {
        error_set(parser->error, "usage", "unknown option '%s'", word);
        return -EINVAL;
    }
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    const char *names[MAX_SPECS + 1];
    size_t n_names = 0;
    for (size_t i = 0; i < parser->n_specs; i++) {
        if (parser->specs[i]->name) {
            names[n_names++] = parser->specs[i]->name;
        }
    }
    names[n_names++] = "help";
    const char *nearest = spelling_nearest(name + 2, names, n_names);
    if (nearest) {
        error_set(parser->error, "usage", "unknown option '%s'; did you mean '--%s'?", name,
                  nearest);
    } else {
        error_set(parser->error, "usage", "unknown option '%s'", name);
    }
    return -EINVAL;
}

/* The word of argv that held the option which getopt_long has just returned. */
static const char *word_of_long(char **argv)
{
    const char *last = argv[optind - 1];
    return optarg == last ? argv[optind - 2] : last;
}

static int refuse(const struct parser *parser, int letter, char **argv)
{
    const char *word = argv[optind - 1];
    if (letter == ':') {
        if (optopt < LONG_VALUE_BASE) {
            error_set(parser->error, "usage", "option '-%c' needs a value", optopt);
        } else {
            error_set(parser->error, "usage", "option '%s' needs a value", word);
        }
        return -EINVAL;
    }
    if (optopt >= LONG_VALUE_BASE || (optopt == 'h' && word[0] == '-' && word[1] == '-')) {
        error_set(parser->error, "usage", "option '%.*s' takes no value", (int)strcspn(word, "="),
                  word);
        return -EINVAL;
    }
    if (optopt > 0 && optopt < LONG_VALUE_BASE) {
        char short_word[3] = {'-', (char)optopt, '\0'};
        return refuse_unknown(parser, short_word);
    }
    return refuse_unknown(parser, word);
}

static int find_letter(const struct parser *parser, int letter)
{
    for (size_t i = 0; i < parser->n_specs; i++) {
        if (parser->specs[i]->letter == letter || parser->specs[i]->alias == letter) {
            return (int)i;
        }
    }
    return -1;
}

static int parse_words(const struct parser *parser, int argc, char **argv)
{
    optind = 0; /* glibc: start afresh, also where another argv was parsed before */
    opterr = 0;
    int long_index = 0;
    for (;;) {
        int letter = getopt_long(argc, argv, parser->letters, parser->longs, &long_index);
        if (letter == -1) {
            return 0;
        }
        if (letter == '?' || letter == ':') {
            return refuse(parser, letter, argv);
        }
        bool is_long = letter >= LONG_VALUE_BASE;
        if (is_long) {
            /*
             * getopt_long takes any unambiguous beginning of a name. A script
             * that used one would break when an option is added, so that only
             * whole names count here.
             */
            const char *word = word_of_long(argv);
            const char *name = parser->longs[long_index].name;
            if (strlen(name) != strcspn(word + 2, "=")) {
                return refuse_unknown(parser, word);
            }
        } else if (letter == 'h') {
            return OPTIONS_E_HELP;
        }
        int index = is_long ? letter - LONG_VALUE_BASE : find_letter(parser, letter);
        int r = set_value(parser, (size_t)index, optarg);
        if (r < 0) {
            return r;
        }
    }
}

int options_parse(const struct option_table *table, int argc, char **argv, struct arena *arena,
                  struct parsed_options *ret_parsed, struct error *reterr_error)
{
    void *values = arena_alloc(arena, table->values_bytes);
    if (!values) {
        return -ENOMEM;
    }
    struct parser parser = {.arena = arena, .error = reterr_error};
    collect(&parser, table, values);
    describe_to_getopt(&parser, table->stops_at_operand);
    int r = set_defaults(&parser);
    if (r < 0) {
        return r;
    }
    /* A default is not a choice that somebody made. */
    for (size_t i = 0; i < parser.n_specs; i++) {
        enum option_kind kind = parser.specs[i]->kind;
        if (kind == OPTION_INTEGER || kind == OPTION_BYTES || kind == OPTION_DURATION ||
            kind == OPTION_TIME) {
            void *at = parser.bases[i] + parser.specs[i]->offset;
            ((struct option_number *)at)->is_given = false;
        }
    }
    r = parse_words(&parser, argc, argv);
    if (r != 0) {
        return r;
    }
    *ret_parsed = (struct parsed_options){
        .values = values,
        .n_operands = argc - optind,
        .operands = argv + optind,
    };
    return 0;
}
