/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "doctor/doctor.h"

/* A made-up machine below a folder. */
static char root[64];

static void make_folders(char *path)
{
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        if (mkdir(path, 0755) < 0) {
            assert_int_equal(errno, EEXIST);
        }
        *at = '/';
    }
}

static void put(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", root, name);
    make_folders(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, content, strlen(content)), 0);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/stax-doctor-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command);
}

static void what_is_missing_is_not_known(void **state)
{
    (void)state;
    struct doctor_host host;
    doctor_host_read(root, &host);
    assert_true(host.event_paranoid == INT64_MIN);
    assert_true(host.max_stack == INT64_MIN);
    assert_false(host.can_perf);
    assert_false(host.has_pmu);
    assert_string_equal(host.kernel, "unknown");
}

static void the_files_are_read(void **state)
{
    (void)state;
    put("/proc/sys/kernel/perf_event_paranoid", "-1\n");
    put("/proc/sys/kernel/kptr_restrict", "2\n");
    put("/proc/sys/kernel/perf_event_max_stack", "nonsense\n");
    put("/proc/sys/kernel/perf_event_mlock_kb", "99999999999999999999999\n");
    put("/proc/sys/kernel/osrelease", "6.1.0-test\n");
    put("/sys/kernel/tracing/events/sched/enable", "0");
    put("/sys/bus/event_source/devices/cpu/type", "4");
    put("/proc/self/status", "Name:\tx\nCapEff:\t000000c400000000\nSeccomp:\t0\n");
    struct doctor_host host;
    doctor_host_read(root, &host);
    assert_int_equal(host.event_paranoid, -1);
    assert_int_equal(host.kptr_restrict, 2);
    assert_true(host.max_stack == INT64_MIN);
    assert_true(host.mlock_kb == INT64_MIN);
    assert_string_equal(host.kernel, "6.1.0-test");
    assert_true(host.has_tracefs);
    assert_true(host.has_pmu);
    assert_true(host.can_perf && host.can_bpf && host.can_syslog); /* bits 34, 38 and 39 */
    put("/proc/self/status", "Name:\tx\nCapEff:\t0000008000000000\n");
    doctor_host_read(root, &host);
    assert_false(host.can_perf || host.can_bpf ||
                 host.can_syslog); /* CAP_BPF alone is not enough */
    put("/proc/self/status", "Name:\tx\nCapEff:\t0000000000200000\n");
    doctor_host_read(root, &host);
    assert_true(host.can_perf && host.can_bpf && host.can_syslog); /* CAP_SYS_ADMIN */
}

/* As of rootless containers: all capabilities, but none that counts outside. */
static void root_of_a_user_namespace_is_not_privileged(void **state)
{
    (void)state;
    static const struct {
        const char *map;
        bool is_privileged;
    } cases[] = {
        {"         0          0 4294967295\n", true},
        {"         0       1000          1\n", false},
        {"         0          0          1\n", false},
        {"         0       1000          1\n         1     100000      65536\n", false},
        {"", false}, /* not written yet */
    };
    put("/proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put("/proc/self/uid_map", cases[i].map);
        struct doctor_host host;
        doctor_host_read(root, &host);
        assert_int_equal(host.can_perf, cases[i].is_privileged);
        assert_int_equal(host.can_bpf, cases[i].is_privileged);
        assert_int_equal(host.can_syslog, cases[i].is_privileged);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_missing_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(the_files_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(root_of_a_user_namespace_is_not_privileged, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
