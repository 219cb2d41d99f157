/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "doctor/doctor.h"

static struct arena arena;
static struct doctor_list list;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return doctor_list_init(&list, &arena);
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static void start_anew(void)
{
    teardown(NULL);
    assert_int_equal(setup(NULL), 0);
}

static const struct doctor_finding *find(const char *area, const char *subject)
{
    for (size_t i = 0; i < list.result.n_findings; i++) {
        const struct doctor_finding *finding = &list.result.findings[i];
        if (strcmp(finding->area, area) == 0 && strcmp(finding->subject, subject) == 0) {
            return finding;
        }
    }
    return NULL;
}

/* What is wrong says what to type; counts are right. */
static void assert_sound(void)
{
    uint64_t broken = 0, warnings = 0;
    for (size_t i = 0; i < list.result.n_findings; i++) {
        const struct doctor_finding *finding = &list.result.findings[i];
        broken += finding->state == DOCTOR_STATE_BROKEN;
        warnings += finding->state == DOCTOR_STATE_WARN;
        assert_true(finding->text[0] != '\0');
        assert_true((finding->state == DOCTOR_STATE_OK) == (finding->fix == NULL));
    }
    assert_int_equal(list.result.broken, broken);
    assert_int_equal(list.result.warnings, warnings);
    assert_false(list.has_failed);
}

static struct doctor_host good_host(void)
{
    return (struct doctor_host){
        .kernel = "6.1",
        .event_paranoid = 1,
        .mlock_kb = 516,
        .max_sample_rate_hz = 100000,
        .max_stack = 127,
    };
}

static enum doctor_state state_of(const struct doctor_host *host, const char *subject)
{
    start_anew();
    doctor_examine_host(&list, host);
    const struct doctor_finding *finding = find("host", subject);
    assert_non_null(finding);
    assert_sound();
    return finding->state;
}

static void each_setting_of_the_host_is_judged(void **state)
{
    (void)state;
    static const struct {
        int64_t level;
        bool can_perf;
        enum doctor_state state;
    } levels[] = {
        {-1, false, DOCTOR_STATE_OK},           {1, false, DOCTOR_STATE_OK},
        {2, false, DOCTOR_STATE_WARN},          {3, false, DOCTOR_STATE_BROKEN},
        {4, false, DOCTOR_STATE_BROKEN},        {4, true, DOCTOR_STATE_OK},
        {INT64_MIN, true, DOCTOR_STATE_BROKEN},
    };
    for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
        struct doctor_host host = good_host();
        host.event_paranoid = levels[i].level;
        host.can_perf = levels[i].can_perf;
        assert_int_equal(state_of(&host, "perf_event_paranoid"), levels[i].state);
        /* Where the kernel says no to us, staxd does not; no kernel: no events. */
        host.has_broker = true;
        assert_int_equal(state_of(&host, "perf_event_paranoid"),
                         levels[i].level == INT64_MIN ? levels[i].state : DOCTOR_STATE_OK);
        host.has_broker = false;
    }
    struct doctor_host host = good_host();
    assert_int_equal(state_of(&host, "kptr_restrict"), DOCTOR_STATE_OK);
    host.kptr_restrict = 1;
    assert_int_equal(state_of(&host, "kptr_restrict"), DOCTOR_STATE_WARN);
    host.can_syslog = true;
    assert_int_equal(state_of(&host, "kptr_restrict"), DOCTOR_STATE_OK);
    host.kptr_restrict = 2;
    assert_int_equal(state_of(&host, "kptr_restrict"), DOCTOR_STATE_WARN);
    assert_int_equal(state_of(&host, "perf_event_mlock_kb"), DOCTOR_STATE_OK);
    host.mlock_kb = 64;
    assert_int_equal(state_of(&host, "perf_event_mlock_kb"), DOCTOR_STATE_WARN);
    host.max_sample_rate_hz = 250;
    assert_int_equal(state_of(&host, "perf_event_max_sample_rate"), DOCTOR_STATE_WARN);
    host.max_stack = 10;
    assert_int_equal(state_of(&host, "perf_event_max_stack"), DOCTOR_STATE_WARN);
    assert_int_equal(state_of(&host, "bpf"), DOCTOR_STATE_WARN);
}

static void a_server_that_cannot_sample_is_broken(void **state)
{
    (void)state;
    char reason[] = "perf_event_paranoid=3", fix[] = "sudo sysctl kernel.perf_event_paranoid=1";
    struct capability_row rows[] = {
        {.name = "on-cpu", .reason = reason, .fix = fix},
        {.name = "kernel-stacks", .reason = reason, .fix = fix},
        {.name = "counters", .reason = "not recorded by this version"},
        {.name = "off-cpu", .available = true},
    };
    const struct status_result status = {.version = "1", .n_capabilities = 4, .capabilities = rows};
    doctor_examine_status(&list, &status);
    assert_int_equal(find("server", "on-cpu")->state, DOCTOR_STATE_BROKEN);
    assert_string_equal(find("server", "on-cpu")->fix, fix);
    assert_int_equal(find("server", "kernel-stacks")->state, DOCTOR_STATE_WARN);
    assert_int_equal(find("server", "counters")->state, DOCTOR_STATE_OK); /* nothing to be done */
    assert_string_equal(find("server", "counters")->text, "not recorded by this version");
    assert_string_equal(find("server", "kernel-stacks")->text,
                        "cannot be recorded: perf_event_paranoid=3");
    assert_int_equal(find("server", "off-cpu")->state, DOCTOR_STATE_OK);
    assert_sound();
}

static struct diagnose_result run_of(struct diagnose_stack_end *ends, size_t n_ends,
                                     struct diagnose_image *images, size_t n_images)
{
    return (struct diagnose_result){
        .run = {.id = 3},
        .stacks = {.total = 1000, .complete = 1000},
        .unwind = {.enabled = true, .n_ends = n_ends, .ends = ends},
        .n_images = n_images,
        .images = images,
    };
}

static void a_good_run_has_nothing_to_mend(void **state)
{
    (void)state;
    struct diagnose_stack_end ends[] = {{"complete", 999}, {"deeper than the limit", 1}};
    struct diagnose_image images[] = {
        {.path = "/bin/x",
         .symbols = ".symtab",
         .state = "loaded",
         .samples = 990,
         .samples_named = 990},
        {.path = "/lib/rare.so", .state = "failed: no symbols", .samples = 10},
    };
    struct diagnose_table tables[] = {
        {.path = "/bin/x", .origin = ".eh_frame", .rows = 748},
        {.path = "/lib/rare.so", .origin = ".eh_frame", .rows = 10},
    };
    struct diagnose_result run = run_of(ends, 2, images, 2);
    run.unwind.tables = tables;
    run.unwind.n_tables = 2;
    doctor_examine_run(&list, &run);
    assert_int_equal(list.result.run, 3);
    assert_string_equal(find("unwinding", "/bin/x")->text,
                        "no stack is cut in it; 748 rows from .eh_frame");
    assert_null(find("unwinding", "/lib/rare.so"));
    assert_int_equal(list.result.broken + list.result.warnings, 0);
    assert_non_null(strstr(find("unwinding", "stacks")->text, "99.9 % of 1000"));
    assert_non_null(find("symbols", "/bin/x"));
    assert_null(find("symbols", "/lib/rare.so")); /* too few samples to be worth a line */
    assert_sound();
}

static void shortfalls_of_a_run_have_their_fix(void **state)
{
    (void)state;
    struct diagnose_stack_end ends[] = {
        {"complete", 400},
        {"not looked at", 7},
        {"code without unwind information or frame pointers", 100},
        {"the copied bytes ran out", 500},
    };
    struct diagnose_table tables[] = {
        {.path = "/usr/bin/deep", .cut_stacks = 500, .cut_cause = "the copied bytes ran out"},
        {.path = "//anon",
         .cut_stacks = 100,
         .origin = "none",
         .failure = "no tables",
         .cut_cause = "code without unwind information or frame pointers"},
        {.path = "/lib/fine.so", .cut_stacks = 1, .cut_cause = "x"},
    };
    struct diagnose_image images[] = {
        {.path = "/opt/stripped",
         .symbols = "none",
         .state = "loaded",
         .samples = 500,
         .samples_named = 100},
        {.path = "[kernel]", .symbols = "none", .state = "failed: kptr_restrict", .samples = 300},
        {.path = "//anon", .symbols = "none", .state = "not needed", .samples = 200},
        {.path = "/usr/bin/dd", .symbols = ".dynsym", .state = "loaded", .samples = 300},
    };
    struct diagnose_lost lost[] = {{"ring full", 12}, {"queue full", 0}, {"throttled", 3}};
    struct diagnose_result run = run_of(ends, 4, images, 4);
    run.unwind.tables = tables;
    run.unwind.n_tables = 3;
    run.lost = lost;
    run.n_lost = 3;
    doctor_examine_run(&list, &run);
    const struct doctor_finding *stacks = find("unwinding", "stacks");
    assert_int_equal(stacks->state, DOCTOR_STATE_BROKEN); /* 40 % */
    assert_non_null(strstr(stacks->text, "40.0 % of 1000"));
    assert_non_null(strstr(stacks->fix, "--stack-bytes"));
    assert_non_null(find("unwinding", "/usr/bin/deep"));
    assert_non_null(strstr(find("unwinding", "//anon")->text, "no tables"));
    assert_non_null(strstr(find("unwinding", "//anon")->fix, "--perf-prof"));
    assert_null(find("unwinding", "/lib/fine.so"));
    assert_non_null(strstr(find("symbols", "/opt/stripped")->text, "20.0 % of 500"));
    assert_non_null(strstr(find("symbols", "/opt/stripped")->fix, "DEBUGINFOD_URLS"));
    assert_non_null(strstr(find("symbols", "/opt/stripped")->fix, "strip"));
    assert_non_null(
        strstr(find("symbols", "/usr/bin/dd")->fix, "find-dbgsym-packages /usr/bin/dd"));
    assert_non_null(strstr(find("symbols", "[kernel]")->fix, "kptr_restrict"));
    assert_non_null(strstr(find("symbols", "//anon")->fix, "--perf-prof"));
    assert_non_null(
        strstr(find("symbols", "//anon")->text, "0.0 % of 200 samples have names: the"));
    assert_non_null(strstr(find("run", "losses")->text, "12 events were lost (ring full)"));
    assert_sound();
    /* Some, but too few to be worth a warning; each cause has something to say. */
    start_anew();
    tables[0].path = "/opt/stripped";
    tables[0].cut_stacks = 1;
    tables[1].cut_cause = "unwind information of a form that is not followed";
    doctor_examine_run(&list, &run);
    assert_int_equal(find("unwinding", "/opt/stripped")->state, DOCTOR_STATE_OK);
    assert_non_null(strstr(find("unwinding", "/opt/stripped")->text, "1 stacks (0.1 %)"));
    assert_non_null(strstr(find("unwinding", "//anon")->fix, "LD_BIND_NOW"));
    assert_sound();
}

/* A server that waits more often than it is sampled; a module of the kernel that nobody sampled. */
static void stacks_of_waits_count_as_well(void **state)
{
    (void)state;
    struct diagnose_stack_end ends[] = {{"complete", 9000}, {"the copied bytes ran out", 1000}};
    struct diagnose_table tables[] = {
        {.path = "/bin/x", .cut_stacks = 1000, .cut_cause = "the copied bytes ran out"},
    };
    struct diagnose_image images[] = {
        {.path = "[kernel]",
         .symbols = "kallsyms",
         .state = "loaded",
         .samples = 1000,
         .samples_named = 1000},
        {.path = "[kernel]", .symbols = "none", .state = "not needed"},
    };
    struct diagnose_result run = run_of(ends, 2, images, 2);
    run.unwind.tables = tables;
    run.unwind.n_tables = 1;
    doctor_examine_run(&list, &run);
    assert_non_null(strstr(find("unwinding", "stacks")->text, "90.0 % of 10000"));
    assert_non_null(strstr(find("unwinding", "/bin/x")->text, "1000 stacks (10.0 %)"));
    assert_non_null(strstr(find("symbols", "[kernel]")->text, "100.0 % of 1000"));
    assert_int_equal(list.result.warnings, 2); /* none of them of names */
    assert_sound();
}

static void frame_pointers_alone_are_a_warning(void **state)
{
    (void)state;
    struct diagnose_result run = run_of(NULL, 0, NULL, 0);
    run.unwind.enabled = false;
    doctor_examine_run(&list, &run);
    assert_int_equal(find("unwinding", "stacks")->state, DOCTOR_STATE_WARN);
    assert_non_null(strstr(find("unwinding", "stacks")->fix, "--no-dwarf-unwind"));
    assert_sound();
    start_anew();
    run.stacks.total = 0;
    doctor_examine_run(&list, &run);
    assert_int_equal(find("run", "samples")->state, DOCTOR_STATE_WARN);
    assert_null(find("unwinding", "stacks"));
    assert_sound();
}

static void findings_are_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DOCTOR_FINDINGS_MAX + 10; i++) {
        doctor_add(&list, "host", "x", DOCTOR_STATE_WARN, "y", "%u", i);
    }
    assert_int_equal(list.result.n_findings, DOCTOR_FINDINGS_MAX);
    assert_sound();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_setting_of_the_host_is_judged),
        CASE(a_server_that_cannot_sample_is_broken),
        CASE(a_good_run_has_nothing_to_mend),
        CASE(shortfalls_of_a_run_have_their_fix),
        CASE(stacks_of_waits_count_as_well),
        CASE(frame_pointers_alone_are_a_warning),
        CASE(findings_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
