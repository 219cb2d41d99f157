/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "base/fd.h"
#include "server/job_queue.h"

#define MAX_JOBS 64

struct test_job {
    struct job job;
    int number;
};

static uv_loop_t loop;
static struct job_queue queue;
static uv_sem_t gate; /* work() waits here, so that the test decides when a thread gets free */
static struct test_job jobs[MAX_JOBS];
static int done[MAX_JOBS], n_done, n_cancelled;

static void on_line(void *userdata, struct connection *from, const char *line, size_t n_bytes)
{
    (void)userdata;
    (void)from;
    (void)line;
    (void)n_bytes;
}

static void ignore(void *userdata, struct connection *from)
{
    (void)userdata;
    (void)from;
}

static const struct connection_limits limits = {
    .max_line_bytes = 100, .max_jobs = 8, .max_queued_bytes = 1000, .stall_ns = 1000000000};
static const struct connection_handler handler = {
    .on_line = on_line, .on_oversized = ignore, .on_drained = ignore, .on_closed = ignore};

struct client {
    struct connection *connection;
    int fd;
};

static struct client make_client(void)
{
    int pair[2];
    struct client client;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(connection_new(&loop, &limits, &handler, &client.connection), 0);
    assert_int_equal(connection_adopt(client.connection, pair[0]), 0);
    client.fd = pair[1];
    return client;
}

static void end_client(struct client *client)
{
    fd_close(client->fd);
    connection_close(client->connection);
    connection_unref(client->connection);
}

static void work(struct job *job)
{
    (void)job;
    uv_sem_wait(&gate);
}

static void on_done(struct job *job, bool is_cancelled)
{
    done[n_done++] = ((struct test_job *)job)->number;
    n_cancelled += is_cancelled;
}

static void add(int number, struct connection *owner)
{
    jobs[number] =
        (struct test_job){.number = number, .job = {.owner = owner, .work = work, .done = on_done}};
    job_queue_add(&queue, &jobs[number].job);
}

static size_t n_at_work(const struct connection *owner)
{
    size_t n_running = 0;
    for (size_t i = 0; i < JOB_QUEUE_THREADS; i++) {
        n_running += queue.running[i] && queue.running[i]->owner == owner;
    }
    return n_running;
}

/* Lets one job finish, whichever it is. */
static void finish_one(void)
{
    int before = n_done;
    uv_sem_post(&gate);
    while (n_done == before) {
        uv_run(&loop, UV_RUN_ONCE);
    }
}

static int set_up(void **state)
{
    (void)state;
    n_done = n_cancelled = 0;
    uv_sem_init(&gate, 0);
    int r = uv_loop_init(&loop);
    job_queue_init(&queue, &loop);
    return r;
}

static int tear_down(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_sem_destroy(&gate);
    return uv_loop_close(&loop);
}

static void test_nobody_takes_all_threads(void **state)
{
    (void)state;
    struct client greedy = make_client(), modest = make_client();
    for (int i = 0; i < 20; i++) {
        add(i, greedy.connection);
    }
    assert_int_equal(n_at_work(greedy.connection), JOB_QUEUE_MAX_PER_OWNER);
    add(20, modest.connection);
    assert_int_equal(n_at_work(modest.connection), 1); /* at once, past 18 that wait */
    add(21, modest.connection);
    add(22, modest.connection);
    assert_int_equal(n_at_work(modest.connection), 2);
    assert_int_equal(queue.n_waiting, 19);
    while (n_done < 23) {
        finish_one();
        assert_true(n_at_work(greedy.connection) <= JOB_QUEUE_MAX_PER_OWNER);
    }
    assert_int_equal(n_cancelled, 0);
    assert_int_equal(queue.n_waiting, 0);
    assert_null(queue.oldest);
    assert_null(queue.newest);
    end_client(&greedy);
    end_client(&modest);
}

static void test_in_order_for_each(void **state)
{
    (void)state;
    struct client client = make_client();
    for (int i = 0; i < 30; i++) {
        add(i, client.connection);
    }
    while (n_done < 30) {
        finish_one();
    }
    /* Two at a time, begun in order: the next one done is never further than one ahead. */
    for (int i = 0; i < 30; i++) {
        assert_true(done[i] <= i + 1);
    }
    end_client(&client);
}

static void test_who_is_gone_is_not_worked_for(void **state)
{
    (void)state;
    struct client gone = make_client();
    for (int i = 0; i < 10; i++) {
        add(i, gone.connection);
    }
    gone.fd = fd_close(gone.fd);
    finish_one();
    uv_sem_post(&gate);
    while (n_done < 10) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(n_cancelled, 8);
    assert_false(connection_is_open(gone.connection));
    end_client(&gone);
}

static void test_the_servers_own(void **state)
{
    (void)state;
    add(0, NULL);
    finish_one();
    assert_int_equal(n_cancelled, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_takes_all_threads),
        TEST(test_in_order_for_each),
        TEST(test_who_is_gone_is_not_worked_for),
        TEST(test_the_servers_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
