/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * server_path - where the server's socket is, as rpc/socket_path.h says it for clients
 *
 * A program that has privilege which its caller has not got does not listen to
 * the environment.
 *
 * Owner:   the caller's memory.
 * Threads: any, as far as nobody sets environment variables.
 * Tests:   server_path_test.c
 */

#include <stddef.h>
#include <sys/un.h>

#define TARGET_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

/* Returns 0, or -ENAMETOOLONG. */
int target_server_path(char ret_path[TARGET_PATH_BYTES]);
