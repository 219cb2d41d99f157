/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * image_symbols - all that is known of one image's code, whatever its source
 *
 * What the image says itself comes first, then what was stripped from it: its
 * separate debug file where that lies on this machine, else its
 * .gnu_debugdata. A debug file that comes later, from a server, extends what
 * is there: symbols that were given out stay, and names are found that were
 * not known.
 *
 * Owner:   image_symbols_load_*()/image_symbols_free(); symbols live as long.
 * Threads: loading and looking again on one; then any number may find, and one
 *          may extend.
 * Tests:   image_symbols_test.c, symbolizer_test.c
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "images/elf_file.h"
#include "images/image_file.h"
#include "images/image_table.h"
#include "symbols/debug_files.h"
#include "symbols/function_table.h"

#define IMAGE_SYMBOLS_ORIGIN_BYTES 80
#define IMAGE_SYMBOLS_NOTE_BYTES 200

struct image_symbols {
    struct elf_layout layout; /* no segments: offsets are addresses already */
    struct function_table *_Atomic functions;
    const char *_Atomic origin; /* as symbol_source_info.origin; one of the two below */
    char own_origin[IMAGE_SYMBOLS_ORIGIN_BYTES], extended_origin[IMAGE_SYMBOLS_ORIGIN_BYTES];
    struct debug_file *_Atomic debug_file; /* NULL: none (yet); never changes again */
    struct debug_lines *_Atomic lines;     /* of debug_file; made by the first question for lines */
    /* A debug file may still come. Until then gaps between functions are not guessed at. */
    atomic_bool is_awaiting;
    /* What a person should know: why a debug file was refused; "" where all is well. */
    char note[IMAGE_SYMBOLS_NOTE_BYTES];
    /* The same of the awaited one, once it is settled. The next one is written beside it. */
    const char *_Atomic await_note; /* NULL: none yet */
    char await_notes[2][IMAGE_SYMBOLS_NOTE_BYTES];
    uint64_t searched_ns; /* when its debug file was last looked for; the loading thread's alone */
    uint8_t build_id[LIMIT_BUILD_ID_BYTES];
    size_t build_id_bytes;
    bool is_stripped; /* nothing on this machine has its .symtab or its DWARF */
};

/* From the bytes of a file or vdso. 0, or a negative errno with the reason. */
int image_symbols_load_elf(const struct image *image, const struct image_file *file,
                           const struct debug_directories *directories,
                           struct image_symbols **ret_symbols, struct error *reterr_error);

/* From the text of /proc/kallsyms, which is modified. */
int image_symbols_load_kernel(char *text, size_t n_bytes, struct image_symbols **ret_symbols,
                              struct error *reterr_error);

/*
 * On the loading thread: a debug file is on its way. Then exactly one of the
 * two, on any thread: the file has come (`image_fd` is the image's; it may be
 * refused), or it will not. Extending returns 0 or why the file was not taken:
 * -ESTALE where it is surely another build's.
 */
void image_symbols_await(struct image_symbols *symbols);
int image_symbols_extend(struct image_symbols *symbols, const struct image *image, int image_fd,
                         const char *path, const struct debug_directories *directories);
void image_symbols_give_up(struct image_symbols *symbols, const char *why);

/*
 * On the loading thread: looks once more for the debug file that was not there,
 * if that was at least `min_age_ns` ago and nobody is asked for it. 0: it is
 * there now; -ENOENT: it is not, and may be asked for; -EAGAIN: nothing was
 * looked for; else why it could not be.
 */
int image_symbols_search_again(struct image_symbols *symbols, const struct image *image,
                               int image_fd, const struct debug_directories *directories,
                               uint64_t min_age_ns);

/* What a person should know, or "". */
const char *image_symbols_note(const struct image_symbols *symbols);

struct image_symbols *image_symbols_free(struct image_symbols *symbols);
DEFINE_FREEP(image_symbols);

/* See symbol_source_find(). */
const struct symbol *image_symbols_find(struct image_symbols *symbols, uint64_t offset,
                                        uint64_t *ret_image_addr);
