/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * debug_files - the file that holds what was stripped from an image
 *
 * The image itself where it still has .debug_info; else, in this order, a
 * separate file by build-id below each debug directory, then the one that
 * .gnu_debuglink names (beside the image, in .debug/ beside it, and below each
 * debug directory). Each place is looked at in the target's own root first,
 * while the target lives. What is found must be the image's own: the same
 * build-id where the image has one, else the checksum of the link.
 *
 * Nothing but headers, notes and the sections asked for is read; only a file
 * that has no build-id is read whole, for its checksum.
 *
 * Shape:   one struct debug_file per image; immutable once it is handed out.
 * Owner:   debug_files_find()/debug_file_free(). Descriptors are borrowed from
 *          it with debug_file_open().
 * Threads: finding on one; then any.
 * Limits:  DEBUG_FILES_MAX_HELD descriptors are held by all of them together;
 *          files past it are opened again by path when they are needed.
 *          DEBUG_FILES_MAX_CHECKSUM_BYTES are read for the checksums of one image.
 * Source:  GDB manual, "Debugging Information in Separate Files"; DWARF 5,
 *          7.3.6 (supplementary files).
 * Tests:   debug_files_test.c; tests/fuzz/fuzz_debug_links.c
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "images/elf_file.h"
#include "images/image_table.h"
#include "symbols/address_shift.h"

#define DEBUG_FILES_MAX_HELD 256
#define DEBUG_FILES_MAX_CHECKSUM_BYTES (UINT64_C(4) << 30)
#define DEBUG_DIRECTORIES_MAX 16

enum debug_file_origin {
    DEBUG_FILE_ORIGIN_SELF,
    DEBUG_FILE_ORIGIN_BUILD_ID,
    DEBUG_FILE_ORIGIN_DEBUGLINK,
    DEBUG_FILE_ORIGIN_DEBUGINFOD,
    DEBUG_FILE_ORIGIN_N
};

/* "self", "build-id", "debuglink", "debuginfod" */
const char *debug_file_origin_name(enum debug_file_origin origin);

/* One file on disk that can be opened again as long as it is the same one. */
struct debug_file_handle {
    int fd;     /* -1 where it is not held */
    char *path; /* as it was opened; NULL: there is no such file */
    uint64_t device, inode, n_bytes;
    int64_t modified_s, modified_ns;
};

struct debug_file {
    enum debug_file_origin origin;
    struct debug_file_handle file;
    /* What dwz moved out of it (.gnu_debugaltlink, DWARF 5 .debug_sup); path NULL: nothing. */
    struct debug_file_handle alternate;
    bool has_dwarf;   /* .debug_info, compressed or not */
    bool has_symbols; /* .symtab */
    struct address_shift shift;
};

/* Where separate files are kept; the default is /usr/lib/debug. */
struct debug_directories {
    size_t n_directories;
    char *directories[DEBUG_DIRECTORIES_MAX];
    const atomic_bool *is_cancelled; /* calls a search off; NULL: nothing does */
};

/* From a list with ':' between (STAX_DEBUG_DIRS); NULL or "": the default. 0 or -ENOMEM. */
int debug_directories_parse(const char *list, struct debug_directories *ret_directories);
void debug_directories_release(struct debug_directories *directories);
DEFINE_RELEASEP(debug_directories);

/*
 * The file for `image`, whose opened bytes are `elf` (`fd` is borrowed; -1
 * where it is memory). 0; -ENOENT: there is none; -ESTALE: there is one, but
 * it is another build's; -ENOMEM. reterr_error (may be NULL) names the file
 * that was refused, and is empty for -ENOENT.
 */
int debug_files_find(const struct image *image, int fd, struct elf_file *elf,
                     const struct debug_directories *directories, struct debug_file **ret_file,
                     struct error *reterr_error);

/*
 * The same for a file that somebody else found: accepted only with the build-id
 * of `elf`. -ESTALE only where it is surely another build's or no ELF file;
 * -EBADMSG where it is refused but could not be looked at well enough.
 */
int debug_files_accept(const char *path, enum debug_file_origin origin, const struct image *image,
                       struct elf_file *elf, const struct debug_directories *directories,
                       struct debug_file **ret_file, struct error *reterr_error);

struct debug_file *debug_file_free(struct debug_file *file);
DEFINE_FREEP(debug_file);

/*
 * A descriptor of the caller's own, for reading with pread(2) only (its offset
 * is shared). A negative errno: -ENOENT where there is no such file, -ESTALE
 * where the path leads to another one by now.
 */
int debug_file_open(const struct debug_file_handle *handle);
