/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * object_names - what stands behind the descriptors and addresses that threads wait for
 *
 * "/var/log/x", "pipe:[123]", "anon_inode:[eventpoll]", "tcp 127.0.0.1:5432" (the peer),
 * "tcp 0.0.0.0:80 (listening)", "unix /run/x.sock". Looked up when a view asks and the process
 * still lives, and kept: the answers of a finished run have the names that were asked for before.
 *
 * Owner:   object_names_new()/_free(), one per run.
 * Threads: any; a look-up reads /proc, so not the main loop.
 * Limits:  OBJECT_NAMES_MAX of both; OBJECT_NAMES_TABLE_BYTES of a table of sockets.
 * Source:  proc_pid_fd(5), proc_pid_net(5)
 * Tests:   object_names_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"

#define OBJECT_NAMES_MAX 4096u
#define OBJECT_NAMES_TABLE_BYTES (4u << 20)

struct object_names;

int object_names_new(struct object_names **ret_names);
struct object_names *object_names_free(struct object_names *names);
DEFINE_FREEP(object_names);

/* In the arena; NULL: nobody knows. Looks at the process where `is_alive`, else only at what was
 * kept. */
const char *object_names_find(struct object_names *names, struct arena *arena, int64_t pid, int fd,
                              bool is_alive);

/* As above: the variable at an address of data, "queue_lock+0x8 (server)". */
const char *object_names_find_address(struct object_names *names, struct arena *arena, int64_t pid,
                                      uint64_t address, bool is_alive);

struct object_name_entry {
    int64_t pid;
    bool is_address; /* else a descriptor */
    uint64_t value;
    const char *text;
};

/* All that are known so far, in the arena. 0 or -ENOMEM. */
int object_names_list(struct object_names *names, struct arena *arena,
                      struct object_name_entry **ret_entries, size_t *ret_n_entries);

/* One that an archive brings. What finds no room is not known. */
void object_names_add(struct object_names *names, const struct object_name_entry *entry);

/* The socket of this inode in the text of /proc/PID/net/tcp, tcp6, udp or udp6: "127.0.0.1:5432",
 * "[::1]:53", " (listening)" behind it where it has no peer; NULL: it is not there. */
const char *object_names_find_inet(const char *table, uint64_t inode, struct arena *arena);

/* The same for /proc/PID/net/unix: "/run/x.sock", "@name", "" where it has none. */
const char *object_names_find_unix(const char *table, uint64_t inode, struct arena *arena);
