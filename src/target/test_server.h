/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * test_server - the other side of the ring, for tests and for bench/spans
 *
 * Takes what programs hand over as the server of stax does, and trusts them.
 *
 * Owner:   test_server_start()/test_server_stop(); peers are the server's.
 * Threads: one answers; taking slots of one peer is for one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "target_ring/memory.h"

enum test_server_manner {
    TEST_SERVER_ACCEPTS,
    TEST_SERVER_REFUSES,
    TEST_SERVER_KNOWS_NO_SUCH_METHOD,
    TEST_SERVER_HANGS_UP,
};

struct test_server;

struct test_peer {
    pid_t pid;
    int fd; /* -1: gone */
    bool is_there;
    uint8_t *memory; /* for reading */
    struct target_ring_control *control;
    uint64_t tail;
};

/* Ends the program where it cannot listen. */
struct test_server *test_server_start(const char *path, enum test_server_manner manner);

/* As it is when a server is killed: connections end, gates stay as they are, the socket too. */
void test_server_stop(struct test_server *server);

/* How many have said hello. */
unsigned test_server_n_hellos(const struct test_server *server);

/* The last that this process has handed over; waits up to timeout_ms; NULL: nothing came. */
struct test_peer *test_server_find(struct test_server *server, pid_t pid, int timeout_ms);

/* Opens and closes the gate. What is in the ring is skipped when it is opened. */
void test_peer_set_active(struct test_peer *peer, bool is_active);

/* Copies slots that are published, in order, and frees them. */
size_t test_peer_take(struct test_peer *peer, struct target_ring_slot *ret_slots, size_t n_max);

/* Frees them without looking at them more closely. Returns how many. */
size_t test_peer_drain(struct test_peer *peer);

/* Of a name of its tables. */
void test_peer_name(const struct test_peer *peer, uint32_t id, char *ret_text, size_t size);
