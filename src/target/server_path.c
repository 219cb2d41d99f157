/* SPDX-License-Identifier: MIT */

#include "target/server_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *from_environment(const char *name)
{
    const char *value = secure_getenv(name);
    return value && value[0] ? value : NULL;
}

int target_server_path(char ret_path[TARGET_PATH_BYTES])
{
    const char *given = from_environment("STAX_SERVER_SOCKET");
    const char *runtime = from_environment("XDG_RUNTIME_DIR");
    int n_bytes;

    if (given) {
        n_bytes = snprintf(ret_path, TARGET_PATH_BYTES, "%s", given);
    } else if (runtime && runtime[0] == '/') {
        n_bytes = snprintf(ret_path, TARGET_PATH_BYTES, "%s/stax-server.sock", runtime);
    } else {
        n_bytes =
            snprintf(ret_path, TARGET_PATH_BYTES, "/tmp/stax-server-%u.sock", (unsigned)getuid());
    }
    return n_bytes < 0 || (size_t)n_bytes >= TARGET_PATH_BYTES ? -ENAMETOOLONG : 0;
}
