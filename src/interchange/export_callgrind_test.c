/* SPDX-License-Identifier: MIT */
#include <ctype.h>

#include "interchange/export_test.h"

struct costs {
    uint64_t of[4]; /* Cpu OffCpu Samples Waits */
};

static void take(struct costs *sum, const char *text)
{
    for (size_t i = 0; i < 4; i++) {
        char *end;
        sum->of[i] += strtoull(text, &end, 10);
        assert_ptr_not_equal(end, text);
        text = end;
    }
}

/* All costs but those of calls, which are the lines behind "calls=". */
static struct costs self_costs(const char *text, struct costs *ret_totals)
{
    struct costs sum = {0};
    bool is_call = false;
    *ret_totals = (struct costs){0};
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (isdigit((unsigned char)*line) && !is_call) {
            take(&sum, strchr(line, ' '));
        }
        is_call = strncmp(line, "calls=", 6) == 0;
        if (strncmp(line, "totals:", 7) == 0) {
            take(ret_totals, line + 7);
        }
    }
    return sum;
}

static void self_costs_sum_to_the_totals(void **state)
{
    (void)state;
    struct scene scene;
    struct attribution attribution;
    size_t n_bytes;
    struct costs totals;
    export_scene_random(&scene, 20000);
    export_attribution(&scene, &attribution);
    _cleanup_(freep) char *text = export_read(&scene, EXPORT_FORMAT_CALLGRIND, &n_bytes);
    struct costs sum = self_costs(text, &totals);
    assert_memory_equal(&sum, &totals, sizeof(sum));
    assert_int_equal(sum.of[0], attribution.totals.cpu_ns);
    assert_int_equal(sum.of[1], attribution.totals.off_cpu_ns);
    assert_int_equal(sum.of[2], attribution.totals.samples);
    assert_true(sum.of[3] > 0);
    scene_end(&scene);
}

/* The number that stands for a function, in the text around it: "fn=(5)". */
static const char *function_block(const char *text, const char *name)
{
    char wanted[100];
    static char head[100];
    snprintf(wanted, sizeof(wanted), ") %s\n", name);
    const char *at = strstr(text, wanted);
    assert_non_null(at);
    while (*at != '(') {
        at--;
    }
    snprintf(head, sizeof(head), "\nfn=(%llu)", strtoull(at + 1, NULL, 10));
    const char *block = strstr(text, head);
    assert_non_null(block);
    return block;
}

static void calls_cost_what_runs_below_them(void **state)
{
    (void)state;
    struct scene scene;
    size_t n_bytes;
    struct costs self = {0}, called = {0};
    bool is_call = false;
    export_scene_small(&scene);
    _cleanup_(freep) char *text = export_read(&scene, EXPORT_FORMAT_CALLGRIND, &n_bytes);
    assert_memory_equal(text, "# callgrind format\n", 19);
    assert_non_null(strstr(text, "\nevents: Cpu OffCpu Samples Waits\n"));
    const char *block = function_block(text, "walk_tree");
    const char *end = strstr(block, "\n\n");
    assert_non_null(end);
    for (const char *line = strchr(block + 1, '\n') + 1; line < end;
         line = strchr(line, '\n') + 1) {
        if (isdigit((unsigned char)*line)) {
            take(is_call ? &called : &self, strchr(line, ' '));
        }
        is_call = strncmp(line, "calls=", 6) == 0;
    }
    /* It ran itself for 100 ms; what it calls is hash_key and the wait, but not itself. */
    assert_int_equal(self.of[0], 100 * TEST_MS);
    assert_int_equal(self.of[2], 80);
    assert_int_equal(called.of[0], 100 * TEST_MS);
    assert_int_equal(called.of[1], 100 * TEST_MS);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_costs_sum_to_the_totals),
        cmocka_unit_test(calls_cost_what_runs_below_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
