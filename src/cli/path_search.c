/* SPDX-License-Identifier: MIT */
#include "cli/path_search.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FALLBACK_PATH "/bin:/usr/bin" /* what execvp(3) takes where PATH is not set */

/* 0, or errno. A directory may be searched but not executed. */
static int check_executable(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        return errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return EACCES;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

static int search_one(const char *path)
{
    int error = check_executable(path);
    if (error == 0) {
        return 0;
    }
    errno = error;
    return error == ENOENT || error == ENOTDIR ? PATH_SEARCH_E_NOT_FOUND
                                               : PATH_SEARCH_E_NOT_EXECUTABLE;
}

int path_search(const char *name, char *ret_path, size_t path_bytes)
{
    if (strchr(name, '/')) {
        if ((size_t)snprintf(ret_path, path_bytes, "%s", name) >= path_bytes) {
            return -ENAMETOOLONG;
        }
        return search_one(ret_path);
    }
    const char *path = getenv("PATH");
    if (!path) {
        path = FALLBACK_PATH;
    }
    bool has_refused = false;
    while (name[0] != '\0') {
        size_t n_folder = strcspn(path, ":");
        int length = n_folder == 0
                         ? snprintf(ret_path, path_bytes, "./%s", name)
                         : snprintf(ret_path, path_bytes, "%.*s/%s", (int)n_folder, path, name);
        if ((size_t)length < path_bytes) {
            int r = search_one(ret_path);
            if (r == 0) {
                return 0;
            }
            has_refused = has_refused || r == PATH_SEARCH_E_NOT_EXECUTABLE;
        }
        if (path[n_folder] == '\0') {
            break;
        }
        path += n_folder + 1;
    }
    errno = has_refused ? EACCES : ENOENT;
    return has_refused ? PATH_SEARCH_E_NOT_EXECUTABLE : PATH_SEARCH_E_NOT_FOUND;
}
