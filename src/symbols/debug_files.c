/* SPDX-License-Identifier: MIT */
/*
 * A debug file is trusted only by what it says of itself: a folder can hold a
 * file of the same name from another build, whose names would all be wrong.
 */
#include "symbols/debug_files.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "images/target_root.h"
#include "symbols/debug_links.h"

#define DEFAULT_DIRECTORY "/usr/lib/debug"
#define DELETED_SUFFIX " (deleted)"
/* What is looked at: a root, a directory and a path in it. */
#define CANDIDATE_BYTES (3 * LIMIT_PATH_BYTES)
#define HEX_ID_BYTES (2 * LIMIT_BUILD_ID_BYTES + 1)

static atomic_uint n_held;

/* One search. Roots are prefixes of absolute paths; ours is "". */
struct search {
    const struct image *image;
    const struct debug_directories *directories;
    struct elf_file *elf;
    int image_fd;
    const char *roots[2];
    size_t n_roots;
    char target_root[48];
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    size_t build_id_bytes;
    char folder[LIMIT_PATH_BYTES]; /* of the image, without a '/' at its end */
    struct debug_link link;
    struct debug_checksum_effort effort;
    struct error *reterr_refusal;
    int refusal; /* -ESTALE once a file was refused */
};

const char *debug_file_origin_name(enum debug_file_origin origin)
{
    static const char *const names[DEBUG_FILE_ORIGIN_N] = {
        [DEBUG_FILE_ORIGIN_SELF] = "self",
        [DEBUG_FILE_ORIGIN_BUILD_ID] = "build-id",
        [DEBUG_FILE_ORIGIN_DEBUGLINK] = "debuglink",
        [DEBUG_FILE_ORIGIN_DEBUGINFOD] = "debuginfod",
    };
    return names[origin];
}

int debug_directories_parse(const char *list, struct debug_directories *ret_directories)
{
    _cleanup_(debug_directories_releasep) struct debug_directories parsed = {.n_directories = 0};
    const char *at = list && list[0] != '\0' ? list : DEFAULT_DIRECTORY;
    while (*at != '\0' && parsed.n_directories < DEBUG_DIRECTORIES_MAX) {
        size_t n_bytes = strcspn(at, ":");
        size_t kept_bytes = n_bytes;
        while (kept_bytes > 0 && at[kept_bytes - 1] == '/') {
            kept_bytes--;
        }
        /* Relative ones would mean another place for each program that is started. */
        if (at[0] == '/' && kept_bytes < LIMIT_PATH_BYTES) {
            char *directory = strndup(at, kept_bytes);
            if (!directory) {
                return -ENOMEM;
            }
            parsed.directories[parsed.n_directories++] = directory;
        }
        at += n_bytes;
        at += *at == ':';
    }
    *ret_directories = parsed;
    parsed.n_directories = 0;
    return 0;
}

void debug_directories_release(struct debug_directories *directories)
{
    for (size_t i = 0; i < directories->n_directories; i++) {
        free(directories->directories[i]);
    }
    directories->n_directories = 0;
}

static void identify(struct debug_file_handle *handle, const struct stat *status)
{
    handle->device = status->st_dev;
    handle->inode = status->st_ino;
    handle->n_bytes = (uint64_t)status->st_size;
    handle->modified_s = status->st_mtim.tv_sec;
    handle->modified_ns = status->st_mtim.tv_nsec;
}

/* Keeps a descriptor where there is still room for one. */
static int handle_init(struct debug_file_handle *handle, const char *path, int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    *handle = (struct debug_file_handle){.fd = -1, .path = strdup(path)};
    if (!handle->path) {
        return -ENOMEM;
    }
    identify(handle, &status);
    if (atomic_fetch_add(&n_held, 1) < DEBUG_FILES_MAX_HELD) {
        handle->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    if (handle->fd < 0) {
        atomic_fetch_sub(&n_held, 1);
    }
    return 0;
}

static void handle_release(struct debug_file_handle *handle)
{
    if (handle->path && handle->fd >= 0) {
        handle->fd = fd_close(handle->fd);
        atomic_fetch_sub(&n_held, 1);
    }
    free(handle->path);
    handle->path = NULL;
}

int debug_file_open(const struct debug_file_handle *handle)
{
    if (!handle->path) {
        return -ENOENT;
    }
    if (handle->fd >= 0) {
        int fd = fcntl(handle->fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
    }
    _cleanup_(fd_closep) int fd = fd_open_regular(handle->path);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0) {
        return fd < 0 ? fd : -errno;
    }
    struct debug_file_handle now;
    identify(&now, &status);
    bool is_same = now.device == handle->device && now.inode == handle->inode &&
                   now.n_bytes == handle->n_bytes && now.modified_s == handle->modified_s &&
                   now.modified_ns == handle->modified_ns;
    return is_same ? TAKE_FD(fd) : -ESTALE;
}

struct debug_file *debug_file_free(struct debug_file *file)
{
    if (file) {
        handle_release(&file->file);
        handle_release(&file->alternate);
        free(file);
    }
    return NULL;
}

/* The first refusal is the one that is told: it was of the likeliest place. */
static int refuse(struct search *search, const char *path, const char *why, int r)
{
    if (search->refusal == 0) {
        search->refusal = -ESTALE;
        error_set(search->reterr_refusal, "debug_file_refused", "%s: %s", path, why);
    }
    return r;
}

/* Surely no ELF file, and not one that could not be read for want of memory. */
static bool has_other_magic(int fd)
{
    char magic[SELFMAG];
    ssize_t n_bytes = pread(fd, magic, sizeof(magic), 0);
    return n_bytes >= 0 && (n_bytes < SELFMAG || memcmp(magic, ELFMAG, SELFMAG) != 0);
}

static bool has_section(struct elf_file *elf, const char *name, uint32_t unwanted_type)
{
    struct elf_section section;
    return elf_file_section_named(elf, name, &section) && section.type != unwanted_type &&
           section.n_bytes > 0;
}

#define SECTION_WITHOUT_BYTES 8u /* SHT_NOBITS: stripped off, only its header is left */

static bool has_dwarf(struct elf_file *elf)
{
    return has_section(elf, ".debug_info", SECTION_WITHOUT_BYTES) ||
           has_section(elf, ".zdebug_info", SECTION_WITHOUT_BYTES);
}

static bool has_symbols(struct elf_file *elf)
{
    return has_section(elf, ".symtab", SECTION_WITHOUT_BYTES);
}

/* A debug file keeps the header of what was stripped from it. */
static bool has_other_code(struct elf_file *image, struct elf_file *debug)
{
    struct elf_section ours;
    struct elf_section theirs;
    return elf_file_section_named(image, ".text", &ours) &&
           elf_file_section_named(debug, ".text", &theirs) && ours.n_bytes != theirs.n_bytes;
}

/*
 * Why it is not the image's, or NULL. Without a build-id only a link's checksum
 * can tell. *ret_reason is -ESTALE only for what is surely another build's.
 */
static const char *find_fault(struct search *search, int fd, struct elf_file *debug,
                              enum debug_file_origin origin, int *ret_reason)
{
    *ret_reason = -EBADMSG;
    if (elf_file_machine(debug) != elf_file_machine(search->elf)) {
        return "the debug file is for another kind of processor";
    }
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    size_t build_id_bytes = elf_file_build_id(debug, build_id);
    if (search->build_id_bytes > 0) {
        bool is_same = build_id_bytes == search->build_id_bytes &&
                       memcmp(build_id, search->build_id, build_id_bytes) == 0;
        *ret_reason = build_id_bytes > 0 ? -ESTALE : -EBADMSG;
        return is_same ? NULL : "the debug file has another build-id";
    }
    uint32_t checksum;
    if (origin != DEBUG_FILE_ORIGIN_DEBUGLINK) {
        return "the image has no build-id to compare";
    }
    /* Cheap, and so before the whole file is read. */
    if (has_other_code(search->elf, debug)) {
        return "the debug file is of other code";
    }
    int r = debug_link_checksum(fd, &search->effort, &checksum);
    bool is_same = r == 0 && checksum == search->link.checksum;
    return is_same ? NULL : "the debug file has another checksum";
}

static void write_hex(const uint8_t *id, size_t n_bytes, char ret_text[HEX_ID_BYTES])
{
    for (size_t i = 0; i < n_bytes; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", id[i]);
    }
    ret_text[2 * n_bytes] = '\0';
}

/* 0 and a handle where the file at `path` has this build-id. */
static int try_alternate(const char *path, const struct debug_alternate_link *link,
                         struct debug_file_handle *ret_handle)
{
    _cleanup_(fd_closep) int fd = fd_open_regular(path);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    int r = fd < 0 ? fd : elf_file_open_descriptor(fd, &elf, NULL);
    if (r < 0) {
        return r;
    }
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    if (elf_file_build_id(elf, build_id) != link->build_id_bytes ||
        memcmp(build_id, link->build_id, link->build_id_bytes) != 0) {
        return -ESTALE;
    }
    return handle_init(ret_handle, path, fd);
}

/* As the link says, then by its build-id, then by its name where dwz puts them. */
static void find_alternate(const struct search *search, struct elf_file *debug, const char *path,
                           struct debug_file_handle *ret_handle)
{
    struct debug_alternate_link link;
    if (!debug_alternate_link_read(debug, &link)) {
        return;
    }
    char candidate[CANDIDATE_BYTES];
    char hex[HEX_ID_BYTES];
    write_hex(link.build_id, link.build_id_bytes, hex);
    const char *slash = strrchr(path, '/');
    const char *base = strrchr(link.path, '/');
    base = base ? base + 1 : link.path;
    if (link.path[0] != '/') {
        int folder_bytes = slash ? (int)(slash - path) + 1 : 0;
        snprintf(candidate, sizeof(candidate), "%.*s%s", folder_bytes, path, link.path);
        if (try_alternate(candidate, &link, ret_handle) == 0) {
            return;
        }
    }
    for (size_t root = 0; root < search->n_roots; root++) {
        snprintf(candidate, sizeof(candidate), "%s%s", search->roots[root], link.path);
        if (link.path[0] == '/' && try_alternate(candidate, &link, ret_handle) == 0) {
            return;
        }
        for (size_t i = 0; i < search->directories->n_directories; i++) {
            const char *directory = search->directories->directories[i];
            snprintf(candidate, sizeof(candidate), "%s%s/.build-id/%.2s/%s.debug",
                     search->roots[root], directory, hex, hex + 2);
            if (try_alternate(candidate, &link, ret_handle) == 0) {
                return;
            }
            snprintf(candidate, sizeof(candidate), "%s%s/.dwz/%s", search->roots[root], directory,
                     base);
            if (try_alternate(candidate, &link, ret_handle) == 0) {
                return;
            }
        }
    }
}

static int make(const struct search *search, struct elf_file *debug, const char *path, int fd,
                enum debug_file_origin origin, struct debug_file **ret_file)
{
    _cleanup_(debug_file_freep) struct debug_file *file = calloc(1, sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }
    file->file.fd = -1;
    file->alternate.fd = -1;
    file->origin = origin;
    file->has_dwarf = has_dwarf(debug);
    file->has_symbols = has_symbols(debug);
    int r = handle_init(&file->file, path, fd);
    if (r < 0) {
        return r;
    }
    if (origin != DEBUG_FILE_ORIGIN_SELF) {
        address_shift_compare(search->elf, debug, &file->shift);
    }
    if (file->has_dwarf) {
        find_alternate(search, debug, path, &file->alternate);
    }
    *ret_file = TAKE_PTR(file);
    return 0;
}

static bool is_image_itself(const struct search *search, int fd)
{
    struct stat image;
    struct stat other;
    return search->image_fd >= 0 && fstat(search->image_fd, &image) == 0 &&
           fstat(fd, &other) == 0 && image.st_dev == other.st_dev && image.st_ino == other.st_ino;
}

static int try_path(struct search *search, const char *path, enum debug_file_origin origin,
                    struct debug_file **ret_file)
{
    _cleanup_(fd_closep) int fd = fd_open_regular(path);
    if (fd < 0) {
        return fd == -ENOMEM ? fd : -ENOENT;
    }
    if (is_image_itself(search, fd)) {
        return -ENOENT;
    }
    _cleanup_(elf_file_freep) struct elf_file *debug = NULL;
    int r = elf_file_open_descriptor(fd, &debug, NULL);
    if (r < 0) {
        return r == -ENOMEM ? r
                            : refuse(search, path, "the debug file is no ELF file",
                                     has_other_magic(fd) ? -ESTALE : -EBADMSG);
    }
    if (!has_dwarf(debug) && !has_symbols(debug)) {
        return -ENOENT;
    }
    int reason;
    const char *fault = find_fault(search, fd, debug, origin, &reason);
    return fault ? refuse(search, path, fault, reason)
                 : make(search, debug, path, fd, origin, ret_file);
}

static int find_by_build_id(struct search *search, struct debug_file **ret_file)
{
    char hex[HEX_ID_BYTES];
    write_hex(search->build_id, search->build_id_bytes, hex);
    int r = -ENOENT;
    for (size_t root = 0; root < search->n_roots; root++) {
        for (size_t i = 0; i < search->directories->n_directories; i++) {
            char path[CANDIDATE_BYTES];
            snprintf(path, sizeof(path), "%s%s/.build-id/%.2s/%s.debug", search->roots[root],
                     search->directories->directories[i], hex, hex + 2);
            r = try_path(search, path, DEBUG_FILE_ORIGIN_BUILD_ID, ret_file);
            if (r == 0 || r == -ENOMEM) {
                return r;
            }
        }
    }
    return r;
}

/* Where /lib is a link to /usr/lib, packages still keep the file of either name. */
static const char *folder_before_merge(const char *folder)
{
    static const char prefix[] = "/usr";
    bool was_merged = strncmp(folder, prefix, sizeof(prefix) - 1) == 0 &&
                      (strncmp(folder + 4, "/lib", 4) == 0 || strcmp(folder + 4, "/bin") == 0 ||
                       strcmp(folder + 4, "/sbin") == 0);
    return was_merged ? folder + sizeof(prefix) - 1 : NULL;
}

static int find_by_link_in(struct search *search, const char *root, struct debug_file **ret_file)
{
    const char *folder = search->folder;
    const char *name = search->link.name;
    char path[CANDIDATE_BYTES];
    snprintf(path, sizeof(path), "%s%s/%s", root, folder, name);
    int r = try_path(search, path, DEBUG_FILE_ORIGIN_DEBUGLINK, ret_file);
    if (r == 0 || r == -ENOMEM) {
        return r;
    }
    snprintf(path, sizeof(path), "%s%s/.debug/%s", root, folder, name);
    r = try_path(search, path, DEBUG_FILE_ORIGIN_DEBUGLINK, ret_file);
    const char *folders[] = {folder, folder_before_merge(folder)};
    for (size_t i = 0; i < search->directories->n_directories; i++) {
        for (size_t k = 0; k < 2 && folders[k] && r < 0 && r != -ENOMEM; k++) {
            snprintf(path, sizeof(path), "%s%s%s/%s", root, search->directories->directories[i],
                     folders[k], name);
            r = try_path(search, path, DEBUG_FILE_ORIGIN_DEBUGLINK, ret_file);
        }
    }
    return r;
}

static int find_by_link(struct search *search, struct debug_file **ret_file)
{
    int r = -ENOENT;
    for (size_t root = 0; root < search->n_roots && r < 0 && r != -ENOMEM; root++) {
        r = find_by_link_in(search, search->roots[root], ret_file);
    }
    return r;
}

static void search_init(struct search *search, const struct image *image, int image_fd,
                        struct elf_file *elf, const struct debug_directories *directories)
{
    *search = (struct search){
        .image = image,
        .directories = directories,
        .elf = elf,
        .image_fd = image_fd,
        .effort = {.n_left_bytes = DEBUG_FILES_MAX_CHECKSUM_BYTES,
                   .is_cancelled = directories->is_cancelled},
    };
    search->build_id_bytes = elf_file_build_id(elf, search->build_id);
    snprintf(search->target_root, sizeof(search->target_root), "/proc/%" PRId64 "/root",
             image->pid);
    if (image->pid > 0 && target_root_is_other(image->pid)) {
        search->roots[search->n_roots++] = search->target_root;
    }
    search->roots[search->n_roots++] = "";
    const char *slash = image->path[0] == '/' ? strrchr(image->path, '/') : NULL;
    if (slash && slash - image->path < (ptrdiff_t)sizeof(search->folder)) {
        memcpy(search->folder, image->path, (size_t)(slash - image->path));
    }
}

/* The path by which the image can be opened again. */
static void write_image_path(const struct search *search, char *path, size_t n_bytes)
{
    const struct image *image = search->image;
    size_t path_bytes = strnlen(image->path, LIMIT_PATH_BYTES);
    size_t suffix_bytes = strlen(DELETED_SUFFIX);
    if (path_bytes > suffix_bytes &&
        strcmp(image->path + path_bytes - suffix_bytes, DELETED_SUFFIX) == 0) {
        path_bytes -= suffix_bytes;
    }
    snprintf(path, n_bytes, "%s%.*s", search->roots[0], (int)path_bytes, image->path);
}

int debug_files_find(const struct image *image, int fd, struct elf_file *elf,
                     const struct debug_directories *directories, struct debug_file **ret_file,
                     struct error *reterr_error)
{
    struct search search;
    search_init(&search, image, fd, elf, directories);
    search.reterr_refusal = reterr_error;
    if (fd >= 0 && has_dwarf(elf)) {
        char path[CANDIDATE_BYTES];
        write_image_path(&search, path, sizeof(path));
        return make(&search, elf, path, fd, DEBUG_FILE_ORIGIN_SELF, ret_file);
    }
    int r = -ENOENT;
    if (search.build_id_bytes > 1) {
        r = find_by_build_id(&search, ret_file);
    }
    if (r < 0 && r != -ENOMEM && image->path[0] == '/' && debug_link_read(elf, &search.link)) {
        r = find_by_link(&search, ret_file);
    }
    if (r == 0 && reterr_error) {
        *reterr_error = (struct error){.code = ""};
    }
    return r < 0 && r != -ENOMEM && search.refusal < 0 ? search.refusal : r;
}

int debug_files_accept(const char *path, enum debug_file_origin origin, const struct image *image,
                       struct elf_file *elf, const struct debug_directories *directories,
                       struct debug_file **ret_file, struct error *reterr_error)
{
    struct search search;
    search_init(&search, image, -1, elf, directories);
    search.reterr_refusal = reterr_error;
    return try_path(&search, path, origin, ret_file);
}
