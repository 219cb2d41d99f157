/* SPDX-License-Identifier: MIT */
/*
 * A path is only a hint: the target may live in another mount namespace, the
 * file may have been deleted or replaced since. So each candidate is first
 * looked at through O_PATH (which touches no device and waits for no FIFO),
 * compared with what the kernel said of the mapping, and only then opened.
 */
#include "images/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "images/elf_file.h"
#include "images/proc_maps.h"

#define DELETED_SUFFIX " (deleted)"
#define MAX_MAPS_BYTES (64u << 20)
#define MAX_VDSO_BYTES (1u << 20)

struct image_file {
    int fd; /* -1 where memory is set */
    void *memory;
    size_t memory_bytes;
};

static struct image_file *image_file_new(int takes_fd)
{
    struct image_file *file = malloc(sizeof(*file));
    if (!file) {
        fd_close(takes_fd);
        return NULL;
    }
    *file = (struct image_file){.fd = takes_fd};
    return file;
}

struct image_file *image_file_free(struct image_file *file)
{
    if (file) {
        fd_close(file->fd);
        free(file->memory);
        free(file);
    }
    return NULL;
}

/*
 * Some file systems (overlayfs, btrfs) tell stat(2) other numbers than they
 * write into maps. Asking for our own mapping of the file gives the latter.
 */
static bool is_same_in_maps(int fd, const struct image *image)
{
    void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) {
        return false;
    }
    bool is_same = false;
    _cleanup_(freep) char *maps = NULL;
    size_t n_bytes;
    if (fd_read_file("/proc/self/maps", MAX_MAPS_BYTES, &maps, &n_bytes) == 0) {
        char *at = maps;
        struct proc_maps_line line;
        while (!is_same && proc_maps_next(&at, &line)) {
            is_same = line.image.start_ip == (uintptr_t)page && line.image.inode == image->inode &&
                      line.image.device_major == image->device_major &&
                      line.image.device_minor == image->device_minor;
        }
    }
    munmap(page, 1);
    return is_same;
}

static bool has_build_id(int fd, const struct image *image)
{
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    return elf_file_open_descriptor(fd, &elf, NULL) == 0 &&
           elf_file_build_id(elf, build_id) == image->build_id_bytes &&
           memcmp(build_id, image->build_id, image->build_id_bytes) == 0;
}

/* The build-id says more than an inode, which survives a rewritten file. */
static bool is_wanted(int fd, const struct stat *status, const struct image *image)
{
    if (image->build_id_bytes > 0) {
        return has_build_id(fd, image);
    }
    if (image->inode == 0) {
        return true;
    }
    bool is_same_device = major(status->st_dev) == image->device_major &&
                          minor(status->st_dev) == image->device_minor;
    return (is_same_device && status->st_ino == image->inode) || is_same_in_maps(fd, image);
}

/* A readable descriptor of the image, -ESTALE for another file, or why not. */
static int open_candidate(const char *path, const struct image *image)
{
    _cleanup_(fd_closep) int handle = open(path, O_PATH | O_CLOEXEC);
    if (handle < 0) {
        return -errno;
    }
    struct stat status;
    if (fstat(handle, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EINVAL;
    }
    char again[64];
    snprintf(again, sizeof(again), "/proc/self/fd/%d", handle);
    _cleanup_(fd_closep) int fd = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    return is_wanted(fd, &status, image) ? TAKE_FD(fd) : -ESTALE;
}

/* Without what the kernel appends to the path of a file that is gone. */
static int path_length(const char *path)
{
    size_t n_bytes = strnlen(path, LIMIT_PATH_BYTES);
    size_t suffix_bytes = strlen(DELETED_SUFFIX);
    if (n_bytes > suffix_bytes &&
        strncmp(path + n_bytes - suffix_bytes, DELETED_SUFFIX, suffix_bytes) == 0) {
        n_bytes -= suffix_bytes;
    }
    return (int)n_bytes;
}

/* Where the file may be found, best first; the last ones by the path that the kernel told. */
enum candidate {
    CANDIDATE_MAP_FILE, /* works for deleted and unreachable files, but only for the privileged */
    CANDIDATE_PROGRAM,  /* /proc/PID/exe is there for the owner even when the program is deleted */
    CANDIDATE_IN_TARGET,
    CANDIDATE_HERE,
    CANDIDATE_HERE_VERBATIM, /* a name that really ends in " (deleted)" */
    CANDIDATE_N
};

static void write_candidate(enum candidate candidate, const struct image *image, char *path,
                            size_t n_bytes)
{
    switch (candidate) {
    case CANDIDATE_MAP_FILE:
        snprintf(path, n_bytes, "/proc/%" PRId64 "/map_files/%" PRIx64 "-%" PRIx64, image->pid,
                 image->start_ip, image->end_ip);
        break;
    case CANDIDATE_PROGRAM:
        snprintf(path, n_bytes, "/proc/%" PRId64 "/exe", image->pid);
        break;
    case CANDIDATE_IN_TARGET:
        snprintf(path, n_bytes, "/proc/%" PRId64 "/root%.*s", image->pid, path_length(image->path),
                 image->path);
        break;
    case CANDIDATE_HERE:
        snprintf(path, n_bytes, "%.*s", path_length(image->path), image->path);
        break;
    default:
        snprintf(path, n_bytes, "%.*s", LIMIT_PATH_BYTES, image->path);
        break;
    }
}

/* A descriptor, or why the path that the kernel told does not lead to the image. */
static int open_regular(const struct image *image)
{
    bool can_be_recognised = image->inode != 0 || image->build_id_bytes > 0;
    int failure = -ENOENT;
    for (int candidate = 0; candidate < CANDIDATE_N; candidate++) {
        if (candidate == CANDIDATE_PROGRAM && !can_be_recognised) {
            continue;
        }
        char path[LIMIT_PATH_BYTES + 64];
        write_candidate((enum candidate)candidate, image, path, sizeof(path));
        int fd = open_candidate(path, image);
        if (fd >= 0) {
            return fd;
        }
        /* That it is another file, or not for us, says more than that nothing is there. */
        if (candidate > CANDIDATE_PROGRAM && failure == -ENOENT) {
            failure = fd;
        }
    }
    return failure;
}

static int open_file(const struct image *image, struct image_file **ret_file,
                     struct error *reterr_error)
{
    int fd = open_regular(image);
    if (fd == -ESTALE) {
        error_set(reterr_error, "image_changed", "the file has been replaced since it was mapped");
        return fd;
    }
    if (fd < 0) {
        error_set_errno(reterr_error, fd, "opening the file");
        return fd;
    }
    *ret_file = image_file_new(fd);
    if (!*ret_file) {
        error_set_errno(reterr_error, -ENOMEM, "opening the file");
        return -ENOMEM;
    }
    return 0;
}

static int read_target_memory(const struct image *image, void *memory, size_t n_bytes)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/mem", image->pid);
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t r = pread(fd, memory, n_bytes, (off_t)image->start_ip);
    if (r < 0) {
        return -errno;
    }
    bool is_elf = (size_t)r == n_bytes && n_bytes > 4 && memcmp(memory, "\177ELF", 4) == 0;
    return is_elf ? 0 : -EIO;
}

/* Every process has the same one while the kernel runs; ours stands in for a target that is gone.
 */
static int find_own_vdso(const void **ret_start, size_t *ret_n_bytes)
{
    uint64_t start_ip = getauxval(AT_SYSINFO_EHDR);
    _cleanup_(freep) char *maps = NULL;
    size_t n_bytes;
    int r = fd_read_file("/proc/self/maps", MAX_MAPS_BYTES, &maps, &n_bytes);
    if (r < 0) {
        return r;
    }
    char *at = maps;
    struct proc_maps_line line;
    while (proc_maps_next(&at, &line)) {
        if (start_ip != 0 && line.image.start_ip == start_ip && line.is_readable) {
            *ret_start = (const void *)(uintptr_t)start_ip;
            *ret_n_bytes = line.image.end_ip - start_ip;
            return 0;
        }
    }
    return -ENOENT;
}

static int open_vdso(const struct image *image, struct image_file **ret_file,
                     struct error *reterr_error)
{
    _cleanup_(image_file_freep) struct image_file *file = image_file_new(-1);
    size_t n_bytes = image->end_ip > image->start_ip ? image->end_ip - image->start_ip : 0;
    int r = file ? -EINVAL : -ENOMEM;
    if (file && n_bytes > 0 && n_bytes <= MAX_VDSO_BYTES) {
        file->memory = malloc(n_bytes);
        file->memory_bytes = n_bytes;
        r = file->memory ? read_target_memory(image, file->memory, n_bytes) : -ENOMEM;
    }
    if (file && r < 0) {
        const void *own;
        r = find_own_vdso(&own, &n_bytes);
        if (r == 0) {
            free(file->memory);
            file->memory = malloc(n_bytes);
            file->memory_bytes = n_bytes;
            r = file->memory ? 0 : -ENOMEM;
        }
        if (r == 0) {
            memcpy(file->memory, own, n_bytes);
        }
    }
    if (r < 0) {
        error_set_errno(reterr_error, r, "reading the vdso");
        return r;
    }
    *ret_file = TAKE_PTR(file);
    return 0;
}

int image_file_open(const struct image *image, struct image_file **ret_file,
                    struct error *reterr_error)
{
    switch (image->kind) {
    case IMAGE_KIND_FILE:
        return open_file(image, ret_file, reterr_error);
    case IMAGE_KIND_VDSO:
        return open_vdso(image, ret_file, reterr_error);
    default:
        error_set(reterr_error, "no_file", "no file stands behind it");
        return -ENOENT;
    }
}

int image_file_descriptor(const struct image_file *file)
{
    return file->fd;
}

const void *image_file_memory(const struct image_file *file, size_t *ret_n_bytes)
{
    *ret_n_bytes = file->memory_bytes;
    return file->memory;
}
