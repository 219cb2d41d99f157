/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject/dialect.h"
#include "inject/test_target.h"

static int setup(void **state)
{
    (void)state;
    dialect_start("TEST");
    test_target_record(true);
    return 0;
}

static const struct test_span *find(const char *path)
{
    size_t n;
    const struct test_span *span = test_target_find(path, &n);
    assert_int_equal(n, 1);
    return span;
}

static void inner_ranges_are_named_inside_of_outer_ones(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("codec");
    char lane[64];
    snprintf(lane, sizeof(lane), "codec: thread %d", gettid());
    uint64_t before_ns = stax_now_ns();
    assert_int_equal(dialect_push(domain, "frame", NULL), 0);
    assert_int_equal(dialect_push(domain, "parse", NULL), 1);
    assert_int_equal(dialect_pop(domain), 1);
    dialect_mark(domain, "key frame", NULL);
    assert_int_equal(dialect_pop(domain), 0);
    uint64_t after_ns = stax_now_ns();

    const struct test_span *frame = find("frame"), *parse = find("frame/parse"),
                           *mark = find("frame/key frame");
    assert_string_equal(frame->lane, lane);
    assert_string_equal(parse->lane, lane);
    assert_true(before_ns <= frame->start_ns && frame->start_ns <= parse->start_ns);
    assert_true(parse->end_ns <= mark->start_ns && mark->start_ns <= frame->end_ns);
    assert_true(frame->end_ns <= after_ns);
    assert_int_equal(mark->start_ns, mark->end_ns);
    assert_int_equal(frame->origin_tid, gettid());
    assert_int_equal(frame->origin_ns, frame->start_ns);
}

static void unbalanced_ends_do_no_harm(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("unbalanced");
    assert_int_equal(dialect_pop(domain), -1);
    dialect_push(domain, "a", NULL);
    assert_int_equal(dialect_pop(domain), 0);
    assert_int_equal(dialect_pop(domain), -1);
    assert_int_equal(dialect_push(domain, NULL, NULL), 0);
    assert_int_equal(dialect_pop(domain), 0);
    find("(unnamed)");
    assert_int_equal(test_target_n_spans(), 2);
}

static void domains_nest_on_their_own(void **state)
{
    (void)state;
    struct dialect_domain *one = dialect_domain("one"), *two = dialect_domain("two");
    assert_ptr_equal(dialect_domain("one"), one);
    dialect_push(one, "a", NULL);
    dialect_push(two, "b", NULL);
    dialect_pop(one);
    dialect_pop(two);
    find("a");
    find("b");
}

static void what_was_begun_while_nobody_recorded_is_not_reported(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("late");
    struct open_key key = {.words = {1}};
    test_target_record(false);
    dialect_push(domain, "outer", NULL);
    dialect_open(domain, &key, "open", NULL);
    dialect_mark(domain, "mark", NULL);
    test_target_record(true);
    dialect_push(domain, "inner", NULL);
    assert_int_equal(dialect_pop(domain), 1);
    assert_int_equal(dialect_pop(domain), 0);
    dialect_close(&key);
    assert_int_equal(test_target_n_spans(), 1);
    find("inner");
}

static void what_is_too_deep_is_said_and_balanced(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("deep");
    for (unsigned i = 0; i < DIALECT_DEPTH_MAX + 3; i++) {
        assert_int_equal(dialect_push(domain, "d", NULL), i);
    }
    assert_null(dialect_innermost(domain));
    for (unsigned i = DIALECT_DEPTH_MAX + 3; i > 0; i--) {
        assert_int_equal(dialect_pop(domain), i - 1);
    }
    size_t n;
    (void)test_target_find("(not followed: nested too deep)", &n);
    assert_int_equal(n, 3);
    assert_int_equal(test_target_n_spans(), DIALECT_DEPTH_MAX + 3);
}

static void open_ranges_overlap_and_are_bounded(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("jobs");
    struct open_key first = {.words = {1}}, second = {.words = {2}};
    dialect_open(domain, &first, "first", NULL);
    dialect_open(domain, &second, "second", NULL);
    dialect_close(&first);
    dialect_close(&second);
    dialect_close(&second);
    assert_string_equal(find("first")->lane, "jobs ranges");
    assert_true(find("second")->start_ns <= find("first")->end_ns);
    assert_int_equal(test_target_n_spans(), 2);

    test_target_record(true);
    for (uint64_t i = 0; i < 2 * OPEN_RANGES_MAX; i++) {
        struct open_key key = {.words = {3, i}};
        dialect_open(domain, &key, "many", NULL);
    }
    for (uint64_t i = 0; i < 2 * OPEN_RANGES_MAX; i++) {
        struct open_key key = {.words = {3, i}};
        dialect_close(&key);
    }
    size_t n_refused, n_followed;
    (void)test_target_find("(not followed: too many are open)", &n_refused);
    (void)test_target_find("many", &n_followed);
    assert_int_equal(n_refused + n_followed, 2 * OPEN_RANGES_MAX);
    assert_true(n_refused >= OPEN_RANGES_MAX);
}

static void numbers_come_with_their_range(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("numbers");
    struct range_facts facts = {.n_counters = 0};
    range_add_counter(&facts, "bytes", 7);
    dialect_push(domain, "copy", &facts);
    for (int i = 0; i < RANGE_COUNTERS_MAX; i++) {
        range_add_counter(dialect_innermost(domain), "more", i);
    }
    dialect_pop(domain);
    dialect_push(domain, "plain", NULL);
    dialect_pop(domain);
    dialect_count(domain, "queue", 12);
    const struct test_span *copy = find("copy");
    assert_int_equal(copy->n_counters, RANGE_COUNTERS_MAX);
    assert_string_equal(copy->counter, "bytes");
    assert_true(copy->values[0] == 7.0 && copy->values[1] == 0.0);
    assert_int_equal(find("plain")->n_counters, 0);
    const struct test_span *queue = find("queue");
    assert_string_equal(queue->lane, "numbers counters");
    assert_true(queue->values[0] == 12.0);
}

static void a_long_domain_leaves_the_threads_name_readable(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct dialect_domain *domain = dialect_domain(name);
    dialect_name_thread(0, "the one");
    dialect_push(domain, "x", NULL);
    dialect_pop(domain);
    dialect_name_thread(0, "");
    assert_non_null(strstr(find("x")->lane, ": the one"));
}

static void too_many_domains_are_one(void **state)
{
    (void)state;
    char name[32];
    const struct dialect_domain *last = NULL;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "domain %d", i);
        last = dialect_domain(name);
    }
    assert_ptr_equal(dialect_domain("one more"), last);
    assert_ptr_not_equal(dialect_domain("domain 0"), last);
}

static void *work(void *userdata)
{
    dialect_name_thread(0, userdata);
    struct dialect_domain *domain = dialect_domain("pool");
    for (int i = 0; i < 500; i++) {
        dialect_push(domain, "task", NULL);
        dialect_push(domain, "part", NULL);
        dialect_pop(domain);
        dialect_pop(domain);
    }
    dialect_push(domain, "never ended", NULL);
    return NULL;
}

static void threads_have_lanes_of_their_own(void **state)
{
    (void)state;
    pthread_t threads[4];
    char names[4][32];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof(names[i]), "worker %d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, work, names[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    size_t n_of[4] = {0};
    for (size_t i = 0; i < test_target_n_spans(); i++) {
        const struct test_span *span = test_target_span(i);
        assert_memory_equal(span->lane, "pool: worker ", 13);
        n_of[span->lane[13] - '0']++;
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(n_of[i], 1000);
    }
}

static void *work_once(void *userdata)
{
    (void)userdata;
    struct dialect_domain *domain = dialect_domain("churn");
    dialect_push(domain, "short", NULL);
    dialect_pop(domain);
    return NULL;
}

static void thread_after_thread_shares_a_lane_in_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, work_once, NULL), 0);
        pthread_join(thread, NULL);
    }
    size_t n_shared = 0;
    for (size_t i = 0; i < test_target_n_spans(); i++) {
        n_shared += strcmp(test_target_span(i)->lane, "churn: other threads") == 0;
    }
    assert_int_equal(test_target_n_spans(), 300);
    assert_in_range(n_shared, 300 - 128, 299);
}

static void what_the_parent_of_a_fork_began_is_its_own(void **state)
{
    (void)state;
    struct dialect_domain *domain = dialect_domain("forked");
    struct open_key key = {.words = {77}};
    dialect_push(domain, "parent", NULL);
    dialect_open(domain, &key, "parent open", NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        test_target_record(true);
        dialect_close(&key);
        dialect_push(domain, "child", NULL);
        int levels[3];
        for (int i = 0; i < 3; i++) {
            levels[i] = dialect_pop(domain);
        }
        char lane[64];
        snprintf(lane, sizeof(lane), "forked: thread %d", getpid());
        bool is_balanced = levels[0] == 1 && levels[1] == 0 && levels[2] == -1;
        const struct test_span *span = test_target_span(0);
        bool is_right = test_target_n_spans() == 1 && strcmp(span->path, "child") == 0 &&
                        span->origin_tid == (uint32_t)getpid() && strcmp(span->lane, lane) == 0;
        _exit(is_balanced && is_right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    dialect_close(&key);
    dialect_pop(domain);
    find("parent");
    find("parent open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(inner_ranges_are_named_inside_of_outer_ones, setup),
        cmocka_unit_test_setup(unbalanced_ends_do_no_harm, setup),
        cmocka_unit_test_setup(domains_nest_on_their_own, setup),
        cmocka_unit_test_setup(what_was_begun_while_nobody_recorded_is_not_reported, setup),
        cmocka_unit_test_setup(what_is_too_deep_is_said_and_balanced, setup),
        cmocka_unit_test_setup(open_ranges_overlap_and_are_bounded, setup),
        cmocka_unit_test_setup(numbers_come_with_their_range, setup),
        cmocka_unit_test_setup(a_long_domain_leaves_the_threads_name_readable, setup),
        cmocka_unit_test_setup(threads_have_lanes_of_their_own, setup),
        cmocka_unit_test_setup(what_the_parent_of_a_fork_began_is_its_own, setup),
        cmocka_unit_test_setup(thread_after_thread_shares_a_lane_in_the_end, setup),
        cmocka_unit_test_setup(too_many_domains_are_one, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
