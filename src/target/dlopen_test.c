/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stax/target.h>

#include "target/scenario.h"
#include "target/test_server.h"

/* What is under test is not the program's own: the library, and a plugin that it is linked into. */
static const char *library_path;

struct calls {
    void *library;
    const uint32_t **gate;
    stax_lane (*lane_new)(const char *name);
    void (*report)(stax_lane lane, const char *name, uint64_t start_ns, uint64_t end_ns,
                   stax_origin origin);
    void (*stats)(stax_stats *ret_stats);
};

static struct calls load(void)
{
    struct calls calls = {.library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL)};

    CHECK(calls.library);
    calls.gate = dlsym(calls.library, "stax_gate");
    *(void **)&calls.lane_new = dlsym(calls.library, "stax_lane_new");
    *(void **)&calls.report = dlsym(calls.library, "stax_span_report");
    *(void **)&calls.stats = dlsym(calls.library, "stax_target_stats");
    CHECK(calls.gate && calls.lane_new && calls.report && calls.stats);
    return calls;
}

static bool is_open(const struct calls *calls)
{
    return __atomic_load_n(*calls->gate, __ATOMIC_RELAXED) != 0;
}

static struct test_peer *record(struct test_server *server, const struct calls *calls)
{
    struct test_peer *peer = test_server_find(server, getpid(), SCENARIO_WAIT_MS);

    CHECK(peer);
    test_peer_set_active(peer, true);
    CHECK(is_open(calls));
    return peer;
}

static void it_outlives_dlclose(const char *socket)
{
    struct test_server *server = test_server_start(socket, TEST_SERVER_ACCEPTS);
    struct target_ring_slot slot;

    for (int i = 0; i < 5; i++) {
        struct calls calls = load();
        stax_lane lane = calls.lane_new("lane");
        struct test_peer *peer = record(server, &calls);
        CHECK(dlclose(calls.library) == 0);
        /* Who still has its addresses can go on, and its thread goes on by itself. */
        calls.report(lane, "span", 1, 2, stax_no_origin());
        CHECK(test_peer_take(peer, &slot, 1) == 1 && slot.span.lane == lane.id);
        test_server_stop(server);
        CHECK_SOON(!is_open(&calls));
        server = test_server_start(socket, TEST_SERVER_ACCEPTS);
        CHECK(record(server, &calls));
    }
}

static void nothing_else_is_exported(const char *socket)
{
    struct calls calls = load();

    (void)socket;
    CHECK(dlsym(calls.library, "stax_builder_report"));
    CHECK(!dlsym(calls.library, "target_process"));
    CHECK(!dlsym(calls.library, "target_ring_memory_new"));
    CHECK(!dlsym(calls.library, "target_link_start"));
}

#define CASE(scenario)                                                                             \
    static void test_##scenario(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(scenario_run(scenario), 0);                                               \
    }

CASE(it_outlives_dlclose)
CASE(nothing_else_is_exported)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_outlives_dlclose),
        cmocka_unit_test(test_nothing_else_is_exported),
    };
    int n_failed = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: dlopen_test LIBRARY…\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        library_path = argv[i];
        n_failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return n_failed;
}
