/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

static int saved_stderr = -1;
static int captured = -1;

static int capture_stderr(void **state)
{
    (void)state;
    char path[] = "/tmp/stax-log-test-XXXXXX";
    captured = mkostemp(path, O_CLOEXEC);
    if (captured < 0 || unlink(path) < 0) {
        return -1;
    }
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    return dup2(captured, STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore_stderr(void **state)
{
    (void)state;
    (void)dup2(saved_stderr, STDERR_FILENO);
    saved_stderr = fd_close(saved_stderr);
    captured = fd_close(captured);
    return 0;
}

/* All that was logged so far; free() it. */
static char *logged(void)
{
    char *data = NULL;
    assert_int_equal(lseek(captured, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_all(captured, (size_t)1 << 20, &data, NULL), 0);
    return data;
}

static size_t count_lines(const char *text)
{
    size_t n_lines = 0;
    for (; *text; text++) {
        n_lines += *text == '\n';
    }
    return n_lines;
}

static void a_line_has_time_program_level_module_and_text(void **state)
{
    (void)state;
    log_open("stax-server", NULL);
    log_write(LOG_WARN, "../src/capture/linux/perf_open.c", 7, "%d events lost", 3);
    _cleanup_(freep) char *text = logged();
    assert_int_equal(count_lines(text), 1);
    assert_int_equal(text[4], '-');
    assert_int_equal(text[10], 'T');
    assert_string_equal(text + 23, "Z stax-server warn capture/linux: 3 events lost\n");
}

static void info_is_the_default_level(void **state)
{
    (void)state;
    log_open("stax", NULL);
    log_error("one");
    log_warn("two");
    log_info("three");
    log_debug("not this");
    _cleanup_(freep) char *text = logged();
    assert_int_equal(count_lines(text), 3);
    assert_null(strstr(text, "not this"));
    assert_non_null(strstr(text, " error base: one\n"));
}

static void the_level_can_be_chosen(void **state)
{
    (void)state;
    log_open("stax", "error");
    log_warn("hidden");
    log_error("shown");
    log_open("stax", "trace");
    log_write(LOG_TRACE, __FILE__, 1, "fine");
    _cleanup_(freep) char *text = logged();
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "shown"));
    assert_non_null(strstr(text, "fine [log_test.c:1]\n"));
}

static void modules_have_their_own_level(void **state)
{
    (void)state;
    log_open("stax", "warn,capture=debug,capture/linux=error");
    log_write(LOG_DEBUG, "/x/src/capture/event_merge.c", 1, "a-shown");
    log_write(LOG_WARN, "/x/src/capture/linux/perf_open.c", 1, "b-hidden");
    log_write(LOG_ERROR, "/x/src/capture/linux/perf_open.c", 1, "c-shown");
    log_write(LOG_DEBUG, "/x/src/capture/fake/fake.c", 1, "d-shown");
    log_write(LOG_INFO, "/x/src/server/run.c", 1, "e-hidden");
    log_write(LOG_DEBUG, "/x/src/capturex/run.c", 1, "f-hidden");
    _cleanup_(freep) char *text = logged();
    assert_non_null(strstr(text, "a-shown"));
    assert_non_null(strstr(text, "c-shown"));
    assert_non_null(strstr(text, "d-shown"));
    assert_null(strstr(text, "hidden"));
}

static void a_module_can_be_quieter_than_the_rest(void **state)
{
    (void)state;
    log_open("stax", "debug,server=error");
    log_write(LOG_DEBUG, "/x/src/query/query.c", 1, "shown");
    log_write(LOG_INFO, "/x/src/server/run.c", 1, "hidden");
    _cleanup_(freep) char *text = logged();
    assert_non_null(strstr(text, "shown"));
    assert_null(strstr(text, "hidden"));
}

static void a_bad_level_keeps_info(void **state)
{
    (void)state;
    const char *const bad[] = {"loud",
                               "debug,",
                               "capture=",
                               "=debug",
                               "debug,capture=loud",
                               ",",
                               "a_module_whose_name_is_much_too_long_for_us=debug",
                               ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        log_open("stax", bad[i]);
        log_debug("hidden");
        log_write(LOG_DEBUG, "/x/src/capture/capture.c", 1, "hidden");
        log_info("shown %zu", i);
    }
    char many[400] = "capture=debug";
    for (int i = 0; i < 20; i++) {
        size_t length = strlen(many);
        (void)snprintf(many + length, sizeof(many) - length, ",m%d=debug", i);
    }
    log_open("stax", many);
    log_write(LOG_DEBUG, "/x/src/capture/capture.c", 1, "hidden");
    _cleanup_(freep) char *text = logged();
    assert_null(strstr(text, "hidden"));
    assert_int_equal(count_lines(text), sizeof(bad) / sizeof(bad[0]));
}

static void one_event_stays_one_line(void **state)
{
    (void)state;
    log_open("stax", NULL);
    log_info("name %s end", "a\nb\tc\x1b[31m\x7f");
    log_info("%5000d", 1);
    _cleanup_(freep) char *text = logged();
    assert_int_equal(count_lines(text), 2);
    assert_non_null(strstr(text, "name a?b?c?[31m? end\n"));
    assert_true(strlen(text) < 3000);
}

static void errno_survives(void **state)
{
    (void)state;
    log_open("stax", "debug");
    errno = EXDEV;
    log_info("hello");
    assert_int_equal(errno, EXDEV);
    assert_int_equal(error_origin(-ENOENT), -ENOENT);
    assert_int_equal(errno, EXDEV);
    _cleanup_(freep) char *text = logged();
    assert_non_null(strstr(text, "error 2: No such file or directory [log_test.c:"));
}

#define LOG_TEST(function) cmocka_unit_test_setup_teardown(function, capture_stderr, restore_stderr)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_has_time_program_level_module_and_text),
        LOG_TEST(info_is_the_default_level),
        LOG_TEST(the_level_can_be_chosen),
        LOG_TEST(modules_have_their_own_level),
        LOG_TEST(a_module_can_be_quieter_than_the_rest),
        LOG_TEST(a_bad_level_keeps_info),
        LOG_TEST(one_event_stays_one_line),
        LOG_TEST(errno_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
