/* SPDX-License-Identifier: MIT */
#include "cli/span_dialects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_VARIABLE "STAX_SERVER_SOCKET"

static const struct span_variable known[SPAN_DIALECTS_N] = {
    {.dialect = "nvtx", .name = "NVTX_INJECTION64_PATH", .library = "libstax-nvtx.so"},
    {.dialect = "itt", .name = "INTEL_LIBITTNOTIFY64", .library = "libstax-itt.so"},
};

static const struct span_variable *find_known(const char *name, size_t n_bytes)
{
    for (size_t i = 0; i < SPAN_DIALECTS_N; i++) {
        if (strlen(known[i].dialect) == n_bytes && memcmp(known[i].dialect, name, n_bytes) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static bool has_variable(const struct span_dialects *dialects, const char *name)
{
    for (size_t i = 0; i < dialects->n_variables; i++) {
        if (strcmp(dialects->variables[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int span_dialects_parse(const char *list, struct span_dialects *ret_dialects)
{
    ret_dialects->n_variables = 0;
    for (const char *name = list; name;) {
        size_t n_bytes = strcspn(name, ",");
        const struct span_variable *variable = find_known(name, n_bytes);
        if (!variable) {
            return -EINVAL;
        }
        if (!has_variable(ret_dialects, variable->name)) {
            ret_dialects->variables[ret_dialects->n_variables++] = *variable;
        }
        name = name[n_bytes] == ',' ? name + n_bytes + 1 : NULL;
    }
    return 0;
}

bool span_dialects_search(const char *program, const char *library, char ret_path[static PATH_MAX])
{
    const char *slash = strrchr(program, '/');
    int n_folder = slash ? (int)(slash - program) : 0;
    /* Of a tree that was built, of a prefix that may have been moved, and of the one meant. */
    static const char *const folders[] = {"/src/inject", "/" STAX_BINDIR_TO_LIBDIR};
    for (size_t i = 0; n_folder > 0 && i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[PATH_MAX];
        int length =
            snprintf(path, sizeof(path), "%.*s%s/%s", n_folder, program, folders[i], library);
        if (length < PATH_MAX && realpath(path, ret_path) && access(ret_path, R_OK) == 0) {
            return true;
        }
    }
    snprintf(ret_path, PATH_MAX, "%s/%s", STAX_LIBDIR, library);
    return access(ret_path, R_OK) == 0;
}

int span_dialects_find(struct span_dialects *dialects, bool says_so, struct error *reterr_error)
{
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[length > 0 ? length : 0] = '\0';
    for (size_t i = 0; i < dialects->n_variables; i++) {
        struct span_variable *variable = &dialects->variables[i];
        const char *value = getenv(variable->name);
        if (value && value[0] != '\0') {
            variable->path[0] = '\0';
            if (says_so) {
                fprintf(stderr, "stax: %s is %s already: no spans of %s\n", variable->name, value,
                        variable->dialect);
            }
        } else if (!span_dialects_search(program, variable->library, variable->path)) {
            error_set(reterr_error, "no_library", "%s wasn't found: no spans of %s",
                      variable->library, variable->dialect);
            error_hint(reterr_error, "install it into %s, or leave %s out of --spans", STAX_LIBDIR,
                       variable->dialect);
            return -ENOENT;
        }
    }
    return 0;
}

void span_dialects_set(const struct span_dialects *dialects, const char *socket_path)
{
    for (size_t i = 0; i < dialects->n_variables; i++) {
        const struct span_variable *variable = &dialects->variables[i];
        if (variable->path[0] != '\0') {
            (void)setenv(variable->name, variable->path, 1);
        }
    }
    if (socket_path) {
        /* What is launched may change its folder. */
        char absolute[PATH_MAX];
        (void)setenv(SOCKET_VARIABLE, realpath(socket_path, absolute) ? absolute : socket_path, 1);
    }
}
