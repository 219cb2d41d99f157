/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdlib.h>

#include "interchange/export_format.h"
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

/* ---- inclusive costs, as readers of the format find them ---- */

#define MAX_NAMES 64

/* Names by their numbers: of functions, of files. */
struct names {
    char of[MAX_NAMES][100];
};

/* "(5) name" or "(5)"; of either the name. */
static const char *read_name(struct names *names, const char *text)
{
    char *end;
    unsigned long number = strtoul(text + 1, &end, 10);
    assert_non_null(end);
    assert_true(*text == '(' && *end == ')' && number < MAX_NAMES);
    size_t n_name = strcspn(end, "\n");
    if (n_name > 2) {
        snprintf(names->of[number], sizeof(names->of[number]), "%.*s", (int)(n_name - 2), end + 2);
    }
    assert_true(names->of[number][0] != '\0');
    return names->of[number];
}

/* What all calls of `function` cost, which readers show for its inclusive cost; `file` NULL: any.
 */
static struct costs inclusive_costs(const char *text, const char *file, const char *function)
{
    _cleanup_(freep) struct names *functions = calloc(1, sizeof(*functions));
    _cleanup_(freep) struct names *files = calloc(1, sizeof(*files));
    struct costs sum = {0};
    const char *callee = "", *callee_file = "";
    bool is_call = false;
    assert_non_null(functions);
    assert_non_null(files);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_true(strncmp(line, "fi=", 3) != 0); /* would be a function of its own */
        if (strncmp(line, "fn=", 3) == 0) {
            read_name(functions, line + 3);
        } else if (strncmp(line, "fl=", 3) == 0) {
            read_name(files, line + 3);
        } else if (strncmp(line, "cfn=", 4) == 0) {
            callee = read_name(functions, line + 4);
        } else if (strncmp(line, "cfi=", 4) == 0) {
            callee_file = read_name(files, line + 4);
        } else if (isdigit((unsigned char)*line) && is_call && strcmp(callee, function) == 0 &&
                   (!file || strcmp(callee_file, file) == 0)) {
            take(&sum, strchr(line, ' '));
        }
        is_call = strncmp(line, "calls=", 6) == 0;
    }
    return sum;
}

static void inclusive_costs_are_the_totals_of_top(void **state)
{
    (void)state;
    struct scene scene;
    struct top_result top;
    size_t n_bytes;
    const struct query_top_options options = {.sort = TOP_SORT_TOTAL};
    export_scene_small(&scene); /* with a function that calls itself */
    _cleanup_(freep) char *text = export_read(&scene, EXPORT_FORMAT_CALLGRIND, &n_bytes);
    assert_int_equal(query_top(&scene.context, &options, &top, &scene.error), 0);
    assert_true(top.n_rows >= 4);
    for (size_t i = 0; i < top.n_rows; i++) {
        struct costs costs = inclusive_costs(text, NULL, top.rows[i].name);
        assert_int_equal(costs.of[0], top.rows[i].total_active_ns);
        assert_int_equal(costs.of[2], top.rows[i].total_samples);
    }
    assert_int_equal(inclusive_costs(text, NULL, "walk_tree").of[0], 200 * TEST_MS);
    scene_end(&scene);
}

/*
 * 10 ms each: functions that call each other, one that is called and calls the one that calls it
 * elsewhere, and one that holds its own copy.
 */
static void begin_winding(struct scene *scene)
{
    const uint64_t around[] = {place_in(hash_key, 1), place_in(walk_tree, 1),
                               place_in(visit_node, 1), place_in(walk_tree, 5),
                               place_in(run_worker, 2)};
    const uint64_t above[] = {place_in(run_worker, 1), place_in(walk_tree, 1)};
    const uint64_t copied[] = {place_in(copy_bytes, 1), place_in(hash_key, 3)};
    scene_begin(scene, true, false);
    tell_start(scene, 1000 * TEST_MS, TEST_PID, "main");
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t time_ns = 1000 * TEST_MS + i * TEST_MS / 10 + TEST_MS / 20;
        bool is_around = i < 100, is_above = !is_around && i < 200;
        tell_sample(scene->aggregate, time_ns, TEST_PID,
                    is_around  ? around
                    : is_above ? above
                               : copied,
                    is_around ? N_IPS(around) : 2);
    }
    tell_out(scene->aggregate, 1030 * TEST_MS, TEST_PID, false);
    scene_freeze(scene, 1030 * TEST_MS);
}

static struct export_function *function_named(const struct export_frames *frames, const char *name)
{
    for (uint32_t i = 0; i < frames->n_functions; i++) {
        if (strcmp(frames->functions[i].name, name) == 0) {
            return &frames->functions[i];
        }
    }
    fail_msg("no function %s", name);
    return NULL;
}

/* copy_bytes becomes a copy of hash_key, and walk_tree holds code of two files. */
static void give_files(struct export_frames *frames)
{
    struct export_function *copy = function_named(frames, "copy_bytes");
    struct export_function *hash = function_named(frames, "hash_key");
    bool is_other = false;
    for (uint32_t i = 0; i < frames->n_functions; i++) {
        frames->functions[i].file = NULL; /* those of the test may be known by now */
    }
    function_named(frames, "walk_tree")->file = "tree.c";
    for (uint32_t i = 0; i < frames->n_places; i++) {
        struct export_place *place = &frames->places[i];
        if (strcmp(export_frames_function(frames, i)->name, "walk_tree") == 0) {
            place->file = is_other ? "tree.h" : "tree.c";
            place->line = is_other ? 77 : 33;
            is_other = true;
        }
    }
    copy->name = hash->name;
    copy->is_inlined = true;
    hash->file = copy->file = "hash.c";
}

static char *read_winding(struct scene *scene)
{
    const struct export_source source = {.query = &scene->context};
    struct export_job job = {.source = &source, .context = &scene->context, .command = "x"};
    _cleanup_(fd_closep) int fd = memfd_create("export", MFD_CLOEXEC);
    char *text = NULL;
    size_t n_bytes;
    assert_true(fd >= 0);
    assert_int_equal(export_shares_init(&scene->context, &job.shares, &scene->error), 0);
    assert_int_equal(export_frames_init(&scene->context, &job.frames), 0);
    for (size_t i = 0; i < job.shares.n_rows; i++) {
        stack_id stack = job.shares.rows[i].shown_stack;
        assert_int_equal(export_frames_load(&job.frames, stack), 0);
    }
    give_files(&job.frames);
    assert_int_equal(export_sink_init(&job.sink, fd, false), 0);
    assert_int_equal(export_callgrind_write(&job), 0);
    assert_int_equal(export_sink_finish(&job.sink), 0);
    export_sink_release(&job.sink);
    export_frames_release(&job.frames);
    export_shares_release(&job.shares);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(fd, 1 << 20, &text, &n_bytes), 0);
    return text;
}

static void each_stack_counts_once_in_a_function(void **state)
{
    (void)state;
    struct scene scene;
    struct costs totals;
    begin_winding(&scene);
    _cleanup_(freep) char *text = read_winding(&scene);
    assert_int_equal(inclusive_costs(text, "???", "(all)").of[0], 0); /* nobody calls it */
    assert_int_equal(inclusive_costs(text, "???", "run_worker").of[0], 20 * TEST_MS);
    assert_int_equal(inclusive_costs(text, "tree.c", "walk_tree").of[0], 20 * TEST_MS);
    assert_int_equal(inclusive_costs(text, "???", "visit_node").of[0], 10 * TEST_MS);
    assert_int_equal(inclusive_costs(text, "hash.c", "hash_key").of[0], 20 * TEST_MS);
    assert_int_equal(self_costs(text, &totals).of[0], 30 * TEST_MS);
    assert_int_equal(totals.of[0], 30 * TEST_MS);
    /* Lines of the function's own file are told, those of the other are not. */
    assert_null(strstr(text, "tree.h"));
    assert_non_null(strstr(text, "\n33 "));
    assert_null(strstr(text, "\n77 "));
    /* visit_node calls walk_tree, which has been counted above it. */
    const char *again = strstr(text, "\ncalls=1 0\n0 0 0 0 0\n");
    assert_non_null(again);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_costs_sum_to_the_totals),
        cmocka_unit_test(calls_cost_what_runs_below_them),
        cmocka_unit_test(inclusive_costs_are_the_totals_of_top),
        cmocka_unit_test(each_stack_counts_once_in_a_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
