/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * socket_path - where the server listens
 *
 * Owner:   values.
 * Threads: any, while nobody changes the environment.
 * Tests:   socket_path_test.c
 */

#include <stddef.h>

#include "base/error.h"

/*
 * The first of: explicit_path (--server PATH, may be NULL), STAX_SERVER_SOCKET,
 * $XDG_RUNTIME_DIR/stax-server.sock, /tmp/stax-server-$UID.sock. Empty
 * variables and a relative XDG_RUNTIME_DIR count as unset.
 *
 * Returns 0; -ENAMETOOLONG (code "invalid_params") when it does not fit into
 * size or into a socket address.
 */
int rpc_socket_path(const char *explicit_path, char *ret_path, size_t size,
                    struct error *reterr_error);
