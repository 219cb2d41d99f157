/* SPDX-License-Identifier: MIT */
#include "archive/archive_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/archive_directory.h"
#include "base/clock.h"
#include "base/fd.h"

#define CODE "archive_write"
#define SUFFIX ".stax-part"
#define OLD_SUFFIX ".stax-old" /* as long or shorter */
#define DIGITS 16u
#define TRIES 10u

/* For another writer to the same name to remove what it has replaced. */
#define LOCK_TRIES 200u
#define LOCK_STEP_NS (50 * NS_PER_MS)

struct archive_place {
    char *path; /* without slashes at its end */
    const char *name;
    char *part_path;       /* of the neighbour */
    const char *part_name; /* "" while there is none */
    int parent_fd, fd;
    bool is_directory;
};

/* Names ------------------------------------------------------------------------- */

static int split(struct archive_place *place, const char *path, char **ret_parent)
{
    place->path = strdup(path);
    if (!place->path) {
        return -ENOMEM;
    }
    size_t length = strlen(place->path);
    while (length > 1 && place->path[length - 1] == '/') {
        place->path[--length] = '\0';
    }
    const char *slash = strrchr(place->path, '/');
    place->name = slash ? slash + 1 : place->path;
    if (place->name[0] == '\0' || strcmp(place->name, ".") == 0 || strcmp(place->name, "..") == 0) {
        return -EINVAL;
    }
    if (strlen(place->name) + DIGITS + sizeof(SUFFIX) + 1 > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    size_t n_parent = slash ? (size_t)(slash - place->path) : 0;
    *ret_parent = slash ? strndup(place->path, n_parent > 0 ? n_parent : 1) : strdup(".");
    return *ret_parent ? 0 : -ENOMEM;
}

static bool is_part_of(const char *entry, const char *name, const char *suffix)
{
    size_t n_name = strlen(name);
    if (entry[0] != '.' || strncmp(entry + 1, name, n_name) != 0 || entry[1 + n_name] != '.') {
        return false;
    }
    const char *digits = entry + n_name + 2;
    return strspn(digits, "0123456789abcdef") == DIGITS && strcmp(digits + DIGITS, suffix) == 0;
}

static int name_part(struct archive_place *place, const char *parent)
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        return -EIO;
    }
    free(place->part_path);
    place->part_name = "";
    if (asprintf(&place->part_path, "%s/.%s.%016" PRIx64 SUFFIX, parent, place->name, number) < 0) {
        place->part_path = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* Neighbours -------------------------------------------------------------------- */

/* Of a writer that died between two renames: what stood under the name goes back there, unless
 * something stands there now. */
static void put_back_or_remove(const struct archive_place *place, const char *entry)
{
    struct stat status;
    bool is_absent =
        fstatat(place->parent_fd, place->name, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    if (is_absent) {
        (void)renameat(place->parent_fd, entry, place->parent_fd, place->name);
    } else {
        (void)archive_directory_remove(place->parent_fd, entry);
    }
}

/* One of a writer that lives is locked. */
static void end_if_abandoned(const struct archive_place *place, const char *entry, bool is_old)
{
    struct stat status;
    if (fstatat(place->parent_fd, entry, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
        !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) || status.st_uid != geteuid()) {
        return;
    }
    _cleanup_(fd_closep) int fd =
        openat(place->parent_fd, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return;
    }
    if (is_old) {
        put_back_or_remove(place, entry);
    } else {
        (void)archive_directory_remove(place->parent_fd, entry);
    }
}

static void end_abandoned(const struct archive_place *place, const char *suffix)
{
    int fd = openat(place->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (!listing) {
        (void)fd_close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(listing))) {
        if (is_part_of(entry->d_name, place->name, suffix)) {
            end_if_abandoned(place, entry->d_name, strcmp(suffix, OLD_SUFFIX) == 0);
        }
    }
    (void)closedir(listing);
}

/* A negative errno, or the neighbour's descriptor. */
static int make_part(const struct archive_place *place, const char *part_name)
{
    if (!place->is_directory) {
        int fd = openat(place->parent_fd, part_name,
                        O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd;
    }
    if (mkdirat(place->parent_fd, part_name, 0700) < 0) {
        return -errno;
    }
    int fd = openat(place->parent_fd, part_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/*
 * Another writer may find it before it is locked, take it for abandoned and
 * remove it: then it has no name any more, and another one is made.
 */
static int make_neighbour(struct archive_place *place, const char *parent)
{
    for (unsigned int i = 0; i < TRIES; i++) {
        int r = name_part(place, parent);
        if (r < 0) {
            return r;
        }
        const char *part_name = strrchr(place->part_path, '/') + 1;
        struct stat status;
        r = make_part(place, part_name);
        if (r == -EEXIST || r == -ENOENT) {
            continue;
        }
        if (r < 0) {
            return r;
        }
        place->fd = r;
        (void)flock(place->fd, LOCK_EX); /* where a file system knows no locks, nobody removes */
        if (fstat(place->fd, &status) == 0 && status.st_nlink > 0) {
            place->part_name = part_name;
            return 0;
        }
        place->fd = fd_close(place->fd);
    }
    return -EBUSY;
}

/* The target -------------------------------------------------------------------- */

static int refuse(int r, struct error *error, const char *hint)
{
    error_hint(error, "%s", hint);
    return r;
}

/* What stands in the way below the target's name; `ret_status.st_mode` 0: nothing is there. */
static int check_kind(const struct archive_place *place, struct stat *ret_status,
                      struct error *reterr_error)
{
    *ret_status = (struct stat){.st_mode = 0};
    if (fstatat(place->parent_fd, place->name, ret_status, AT_SYMLINK_NOFOLLOW) < 0) {
        ret_status->st_mode = 0;
        return errno == ENOENT ? 0 : archive_place_explain(place, -errno, reterr_error);
    }
    if (S_ISLNK(ret_status->st_mode)) {
        error_set(reterr_error, CODE, "%s is a symbolic link, which stax does not write through",
                  place->path);
        return refuse(-ELOOP, reterr_error,
                      "save to the name that it leads to, or remove the link");
    }
    if (!place->is_directory && S_ISDIR(ret_status->st_mode)) {
        error_set(reterr_error, CODE, "%s is a directory, and a name in .stax is for a file",
                  place->path);
        return refuse(-EISDIR, reterr_error, "choose another name");
    }
    if (place->is_directory && S_ISREG(ret_status->st_mode)) {
        error_set(reterr_error, CODE, "%s is a file, and a name without .stax is for a directory",
                  place->path);
        return refuse(-ENOTDIR, reterr_error, "choose a name that ends in .stax, or another one");
    }
    if (!S_ISDIR(ret_status->st_mode) && !S_ISREG(ret_status->st_mode)) {
        error_set(reterr_error, CODE, "%s is neither a file nor a directory", place->path);
        return refuse(-EINVAL, reterr_error, "choose another name");
    }
    return 0;
}

/* Is `name` a directory that may be replaced? */
static int check_directory(const struct archive_place *place, const char *name,
                           struct error *reterr_error)
{
    char stranger[NAME_MAX] = "";
    _cleanup_(fd_closep) int fd =
        openat(place->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 ? -errno : archive_directory_is_ours(fd, stranger, sizeof(stranger));
    if (r < 0) {
        return archive_place_explain(place, r, reterr_error);
    }
    if (r > 0) {
        return 0;
    }
    if (stranger[0] != '\0') {
        error_set(reterr_error, CODE, "%s is an archive, but there is something else in it: %s",
                  place->path, stranger);
        return refuse(-EEXIST, reterr_error, "move that away, or choose another name");
    }
    error_set(reterr_error, CODE, "%s is a directory that is no archive, so it is not replaced",
              place->path);
    return refuse(-EEXIST, reterr_error,
                  "choose another name; one that ends in .stax makes a single file");
}

/*
 * What is going to be replaced, locked: nobody takes it for abandoned when it
 * has the neighbour's name, and two writers replace it one after the other. The
 * descriptor, or a negative errno. Where a file system knows no locks, nobody
 * removes what is another's.
 */
static int lock_target(const struct archive_place *place)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
    for (unsigned int i = 0; i < LOCK_TRIES; i++) {
        struct stat locked, there;
        _cleanup_(fd_closep) int fd =
            openat(place->parent_fd, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            return -errno;
        }
        bool is_busy = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
        bool is_there = fstat(fd, &locked) == 0 &&
                        fstatat(place->parent_fd, place->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                        locked.st_ino == there.st_ino && locked.st_dev == there.st_dev;
        if (!is_busy && is_there) {
            return TAKE_FD(fd);
        }
        (void)nanosleep(&step, NULL);
    }
    return -EBUSY;
}

static int check_target(const struct archive_place *place, bool *ret_exists,
                        struct error *reterr_error)
{
    struct stat status;
    int r = check_kind(place, &status, reterr_error);
    if (r == 0 && S_ISDIR(status.st_mode)) {
        _cleanup_(fd_closep) int locked_fd = lock_target(place);
        if (locked_fd == -ENOENT) {
            status.st_mode = 0;
        } else {
            r = check_directory(place, place->name, reterr_error);
        }
    }
    *ret_exists = status.st_mode != 0;
    return r;
}

/* Publishing -------------------------------------------------------------------- */

static int rename_here(const struct archive_place *place, const char *from, const char *to,
                       unsigned int flags)
{
    int r = flags == 0 ? renameat(place->parent_fd, from, place->parent_fd, to)
                       : renameat2(place->parent_fd, from, place->parent_fd, to, flags);
    return r < 0 ? -errno : 0;
}

static int sync_parent(const struct archive_place *place)
{
    /* EINVAL: directories cannot be synced there, and need not be. */
    return fsync(place->parent_fd) < 0 && errno != EINVAL ? -errno : 0;
}

/* For file systems that cannot exchange. What is aside goes back when the name has nothing. */
static int replace_by_two_renames(struct archive_place *place)
{
    _cleanup_(freep) char *aside = strdup(place->part_name);
    if (!aside) {
        return -ENOMEM;
    }
    memcpy(aside + strlen(aside) - strlen(SUFFIX), OLD_SUFFIX, sizeof(OLD_SUFFIX));
    int r = rename_here(place, place->name, aside, 0);
    if (r < 0) {
        return r;
    }
    r = rename_here(place, place->part_name, place->name, 0);
    if (r < 0) {
        (void)rename_here(place, aside, place->name, 0);
        return r;
    }
    place->part_name = "";
    r = sync_parent(place);
    (void)archive_directory_remove(place->parent_fd, aside);
    return r;
}

/* What stood there is looked at again when nobody can put anything into it by its name. */
static int replace_directory(struct archive_place *place, struct error *reterr_error)
{
    _cleanup_(fd_closep) int target_fd = lock_target(place);
    int r = target_fd < 0 ? target_fd
                          : rename_here(place, place->part_name, place->name, RENAME_EXCHANGE);
    if (r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP) {
        r = replace_by_two_renames(place);
        return r < 0 ? archive_place_explain(place, r, reterr_error) : 0;
    }
    if (r < 0) {
        return archive_place_explain(place, r, reterr_error);
    }
    r = check_directory(place, place->part_name, reterr_error);
    if (r < 0) {
        (void)rename_here(place, place->part_name, place->name, RENAME_EXCHANGE);
        return r;
    }
    r = sync_parent(place);
    if (r < 0) {
        return archive_place_explain(place, r, reterr_error);
    }
    (void)archive_directory_remove(place->parent_fd, place->part_name);
    place->part_name = "";
    return 0;
}

static int rename_over(struct archive_place *place, struct error *reterr_error)
{
    bool exists;
    int r = check_target(place, &exists, reterr_error);
    if (r < 0) {
        return r;
    }
    if (exists && place->is_directory) {
        return replace_directory(place, reterr_error);
    }
    r = rename_here(place, place->part_name, place->name, 0);
    if (r < 0) {
        return archive_place_explain(place, r, reterr_error);
    }
    place->part_name = "";
    return 0;
}

int archive_place_publish(struct archive_place *place, struct error *reterr_error)
{
    if (fsync(place->fd) < 0 && !(place->is_directory && errno == EINVAL)) {
        return archive_place_explain(place, -errno, reterr_error);
    }
    int r = rename_over(place, reterr_error);
    if (r < 0) {
        return r;
    }
    r = sync_parent(place);
    return r < 0 ? archive_place_explain(place, r, reterr_error) : 0;
}

/* Making and freeing ------------------------------------------------------------ */

static int explain_parent(const char *parent, int r, struct error *error)
{
    if (r == -ENOENT) {
        error_set(error, CODE, "there is no directory %s", parent);
        error_hint(error, "make it first: mkdir -p %s", parent);
    } else if (r == -ENOTDIR) {
        error_set(error, CODE, "%s is no directory", parent);
    } else {
        error_set(error, CODE, "%s cannot be opened: %s", parent, strerror(-r));
    }
    return r;
}

static int begin(struct archive_place *place, const char *path, struct error *reterr_error)
{
    _cleanup_(freep) char *parent = NULL;
    bool exists;
    int r = split(place, path, &parent);
    if (r == -EINVAL) {
        error_set(reterr_error, CODE, "\"%s\" is no name for an archive", path);
        return r;
    }
    if (r < 0) {
        return archive_place_explain(place, r, reterr_error);
    }
    place->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->parent_fd < 0) {
        return explain_parent(parent, -errno, reterr_error);
    }
    end_abandoned(place, OLD_SUFFIX);
    r = check_target(place, &exists, reterr_error);
    if (r < 0) {
        return r;
    }
    end_abandoned(place, SUFFIX);
    r = make_neighbour(place, parent);
    return r < 0 ? archive_place_explain(place, r, reterr_error) : 0;
}

int archive_place_new(const char *path, bool is_directory, struct archive_place **ret_place,
                      struct error *reterr_error)
{
    _cleanup_(archive_place_freep) struct archive_place *place = calloc(1, sizeof(*place));
    if (!place) {
        error_set_errno(reterr_error, -ENOMEM, "saving");
        return -ENOMEM;
    }
    place->fd = place->parent_fd = -1;
    place->is_directory = is_directory;
    place->part_name = "";
    int r = begin(place, path, reterr_error);
    if (r < 0) {
        return r;
    }
    *ret_place = TAKE_PTR(place);
    return 0;
}

struct archive_place *archive_place_free(struct archive_place *place)
{
    if (!place) {
        return NULL;
    }
    if (place->part_name[0] != '\0') {
        (void)archive_directory_remove(place->parent_fd, place->part_name);
    }
    (void)fd_close(place->fd);
    (void)fd_close(place->parent_fd);
    free(place->part_path);
    free(place->path);
    free(place);
    return NULL;
}

int archive_place_get_fd(const struct archive_place *place)
{
    return place->fd;
}

const char *archive_place_get_path(const struct archive_place *place)
{
    return place->part_path;
}

int archive_place_explain(const struct archive_place *place, int r, struct error *error)
{
    const char *unchanged = "what stood there before is unchanged";
    switch (-r) {
    case EACCES:
    case EPERM:
        error_set(error, CODE, "no permission to write %s", place->path);
        error_hint(error, "save to a directory of your own");
        break;
    case EROFS:
        error_set(error, CODE, "%s is on a file system that is read-only", place->path);
        error_hint(error, "save elsewhere");
        break;
    case ENOSPC:
    case EDQUOT:
        error_set(error, CODE, "no space is left for %s", place->path);
        error_hint(error, "make room, or save elsewhere; %s", unchanged);
        break;
    case EFBIG:
        error_set(error, CODE, "%s would be larger than a file may be", place->path);
        error_hint(error, "look at `ulimit -f`, or save to a directory: a name without .stax; %s",
                   unchanged);
        break;
    case EBUSY:
        error_set(error, CODE, "%s is in use: somebody else holds a lock on it", place->path);
        error_hint(error, "save again later, or to another name; %s", unchanged);
        break;
    case ENAMETOOLONG:
        error_set(error, CODE, "the path is too long: %s", place->path);
        error_hint(error, "save to a shorter path; a directory (a name without .stax) may lie "
                          "deeper than a file");
        break;
    case ENOMEM:
        error_set(error, CODE, "no memory to write %s", place->path);
        break;
    default:
        error_set(error, CODE, "%s cannot be written: %s", place->path, strerror(-r));
        error_hint(error, "%s", unchanged);
        break;
    }
    return r;
}
