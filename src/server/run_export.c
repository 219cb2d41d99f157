/* SPDX-License-Identifier: MIT */
#include "server/run_export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int fail(int negative_errno, const char *path, struct error *reterr_error)
{
    error_set(reterr_error, "archive_write", "%s: %s", path, strerror(-negative_errno));
    if (negative_errno == -ENOSPC || negative_errno == -EDQUOT) {
        error_hint(reterr_error, "make room there, or export to another file system");
    } else if (negative_errno == -ENOENT || negative_errno == -ENOTDIR) {
        error_hint(reterr_error, "its directory has to be there: mkdir -p");
    } else if (negative_errno == -EACCES || negative_errno == -EPERM || negative_errno == -EROFS) {
        error_hint(reterr_error, "export to a directory that stax-server's user may write to");
    }
    return negative_errno;
}

/* Written, synced and given its name. */
static int write_file(const struct export_source *source, enum export_format format, int fd,
                      struct export_tally *ret_tally, struct error *reterr_error)
{
    int r = export_write(source, format, fd, ret_tally, reterr_error);
    return r == 0 && fsync(fd) < 0 ? -errno : r;
}

int run_export(const struct export_source *source, enum export_format format, const char *path,
               struct export_tally *ret_tally, struct error *reterr_error)
{
    char temporary[PATH_MAX];
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        return fail(S_ISDIR(status.st_mode) ? -EISDIR : -EEXIST, path, reterr_error);
    }
    int n_bytes = snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)gettid());
    if (n_bytes < 0 || (size_t)n_bytes >= sizeof(temporary)) {
        return fail(-ENAMETOOLONG, path, reterr_error);
    }
    (void)unlink(temporary); /* of a server that was killed */
    _cleanup_(fd_closep) int fd =
        open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        return fail(-errno, path, reterr_error);
    }
    int r = write_file(source, format, fd, ret_tally, reterr_error);
    if (r == 0 && rename(temporary, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void)unlink(temporary);
        return error_is_set(reterr_error) ? r : fail(r, path, reterr_error);
    }
    return 0;
}
