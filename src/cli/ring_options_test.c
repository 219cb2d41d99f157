/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "cli/ring_options.h"

static struct arena arena;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    error = (struct error){0};
    arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static int parse_one(const char *text, struct ring_options *ret_options)
{
    char *items[] = {(char *)text};
    const struct option_texts texts = {.n_items = 1, .items = items};
    return ring_options_parse(&texts, &arena, ret_options, &error);
}

static void assert_trigger(const char *text, const char *on, uint64_t longer_than_ns)
{
    struct ring_options options;
    assert_int_equal(parse_one(text, &options), 0);
    assert_int_equal(options.n_triggers, 1);
    assert_false(options.on_signal);
    assert_string_equal(options.triggers[0].on, on);
    assert_int_equal(options.triggers[0].longer_than_ns, longer_than_ns);
}

static void waits_and_lengths_are_read(void **state)
{
    (void)state;
    assert_trigger("off-cpu>100ms", "off-cpu", 100000000);
    assert_trigger("lock>5ms", "lock", 5000000);
    assert_trigger("runq>50ms", "runq", 50000000);
    assert_trigger("ioR>2.5", "ioR", 2500000000);
    assert_trigger("IOW>=10us", "ioW", 10000);
    assert_trigger(" ready >= 1s ", "ready", 1000000000);
    assert_trigger("other > 7ns", "other", 7);
}

static void several_are_all_meant(void **state)
{
    (void)state;
    char first[] = "lock>5ms", second[] = "SIGUSR2", third[] = "sem>1";
    char *items[] = {first, second, third};
    const struct option_texts texts = {.n_items = 3, .items = items};
    struct ring_options options;
    assert_int_equal(ring_options_parse(&texts, &arena, &options, &error), 0);
    assert_true(options.on_signal);
    assert_int_equal(options.n_triggers, 2);
    assert_string_equal(options.triggers[0].on, "lock");
    assert_string_equal(options.triggers[1].on, "sem");
}

static void assert_refused(const char *text, const char *why)
{
    struct ring_options options;
    error = (struct error){0};
    assert_int_equal(parse_one(text, &options), -EINVAL);
    assert_non_null(strstr(error.message, text));
    assert_non_null(strstr(error.message, why));
}

static void what_is_wrong_is_told_with_the_syntax(void **state)
{
    (void)state;
    assert_refused("lock", "for how long?");
    assert_refused("lock", "lock>5ms");
    assert_refused("nonsense", "off-cpu>100ms");
    assert_refused("", "off-cpu>100ms");
    assert_refused("cpu>100ms", "on what?");
    assert_refused(">100ms", "on what?");
    assert_refused("lock>", "longer than what?");
    assert_refused("lock>0", "longer than what?");
    assert_refused("lock>-5ms", "longer than what?");
    assert_refused("lock>much", "longer than what?");
    assert_refused("lock>5msssssssssssssssssssssssssssssssssssssssss", "longer than what?");
    assert_refused("SIGUSR1", "SIGUSR2");
    assert_refused("locklocklocklocklocklocklocklocklocklock>5ms", "off-cpu>100ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waits_and_lengths_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_are_all_meant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_told_with_the_syntax, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
