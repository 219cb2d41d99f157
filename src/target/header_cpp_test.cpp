/* SPDX-License-Identifier: MIT */
/* Compiled as C++11, with -pedantic. Its exit code says whether the spans were as they should be.
 */
#include <stax/target.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <unistd.h>
#include <utility>

#if __cplusplus != 201103L
#error "this is not C++11"
#endif

/* The other side of the test is C. */
#define _Static_assert static_assert
extern "C" {
#include "target/test_server.h"
}

static_assert(!std::is_copy_constructible<stax::span>::value, "a span is one span");
static_assert(std::is_nothrow_move_constructible<stax::span>::value, "a span moves");
static_assert(std::is_nothrow_move_assignable<stax::span>::value, "a span moves");
static_assert(std::is_nothrow_default_constructible<stax::lane>::value, "a lane may be none yet");

static void check(bool is_so, const char *what)
{
    if (!is_so) {
        std::fprintf(stderr, "not so: %s\n", what);
        std::_Exit(1);
    }
}
#define CHECK(what) check((what), #what)

static stax::span begin_elsewhere(const stax::lane &lane, const stax::name &name)
{
    return stax::span(lane, name);
}

int main()
{
    char path[64];
    std::snprintf(path, sizeof(path), "/tmp/stax-hpp-%d.sock", (int)getpid());
    setenv("STAX_SERVER_SOCKET", path, 1);
    test_server *server = test_server_start(path, TEST_SERVER_ACCEPTS);
    stax::lane lane("worker", STAX_LANE_EXECUTOR);
    stax::name outer("outer"), inner(outer, "inner");
    {
        stax::span nobody_records(lane, outer);
        CHECK(!stax::recording_active() && lane.origin().tid == 0);
    }
    test_peer *peer = test_server_find(server, getpid(), 20000);
    unlink(path);
    CHECK(peer != nullptr);
    CHECK(test_peer_drain(peer) == 0);
    test_peer_set_active(peer, true);

    {
        stax::span span(lane, outer, lane.origin());
        stax::span nested(lane, inner);
    }
    CHECK(test_peer_drain(peer) == 2);
    {
        stax::span span = begin_elsewhere(lane, inner);
        stax::span moved(std::move(span));
        CHECK(test_peer_drain(peer) == 0);
        span = stax::span(lane, "text");
        moved = std::move(span); /* ends what it was */
        CHECK(test_peer_drain(peer) == 1);
        moved.end();
        moved.end();
        CHECK(test_peer_drain(peer) == 1);
        stax::span none;
        stax::span thrown_away(lane, outer);
        thrown_away.discard();
    }
    CHECK(test_peer_drain(peer) == 0);
    return 0;
}
