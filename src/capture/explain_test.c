/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "capture/explain.h"

#define ORDINARY(paranoid)                                                                         \
    {                                                                                              \
        .pid = 4711, .event_paranoid = (paranoid), .mlock_kb = 516                                 \
    }
#define ROOT(paranoid)                                                                             \
    {                                                                                              \
        .pid = 4711, .event_paranoid = (paranoid), .mlock_kb = 516, .is_privileged = true          \
    }

static const struct {
    int negative_errno;
    enum explain_attempt attempt;
    struct explain_facts facts;
    const char *code;
    const char *message_part;
    const char *hint_parts[3];
} rows[] = {
    /* The host forbids it to everybody: both fixes are named. */
    {-EACCES,
     EXPLAIN_OPEN_EVENT,
     ORDINARY(3),
     "paranoid",
     "perf_event_paranoid=3",
     {"sudo stax setup", "sudo sysctl kernel.perf_event_paranoid=2", "sudo stax record"}},
    {-EPERM,
     EXPLAIN_OPEN_EVENT,
     ORDINARY(4),
     "paranoid",
     "perf_event_paranoid=4",
     {"sudo stax setup", "sudo sysctl kernel.perf_event_paranoid=2", "sudo stax record"}},
    {-EACCES, EXPLAIN_FIND_TARGET, ORDINARY(3), "paranoid", "perf_event_paranoid=3", {"sudo"}},
    /* The process is somebody else's. */
    {-EACCES,
     EXPLAIN_OPEN_EVENT,
     ORDINARY(2),
     "permission",
     "process 4711",
     {"your own processes", "--pid 4711"}},
    {-EPERM, EXPLAIN_OPEN_EVENT, ORDINARY(-1), "permission", "process 4711", {"sudo"}},
    {-EPERM, EXPLAIN_OPEN_EVENT, ROOT(4), "permission", "refused to stax-server", {"seccomp"}},
    {-ESRCH, EXPLAIN_OPEN_EVENT, ORDINARY(2), "no_such_process", "4711", {"ps -u"}},
    {-ESRCH, EXPLAIN_FIND_TARGET, ROOT(2), "no_such_process", "4711", {"ps -u"}},
    {-EMFILE, EXPLAIN_OPEN_EVENT, ORDINARY(2), "limit", "too many open files", {"ulimit -n"}},
    {-ENFILE, EXPLAIN_OPEN_EVENT, ORDINARY(2), "limit", "too many open files", {"ulimit -n"}},
    {-ENOSYS, EXPLAIN_OPEN_EVENT, ORDINARY(2), "not_supported", "no perf events", {"seccomp"}},
    {-ENOENT, EXPLAIN_OPEN_EVENT, ORDINARY(2), "not_supported", "no perf events", {"seccomp"}},
    {-EOPNOTSUPP, EXPLAIN_OPEN_EVENT, ROOT(2), "not_supported", "no perf events", {"container"}},
    {-EINVAL, EXPLAIN_OPEN_EVENT, ORDINARY(2), "internal", "Invalid argument", {"stax status"}},
    {-EBUSY, EXPLAIN_FIND_TARGET, ORDINARY(2), "internal", "process 4711", {"stax status"}},
    /* Rings. */
    {-EPERM,
     EXPLAIN_MAP_RING,
     ORDINARY(2),
     "limit",
     "perf_event_mlock_kb=516",
     {"sudo sysctl kernel.perf_event_mlock_kb=", "other profilers"}},
    {-ENOMEM, EXPLAIN_MAP_RING, ROOT(2), "limit", "perf_event_mlock_kb=516", {"sysctl"}},
    {-EINVAL, EXPLAIN_MAP_RING, ORDINARY(2), "internal", "ring: Invalid argument", {"stax status"}},
    /* A kernel without such events, whatever the errno says. */
    {-EACCES,
     EXPLAIN_OPEN_EVENT,
     ORDINARY(INT_MAX),
     "not_supported",
     "no perf events",
     {"seccomp"}},
    {-EPERM, EXPLAIN_MAP_RING, ROOT(INT_MAX), "not_supported", "no perf events", {"seccomp"}},
};

static void every_row_says_what_to_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct error error = {.hint = "of an earlier error"};
        explain_refusal(rows[i].negative_errno, rows[i].attempt, &rows[i].facts, &error);
        assert_string_equal(error.code, rows[i].code);
        if (!strstr(error.message, rows[i].message_part)) {
            fail_msg("row %zu: '%s' lacks '%s'", i, error.message, rows[i].message_part);
        }
        for (size_t k = 0; k < 3 && rows[i].hint_parts[k]; k++) {
            if (!strstr(error.hint, rows[i].hint_parts[k])) {
                fail_msg("row %zu: '%s' lacks '%s'", i, error.hint, rows[i].hint_parts[k]);
            }
        }
        /* One sentence without a full stop. */
        assert_int_not_equal(error.message[strlen(error.message) - 1], '.');
        assert_int_not_equal(error.hint[strlen(error.hint) - 1], '.');
    }
}

/* The texts are complete: nothing of them was cut. */
static void the_longest_facts_fit(void **state)
{
    (void)state;
    const struct explain_facts facts = {
        .pid = INT64_MIN, .event_paranoid = INT_MAX - 1, .mlock_kb = INT64_MIN};
    for (int negative_errno = -140; negative_errno < 0; negative_errno++) {
        for (int attempt = EXPLAIN_OPEN_EVENT; attempt <= EXPLAIN_FIND_TARGET; attempt++) {
            struct error error = {0};
            explain_refusal(negative_errno, (enum explain_attempt)attempt, &facts, &error);
            assert_true(error_is_set(&error));
            assert_true(strlen(error.message) < ERROR_TEXT_BYTES - 1);
            assert_true(strlen(error.hint) > 0 && strlen(error.hint) < ERROR_TEXT_BYTES - 1);
        }
    }
}

static void nobody_need_listen(void **state)
{
    (void)state;
    const struct explain_facts facts = ORDINARY(2);
    explain_refusal(-EACCES, EXPLAIN_OPEN_EVENT, &facts, NULL);
    explain_refusal(-EPERM, EXPLAIN_MAP_RING, &facts, NULL);
    assert_int_equal(facts.pid, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_says_what_to_type),
        cmocka_unit_test(the_longest_facts_fit),
        cmocka_unit_test(nobody_need_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
