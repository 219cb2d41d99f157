/* SPDX-License-Identifier: MIT */
#include "cli/setup_run_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND 127

int setup_run(const char *const *argv)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
    static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/bin", "/sbin"};
    char runtime[PATH_MAX] = "XDG_RUNTIME_DIR=";
    char *environment[] = {path, language, runtime, NULL};
    const char *own_runtime = getenv("XDG_RUNTIME_DIR");
    (void)snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", own_runtime ? own_runtime : "");
    if (!own_runtime) {
        environment[2] = NULL;
    }
    pid_t child = fork();
    if (child < 0) {
        return -errno;
    }
    if (child == 0) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
            char file[256];
            (void)snprintf(file, sizeof(file), "%s/%s", folders[i], argv[0]);
            (void)execve(file, (char *const *)argv, environment);
        }
        _exit(NOT_FOUND);
    }
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    if (!WIFEXITED(status)) {
        return -EINTR;
    }
    return WEXITSTATUS(status) == NOT_FOUND ? -ENOENT : WEXITSTATUS(status);
}

int setup_run_path(const char *name, char *ret_path, size_t path_bytes)
{
    ssize_t length = readlink("/proc/self/exe", ret_path, path_bytes - 1);
    if (length < 0) {
        return -errno;
    }
    ret_path[length] = '\0';
    char *slash = strrchr(ret_path, '/');
    size_t n_folder = slash ? (size_t)(slash + 1 - ret_path) : 0;
    if (n_folder + strlen(name) >= path_bytes) {
        return -ENAMETOOLONG;
    }
    memcpy(ret_path + n_folder, name, strlen(name) + 1);
    return access(ret_path, R_OK) < 0 ? -errno : 0;
}

int setup_run_find(const char *name, const char *installed)
{
    char path[PATH_MAX];
    int r = setup_run_path(name, path, sizeof(path));
    r = r == 0 ? r : setup_run_path(installed, path, sizeof(path));
    if (r != 0) {
        return r;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
