/* SPDX-License-Identifier: MIT */
#include "symbols/debug_links.h"

#include <errno.h>
#include <limits.h>
#include <lzma.h>
#include <string.h>
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

int debug_link_checksum(int fd, uint64_t max_bytes, uint32_t *ret_checksum)
{
    uint8_t *piece = malloc(CHECKSUM_PIECE_BYTES);
    if (!piece) {
        return -ENOMEM;
    }
    uint32_t checksum = 0;
    uint64_t at = 0;
    int r = 0;
    for (;;) {
        ssize_t n_bytes = pread(fd, piece, CHECKSUM_PIECE_BYTES, (off_t)at);
        if (n_bytes < 0 && errno == EINTR) {
            continue;
        }
        if (n_bytes <= 0) {
            r = n_bytes < 0 ? -errno : 0;
            break;
        }
        checksum = lzma_crc32(piece, (size_t)n_bytes, checksum);
        at += (uint64_t)n_bytes;
        if (at > max_bytes) {
            r = -EFBIG;
            break;
        }
    }
    free(piece);
    *ret_checksum = checksum;
    return r;
}
