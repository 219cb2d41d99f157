/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "broker_wire/fd_pass.h"
#include "capture/linux/broker_client.h"
#include "sources/perf_attr.h"

/* What is asked for, and what staxd makes of it: the same event. */
static void assert_round_trip(const struct perf_attr_config *config, enum broker_kind kind)
{
    struct perf_event_attr attr;
    struct broker_event_request request, checked;
    switch (kind) {
    case BROKER_KIND_SIDE_BAND:
        perf_attr_side_band(config, &attr);
        break;
    case BROKER_KIND_SAMPLES:
        perf_attr_samples(config, false, &attr);
        break;
    case BROKER_KIND_SAMPLES_WITH_SIDE_BAND:
        perf_attr_samples(config, true, &attr);
        break;
    default:
        perf_attr_anchor(&attr);
        break;
    }
    int cpu = kind == BROKER_KIND_ANCHOR ? -1 : 1;
    assert_true(broker_client_describe(&attr, 4711, cpu, &request));
    assert_int_equal(request.kind, kind);
    assert_int_equal(request.tid, 4711);
    assert_int_equal(request.cpu, cpu);
    assert_int_equal(
        broker_check_request(BROKER_PHASE_OPEN, &request, sizeof(request), 0, &checked),
        BROKER_GRANTED);
    if (kind == BROKER_KIND_ANCHOR) {
        assert_int_equal(request.flags, BROKER_FLAG_EXCLUDE_KERNEL);
        return;
    }
    bool has_samples = kind != BROKER_KIND_SIDE_BAND;
    bool has_switches = kind != BROKER_KIND_SAMPLES && config->with_switches;
    bool has_children = config->inherit_threads && config->inherit_children;
    assert_true(request.period_ns == (has_samples ? config->period_ns : 0));
    assert_int_equal(request.stack_bytes, has_samples ? config->stack_bytes : 0);
    assert_int_equal(request.wakeup_bytes, config->wakeup_bytes);
    assert_int_equal((request.flags & BROKER_FLAG_EXCLUDE_KERNEL) != 0, config->exclude_kernel);
    assert_int_equal((request.flags & BROKER_FLAG_NO_KERNEL_FRAMES) != 0,
                     has_samples && config->no_kernel_frames);
    assert_int_equal((request.flags & BROKER_FLAG_INHERIT_THREADS) != 0, config->inherit_threads);
    assert_int_equal((request.flags & BROKER_FLAG_INHERIT_CHILDREN) != 0, has_children);
    assert_int_equal((request.flags & BROKER_FLAG_WITH_SWITCHES) != 0, has_switches);
    assert_int_equal((request.flags & BROKER_FLAG_ENABLED) != 0, 0);
    attr.disabled = 0;
    assert_true(broker_client_describe(&attr, 4711, cpu, &request));
    assert_int_equal((request.flags & BROKER_FLAG_ENABLED) != 0, 1);
}

static void every_event_of_ours_can_be_asked_for(void **state)
{
    (void)state;
    for (unsigned int bits = 0; bits < 64; bits++) {
        const struct perf_attr_config config = {
            .period_ns = 1115000,
            .exclude_kernel = bits & 1,
            .no_kernel_frames = bits >> 1 & 1,
            .inherit_threads = bits >> 2 & 1,
            .inherit_children = bits >> 3 & 1,
            .with_switches = bits >> 4 & 1,
            .stack_bytes = bits >> 5 & 1 ? 16384 : 0,
            .wakeup_bytes = 131072,
        };
        for (int kind = BROKER_KIND_ANCHOR; kind < BROKER_KIND_END; kind++) {
            assert_round_trip(&config, kind);
        }
    }
}

static void others_cannot(void **state)
{
    (void)state;
    const struct perf_attr_config config = {.period_ns = 1000000};
    struct broker_event_request request;
    struct perf_event_attr attr;
    perf_attr_sched(&config, &attr);
    assert_false(broker_client_describe(&attr, 4711, 0, &request));
    perf_attr_samples(&config, false, &attr);
    assert_false(broker_client_describe(&attr, -1, 0, &request)); /* every process */
    attr.type = PERF_TYPE_HARDWARE;
    assert_false(broker_client_describe(&attr, 4711, 0, &request));
}

static void nobody_listens(void **state)
{
    (void)state;
    struct broker_client *client = NULL;
    struct error error = {0};
    assert_int_equal(broker_client_new("/tmp/no-such-socket", &client, &error), -ENOENT);
    assert_null(client);
    assert_string_equal(error.code, "no_broker");
    assert_non_null(strstr(error.hint, "stax setup"));
    assert_null(broker_client_free(NULL));
}

/* Answers `n` requests with this status each, then hangs up. */
static pid_t answer(const char *path, int n, int32_t status)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    (void)unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        int got_fd, peer_fd = accept(fd, NULL, NULL);
        struct broker_event_request request;
        for (int i = 0; i < n; i++) {
            if (fd_pass_receive(peer_fd, &request, sizeof(request), &got_fd, true) <= 0) {
                break;
            }
            fd_close(got_fd);
            /* The greeting is always answered. */
            const struct broker_reply reply = {
                .verb = request.verb, .status = i == 0 ? 0 : status, .abilities = 5};
            (void)fd_pass_send(peer_fd, &reply, sizeof(reply), STDIN_FILENO, true);
        }
        _exit(0);
    }
    fd_close(fd);
    return child;
}

static void answers_mean(int32_t status, int n_answers, int expected)
{
    static const char path[] = "/tmp/broker-client-test.sock";
    const struct perf_attr_config config = {.period_ns = 1000000};
    struct broker_client *client = NULL;
    struct perf_event_attr attr;
    struct error error = {0};
    pid_t child = answer(path, n_answers, status);
    int r = broker_client_new(path, &client, &error);
    if (geteuid() != 0) {
        /* Who is not root is not asked. */
        assert_int_equal(r, -EPERM);
        assert_non_null(strstr(error.message, "not root"));
    } else {
        assert_int_equal(r, 0);
        assert_int_equal(broker_client_abilities(client), 5);
        perf_attr_samples(&config, false, &attr);
        int fd = broker_client_open_event(client, &attr, 4711, 0);
        if (expected == 0) {
            assert_true(fd >= 0);
            fd_close(fd);
        } else {
            assert_int_equal(fd, expected);
        }
    }
    (void)broker_client_free(client);
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)unlink(path);
}

static void each_answer_is_an_errno(void **state)
{
    (void)state;
    answers_mean(0, 2, 0);
    answers_mean(BROKER_REFUSED_GONE, 2, -ESRCH);
    answers_mean(BROKER_REFUSED_CHANGED, 2, -ESRCH);
    answers_mean(BROKER_REFUSED_TOO_MANY, 2, -EMFILE);
    answers_mean(BROKER_REFUSED_UID, 2, -EACCES);
    answers_mean(-EMFILE, 2, -EMFILE);
    answers_mean(0, 1, -EPIPE); /* it has gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_of_ours_can_be_asked_for),
        cmocka_unit_test(others_cannot),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(each_answer_is_an_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
