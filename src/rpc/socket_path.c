/* SPDX-License-Identifier: MIT */

#include "rpc/socket_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

int rpc_socket_path(const char *explicit_path, char *ret_path, size_t size,
                    struct error *reterr_error)
{
    char path[256];
    const char *given = explicit_path ? explicit_path : from_environment("STAX_SERVER_SOCKET");
    const char *runtime = from_environment("XDG_RUNTIME_DIR");
    int n_bytes;

    if (given) {
        n_bytes = snprintf(path, sizeof(path), "%s", given);
    } else if (runtime && runtime[0] == '/') {
        n_bytes = snprintf(path, sizeof(path), "%s/stax-server.sock", runtime);
    } else {
        n_bytes = snprintf(path, sizeof(path), "/tmp/stax-server-%u.sock", (unsigned)getuid());
    }

    struct sockaddr_un address;
    if (n_bytes < 0 || (size_t)n_bytes >= size || (size_t)n_bytes >= sizeof(address.sun_path)) {
        error_set(reterr_error, "invalid_params",
                  "the path of the server's socket is longer than %zu bytes",
                  sizeof(address.sun_path) - 1);
        error_hint(reterr_error, "choose a shorter one with --server or STAX_SERVER_SOCKET");
        return -ENAMETOOLONG;
    }
    memcpy(ret_path, path, (size_t)n_bytes + 1);
    return 0;
}
