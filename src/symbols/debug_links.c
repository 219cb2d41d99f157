/* SPDX-License-Identifier: MIT */
#include "symbols/debug_links.h"

#include <errno.h>
#include <limits.h>
#include <lzma.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKSUM_PIECE_BYTES (256u * 1024)
#define MAX_LEB128_BYTES 5

static bool get_section(struct elf_file *elf, const char *name, struct bytes *ret_bytes)
{
    struct elf_section section;
    return elf_file_section_named(elf, name, &section) &&
           elf_file_section_bytes(elf, section.index, ret_bytes);
}

/* Only a name: a link must not lead out of the folders where it is looked for. */
static bool is_file_name(const char *name)
{
    size_t n_bytes = strnlen(name, NAME_MAX + 1);
    return n_bytes > 0 && n_bytes <= NAME_MAX && strchr(name, '/') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool debug_link_read(struct elf_file *elf, struct debug_link *ret_link)
{
    struct bytes bytes;
    if (!elf_file_is_little_endian(elf) || !get_section(elf, ".gnu_debuglink", &bytes)) {
        return false;
    }
    size_t n_bytes = bytes_left(&bytes);
    const char *name = bytes_take_string(&bytes);
    size_t padding = (4 - (n_bytes - bytes_left(&bytes)) % 4) % 4;
    bytes_skip(&bytes, padding);
    uint32_t checksum = bytes_take_u32(&bytes);
    if (bytes_has_failed(&bytes) || !is_file_name(name)) {
        return false;
    }
    *ret_link = (struct debug_link){.name = name, .checksum = checksum};
    return true;
}

static bool check_alternate(const char *path, const uint8_t *build_id, size_t build_id_bytes,
                            struct debug_alternate_link *ret_link)
{
    if (!path || !build_id || build_id_bytes == 0 || build_id_bytes > LIMIT_BUILD_ID_BYTES) {
        return false;
    }
    size_t n_bytes = strnlen(path, LIMIT_PATH_BYTES);
    if (n_bytes == 0 || n_bytes >= LIMIT_PATH_BYTES) {
        return false;
    }
    *ret_link = (struct debug_alternate_link){
        .path = path,
        .build_id = build_id,
        .build_id_bytes = build_id_bytes,
    };
    return true;
}

static uint32_t take_leb128(struct bytes *bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < MAX_LEB128_BYTES; i++) {
        uint8_t byte = bytes_take_u8(bytes);
        value |= (uint32_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            break;
        }
    }
    return value;
}

/* DWARF 5: version, whether this file is itself the shared one, its name, its checksum. */
static bool read_supplementary(struct bytes *bytes, struct debug_alternate_link *ret_link)
{
    uint16_t version = bytes_take_u16(bytes);
    uint8_t is_supplementary = bytes_take_u8(bytes);
    const char *path = bytes_take_string(bytes);
    uint32_t n_bytes = take_leb128(bytes);
    const uint8_t *checksum = bytes_take(bytes, n_bytes);
    return version >= 5 && is_supplementary == 0 &&
           check_alternate(path, checksum, n_bytes, ret_link);
}

bool debug_alternate_link_read(struct elf_file *elf, struct debug_alternate_link *ret_link)
{
    struct bytes bytes;
    if (!elf_file_is_little_endian(elf)) {
        return false;
    }
    if (get_section(elf, ".gnu_debugaltlink", &bytes)) {
        const char *path = bytes_take_string(&bytes);
        size_t n_bytes = bytes_left(&bytes);
        const uint8_t *build_id = bytes_take(&bytes, n_bytes);
        return check_alternate(path, build_id, n_bytes, ret_link);
    }
    return get_section(elf, ".debug_sup", &bytes) && read_supplementary(&bytes, ret_link);
}

/* Remembered checksums ----------------------------------------------------------------------- */

#define MAX_REMEMBERED 16u

struct remembered {
    struct stat status; /* of the file when it was read; no size: nothing is remembered */
    uint32_t checksum;
};

static pthread_mutex_t remembered_lock = PTHREAD_MUTEX_INITIALIZER;
static struct remembered remembered[MAX_REMEMBERED]; /* under the lock */
static size_t next_remembered;                       /* under the lock */

static bool is_same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
           one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
           one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static bool recall(const struct stat *status, uint32_t *ret_checksum)
{
    bool is_known = false;
    pthread_mutex_lock(&remembered_lock);
    for (size_t i = 0; i < MAX_REMEMBERED && !is_known; i++) {
        if (remembered[i].status.st_size > 0 && is_same_file(&remembered[i].status, status)) {
            *ret_checksum = remembered[i].checksum;
            is_known = true;
        }
    }
    pthread_mutex_unlock(&remembered_lock);
    return is_known;
}

static void remember(const struct stat *status, uint32_t checksum)
{
    pthread_mutex_lock(&remembered_lock);
    remembered[next_remembered] = (struct remembered){.status = *status, .checksum = checksum};
    next_remembered = (next_remembered + 1) % MAX_REMEMBERED;
    pthread_mutex_unlock(&remembered_lock);
}

static bool is_cancelled(const struct debug_checksum_effort *effort)
{
    return effort->is_cancelled && atomic_load_explicit(effort->is_cancelled, memory_order_relaxed);
}

static int sum_up(int fd, uint8_t *piece, struct debug_checksum_effort *effort,
                  uint32_t *ret_checksum)
{
    uint32_t checksum = 0;
    for (uint64_t at = 0;;) {
        ssize_t n_bytes = pread(fd, piece, CHECKSUM_PIECE_BYTES, (off_t)at);
        if (n_bytes < 0 && errno == EINTR) {
            continue;
        }
        if (n_bytes <= 0) {
            *ret_checksum = checksum;
            return n_bytes < 0 ? -errno : 0;
        }
        if ((uint64_t)n_bytes > effort->n_left_bytes) {
            return -EFBIG;
        }
        if (is_cancelled(effort)) {
            return -ECANCELED;
        }
        effort->n_left_bytes -= (uint64_t)n_bytes;
        checksum = lzma_crc32(piece, (size_t)n_bytes, checksum);
        at += (uint64_t)n_bytes;
    }
}

int debug_link_checksum(int fd, struct debug_checksum_effort *effort, uint32_t *ret_checksum)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (recall(&status, ret_checksum)) {
        return 0;
    }
    if (status.st_size > 0 && (uint64_t)status.st_size > effort->n_left_bytes) {
        return -EFBIG;
    }
    uint8_t *piece = malloc(CHECKSUM_PIECE_BYTES);
    int r = piece ? sum_up(fd, piece, effort, ret_checksum) : -ENOMEM;
    free(piece);
    if (r == 0) {
        remember(&status, *ret_checksum);
    }
    return r;
}
