/* SPDX-License-Identifier: MIT */
#include "images/target_root.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

static bool is_same(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

bool target_root_is_other(int64_t pid)
{
    char path[64];
    struct stat own;
    struct stat other;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/root", pid);
    if (stat(path, &other) < 0 || stat("/", &own) < 0) {
        return false;
    }
    if (!is_same(&own, &other)) {
        return true;
    }
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/ns/mnt", pid);
    return stat(path, &other) == 0 && stat("/proc/self/ns/mnt", &own) == 0 &&
           !is_same(&own, &other);
}
