/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "server/target_test.h"

static struct target_producers producers;
static struct program program;
static struct error error;

/* Connections are told apart by their address alone. */
static char places[TARGET_PRODUCERS_MAX + 1];

static const struct connection *connection(size_t i)
{
    return (const void *)&places[i];
}

static int set_up(void **state)
{
    (void)state;
    target_producers_init(&producers);
    error = (struct error){.code = ""};
    return program_begin(&program, 1) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    target_producers_release(&producers);
    program_end(&program);
    return 0;
}

static int add(size_t i, uint32_t version, uint32_t oldest, int fd,
               struct target_producer **ret_producer)
{
    const struct target_hello_request request = {.version = version, .oldest_version = oldest};
    return target_producers_add(&producers, connection(i), (int64_t)(1000 + i), &request, fd,
                                ret_producer, &error);
}

static struct target_producer_stats stats(void)
{
    struct target_producer_stats all;
    target_producers_stats(&producers, &all);
    return all;
}

static void test_from_hello_to_the_end(void **state)
{
    (void)state;
    struct target_producer *producer = NULL;
    /* What an earlier server has left behind. */
    struct target_ring_control *control = target_ring_control(program.memory);
    control->active = 1;
    target_ring_state(program.memory)->head = 77;
    assert_int_equal(add(0, 1, 0, program.fd, &producer), 0);
    assert_int_equal(control->active, 0);
    assert_int_equal(control->tail, 77);
    assert_int_equal(producer->pid, 1000);
    assert_int_equal(stats().n_now, 1);
    assert_int_equal(add(0, 1, 0, program.fd, &producer), -EALREADY);
    assert_string_equal(error.code, "invalid_params");
    target_producer_ref(producer);
    assert_true(target_producer_claim(producer));
    assert_false(target_producer_claim(producer));
    target_producers_remove(&producers, connection(1));
    target_producers_remove(&producers, connection(0));
    assert_int_equal(stats().n_now, 0);
    assert_int_equal(stats().n_ever, 1);
    assert_int_equal(stats().n_refused[TARGET_REFUSED_REPEATED], 1);
    assert_true(atomic_load(&producer->is_gone));
    target_ring_reader_set_active(producer->reader, true); /* it is whole as long as it is held */
    target_producer_unclaim(producer);
    target_producer_unref(producer);
}

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        uint32_t version, oldest;
        int answer;
    } rows[] = {
        {1, 0, 0},
        {1, 1, 0},
        {2, 1, 0},
        {7, 1, 0},
        {2, 0, -EPROTONOSUPPORT},
        {2, 2, -EPROTONOSUPPORT},
        {0, 0, -EPROTONOSUPPORT},
    };
    size_t n_refused = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct target_producer *producer = NULL;
        assert_int_equal(add(i, rows[i].version, rows[i].oldest, program.fd, &producer),
                         rows[i].answer);
        assert_int_equal(producer == NULL, rows[i].answer != 0);
        n_refused += rows[i].answer != 0;
    }
    assert_string_equal(error.code, "not_supported");
    assert_int_equal(stats().n_refused[TARGET_REFUSED_VERSION], n_refused);
}

static void test_memory_is_refused(void **state)
{
    (void)state;
    struct target_producer *producer = NULL;
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    assert_int_equal(add(0, 1, 0, -1, &producer), -EINVAL);
    assert_int_equal(add(0, 1, 0, fd, &producer), -EINVAL);
    assert_string_equal(error.code, "invalid_params");
    assert_null(producer);
    close(fd);
    assert_int_equal(stats().n_refused[TARGET_REFUSED_MEMORY], 2);
    assert_int_equal(stats().n_now + stats().n_ever, 0);
}

static void test_limit(void **state)
{
    (void)state;
    struct target_producer *producer = NULL;
    for (size_t i = 0; i < TARGET_PRODUCERS_MAX; i++) {
        void *memory;
        int fd;
        assert_int_equal(target_ring_memory_new(&memory, &fd), 0);
        assert_int_equal(add(i, 1, 0, fd, &producer), 0);
        munmap(memory, TARGET_RING_BYTES);
        close(fd);
    }
    assert_int_equal(add(TARGET_PRODUCERS_MAX, 1, 0, program.fd, &producer), -EUSERS);
    assert_string_equal(error.code, "limit");
    target_producers_remove(&producers, connection(3));
    assert_int_equal(add(TARGET_PRODUCERS_MAX, 1, 0, program.fd, &producer), 0);
    assert_int_equal(stats().n_ever, TARGET_PRODUCERS_MAX + 1);
}

/* The old connection has not ended yet, a run still reads what came through it. */
static void test_the_same_memory_again(void **state)
{
    (void)state;
    struct target_producer *old = NULL, *again = NULL;
    struct target_ring_control *control = target_ring_control(program.memory);
    struct target_ring_poll poll = {.n_slots = 100};
    struct target_ring_record record;
    assert_int_equal(add(0, 1, 0, program.fd, &old), 0);
    target_producer_ref(old);
    target_ring_reader_set_active(old->reader, true);
    assert_true(program_span(&program, 1, 1, 1, 2));
    assert_true(program_span(&program, 1, 1, 3, 4));
    assert_true(target_ring_reader_take(old->reader, &poll, &record));
    target_ring_reader_release(old->reader);
    assert_int_equal(control->n_taken, 1);
    int fd = fcntl(program.fd, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(add(1, 1, 0, fd, &again), 0);
    close(fd);
    assert_int_equal(stats().n_now, 1);
    assert_true(atomic_load(&old->is_gone));
    assert_false(atomic_load(&again->is_gone));
    target_ring_reader_set_active(again->reader, true);
    assert_true(program_span(&program, 1, 1, 5, 6));
    struct target_ring_counts counts;
    target_ring_state(program.memory)->n_dropped_full = 7;
    target_ring_reader_counts(old->reader, &counts);
    assert_int_equal(counts.n_dropped_full, 0);
    target_ring_reader_counts(again->reader, &counts);
    assert_int_equal(counts.n_dropped_full, 7);
    /* Each span has one reader, and the page one who writes it. */
    poll.is_last = true;
    assert_true(target_ring_reader_take(old->reader, &poll, &record));
    assert_int_equal(record.span.span.start_ns, 3);
    assert_false(target_ring_reader_take(old->reader, &poll, &record));
    assert_int_equal(target_ring_reader_count_left(old->reader), 0);
    assert_true(target_ring_reader_take(again->reader, &poll, &record));
    assert_int_equal(record.span.span.start_ns, 5);
    target_ring_reader_release(again->reader);
    target_ring_reader_release(old->reader);
    target_ring_reader_set_active(old->reader, false);
    assert_int_equal(control->active, 1);
    assert_int_equal(control->tail, 3);
    assert_int_equal(control->n_taken, 2);
    target_producers_remove(&producers, connection(0));
    assert_int_equal(stats().n_now, 1);
    target_producer_unref(old);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_from_hello_to_the_end), TEST(test_versions),
        TEST(test_memory_is_refused),     TEST(test_limit),
        TEST(test_the_same_memory_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
