/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cli/render.h"

static const struct terminal plain = {.width = SIZE_MAX};

static const struct run_info ended = {
    .id = 3,
    .state = RUN_STATE_STOPPED,
    .pid = 4711,
    .command = "./bench --fast",
    .duration_ns = 10 * NS_PER_S,
    .samples = 8983,
    .intervals = 1,
    .threads = 4,
    .has_exit_status = true,
    .stop_reason = "target exited",
};

static void assert_summary(const struct run_info *run, const struct totals *totals,
                           const char *expected)
{
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_run_summary(run, totals, &text);
    assert_string_equal(text.data, expected);
}

static void a_summary_tells_how_it_ended(void **state)
{
    (void)state;
    struct totals totals = {.cpu_ns = 9980 * NS_PER_MS};
    assert_summary(
        &ended, &totals,
        "run 3 (stopped, 10.0 s), pid 4711, ./bench --fast: target exited, exit status 0\n"
        "  8983 samples, 4 threads, 9.98 s on CPU, 1 off-CPU interval, 0 lost\n");
    struct run_info killed = ended;
    killed.exit_status = 137;
    killed.lost = 5;
    killed.threads = 1;
    killed.folded_until_ns = 2 * NS_PER_S;
    assert_summary(&killed, NULL,
                   "run 3 (stopped, 10.0 s), pid 4711, ./bench --fast: target exited, by signal 9\n"
                   "  8983 samples, 1 thread, 1 off-CPU interval, 5 lost (why: stax diagnose)\n"
                   "  --max-memory was reached: the first 2.00 s can no longer be asked about with "
                   "--from and --to\n");
}

static void spans_are_told_where_there_are_some(void **state)
{
    (void)state;
    struct run_info run = ended;
    struct totals totals = {.cpu_ns = 9980 * NS_PER_MS, .target_ns = 1500 * NS_PER_MS};
    run.spans = 7;
    assert_summary(
        &run, &totals,
        "run 3 (stopped, 10.0 s), pid 4711, ./bench --fast: target exited, exit status 0\n"
        "  8983 samples, 4 threads, 9.98 s on CPU, 1 off-CPU interval, 7 spans of 1.50 s, 0 "
        "lost\n");
    run.spans = 1;
    assert_summary(
        &run, NULL,
        "run 3 (stopped, 10.0 s), pid 4711, ./bench --fast: target exited, exit status 0\n"
        "  8983 samples, 4 threads, 1 off-CPU interval, 1 span, 0 lost\n");
}

static void a_list_is_a_table(void **state)
{
    (void)state;
    struct run_info runs[] = {ended, {.id = 12, .pid = 5, .command = "a\nb", .spans = 2}};
    struct run_list_result result = {.n_runs = 2, .runs = runs};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_list(&result, &plain, &text);
    assert_string_equal(text.data,
                        "id  state       pid  samples  intervals  spans  duration  command\n"
                        " 3  stopped    4711     8983          1      0    10.0 s  ./bench --fast\n"
                        "12  recording     5        0          0      2      0 ns  a\\x0ab\n");
    struct run_list_result none = {0};
    text_clear(&text);
    render_list(&none, &plain, &text);
    assert_string_equal(text.data, "");
}

static void status_tells_server_host_and_runs(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    struct capability_row capabilities[] = {
        {.name = "on-cpu", .available = true},
        {.name = "kernel-stacks",
         .reason = "perf_event_paranoid=2",
         .fix = "sudo sysctl kernel.perf_event_paranoid=1"},
    };
    struct run_info active = {
        .id = 4,
        .pid = 99,
        .command = "spin",
        .frequency_hz = 900,
        .duration_ns = NS_PER_S,
        .samples = 900,
        .threads = 2,
        .n_notes = 1,
        .notes = (char *[]){"no kernel frames: …"},
    };
    struct status_result result = {
        .version = "0.1.0",
        .server_pid = 77,
        .server_started_at_unix_ns = 1800000000 * NS_PER_S,
        .uptime_ns = 125 * NS_PER_S,
        .socket = "/run/s.sock",
        .backend = "b",
        .n_capabilities = 2,
        .capabilities = capabilities,
        .n_active = 1,
        .active = &active,
        .selected = 3,
    };
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_status(&result, &plain, &text);
    assert_string_equal(text.data,
                        "stax-server 0.1.0, pid 77, up 2m 05s\n"
                        "started at  2027-01-15 08:00:00 +0000\n"
                        "socket      /run/s.sock\n"
                        "capture     b\n"
                        "this host   on-cpu yes · kernel-stacks no: perf_event_paranoid=2\n"
                        "  for kernel-stacks: sudo sysctl kernel.perf_event_paranoid=1\n"
                        "active      run 4 (recording, 1.00 s), pid 99, spin\n"
                        "            900 Hz, 900 samples, 2 threads, 0 off-CPU intervals, 0 lost\n"
                        "            no kernel frames: …\n"
                        "selected    run 3\n");
}

static void an_idle_server_has_neither(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    struct status_result result = {.version = "0.1.0", .server_pid = 77};
    _cleanup_(text_releasep) struct text text;
    text_init(&text, 100000);
    render_status(&result, &plain, &text);
    assert_string_equal(text.data, "stax-server 0.1.0, pid 77, up 0 ns\n"
                                   "started at  1970-01-01 00:00:00 +0000\n"
                                   "active      none\n"
                                   "selected    none\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_summary_tells_how_it_ended),
        cmocka_unit_test(spans_are_told_where_there_are_some),
        cmocka_unit_test(a_list_is_a_table),
        cmocka_unit_test(status_tells_server_host_and_runs),
        cmocka_unit_test(an_idle_server_has_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
