/* SPDX-License-Identifier: MIT */
#include "symbols/image_symbols.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "symbols/debug_lines.h"
#include "symbols/elf_symbols.h"
#include "symbols/kallsyms.h"
#include "symbols/minidebug.h"

static int open_elf(const struct image_file *file, struct elf_file **ret_elf,
                    struct error *reterr_error)
{
    size_t n_bytes;
    const void *memory = image_file_memory(file, &n_bytes);
    return memory ? elf_file_open_memory(memory, n_bytes, ret_elf, reterr_error)
                  : elf_file_open_descriptor(image_file_descriptor(file), ret_elf, reterr_error);
}

/* "none" and "debuginfod" make "debuginfod", ".dynsym" and "debuginfod" ".dynsym + debuginfod". */
static void write_origin(char origin[IMAGE_SYMBOLS_ORIGIN_BYTES], const char *own,
                         const char *added)
{
    if (strcmp(own, "none") == 0) {
        snprintf(origin, IMAGE_SYMBOLS_ORIGIN_BYTES, "%s", added);
    } else {
        snprintf(origin, IMAGE_SYMBOLS_ORIGIN_BYTES, "%.30s + %.40s", own, added);
    }
}

static const char *describe_origin(enum debug_file_origin origin)
{
    switch (origin) {
    case DEBUG_FILE_ORIGIN_BUILD_ID:
        return "debug file by build-id";
    case DEBUG_FILE_ORIGIN_DEBUGLINK:
        return "debug file by debuglink";
    default:
        return debug_file_origin_name(origin);
    }
}

static void take_note(char note[IMAGE_SYMBOLS_NOTE_BYTES], const char *text)
{
    snprintf(note, IMAGE_SYMBOLS_NOTE_BYTES, "%.*s", IMAGE_SYMBOLS_NOTE_BYTES - 1, text);
}

static bool has_symtab(struct elf_file *elf)
{
    struct elf_section section;
    return elf_file_section_named(elf, ".symtab", &section);
}

/* Adds what the debug file names to the table. *ret_n_added may be 0: its table may be empty. */
static int add_debug_file(const struct debug_file *file, struct function_table *table,
                          size_t *ret_n_added)
{
    *ret_n_added = 0;
    _cleanup_(fd_closep) int fd = debug_file_open(&file->file);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    if (fd < 0 || elf_file_open_descriptor(fd, &elf, NULL) < 0) {
        return 0;
    }
    size_t n_before = function_table_count(table);
    const char *origin;
    int r = elf_symbols_add(elf, &file->shift, table, &origin);
    *ret_n_added = function_table_count(table) - n_before;
    return r;
}

static int add_minidebug(struct elf_file *image, struct function_table *table,
                         struct image_symbols *symbols, size_t *ret_n_added)
{
    *ret_n_added = 0;
    _cleanup_(freep) char *unpacked = NULL;
    size_t n_bytes;
    int r = minidebug_unpack(image, &unpacked, &n_bytes);
    if (r == -ENOENT || r == -ENOMEM) {
        return r == -ENOMEM ? r : 0;
    }
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    if (r < 0 || elf_file_open_memory(unpacked, n_bytes, &elf, NULL) < 0) {
        take_note(symbols->note, r == -EFBIG ? ".gnu_debugdata is too large to be unpacked"
                                             : ".gnu_debugdata is corrupt");
        return 0;
    }
    size_t n_before = function_table_count(table);
    const char *origin;
    r = elf_symbols_add(elf, NULL, table, &origin);
    *ret_n_added = function_table_count(table) - n_before;
    return r;
}

/* What was stripped from the image, best source first; an image with a .symtab lacks no name. */
static int add_stripped(struct elf_file *elf, struct function_table *table,
                        struct image_symbols *symbols, const char *own_origin)
{
    const struct debug_file *file = atomic_load(&symbols->debug_file);
    size_t n_added = 0;
    int r = 0;
    const char *added = NULL;
    if (file && file->origin != DEBUG_FILE_ORIGIN_SELF && file->has_symbols) {
        r = add_debug_file(file, table, &n_added);
        added = describe_origin(file->origin);
    }
    if (r == 0 && n_added == 0) {
        r = add_minidebug(elf, table, symbols, &n_added);
        added = ".gnu_debugdata";
    }
    if (n_added > 0) {
        write_origin(symbols->own_origin, own_origin, added);
    }
    return r;
}

/* Code that nobody named is one row per function, too. */
static int sort_functions(struct elf_file *elf, struct function_table *table)
{
    _cleanup_(freep) struct cfi_extent *extents = NULL;
    size_t n_extents;
    int r = cfi_extents_read(elf, &extents, &n_extents);
    return r < 0 ? r : function_table_sort_within(table, extents, n_extents);
}

static int load_functions(const struct image *image, struct elf_file *elf,
                          struct image_symbols *symbols)
{
    enum frame_kind kind = image->kind == IMAGE_KIND_VDSO ? FRAME_KIND_VDSO : FRAME_KIND_USER;
    _cleanup_(function_table_freep) struct function_table *table = NULL;
    const char *own_origin = "none";
    int r = function_table_new(image->name, kind, &table);
    if (r == 0) {
        r = elf_symbols_add(elf, NULL, table, &own_origin);
    }
    if (r < 0) {
        return r;
    }
    snprintf(symbols->own_origin, sizeof(symbols->own_origin), "%s", own_origin);
    if (!has_symtab(elf)) {
        r = add_stripped(elf, table, symbols, own_origin);
    }
    if (r == 0) {
        r = sort_functions(elf, table);
    }
    if (r == 0) {
        atomic_store(&symbols->functions, TAKE_PTR(table));
    }
    return r;
}

/* A file that was found and is not the image's is worth a word; that there is none is usual. */
static int find_debug_file(const struct image *image, int fd, struct elf_file *elf,
                           const struct debug_directories *directories,
                           struct image_symbols *symbols)
{
    struct debug_file *file = NULL;
    struct error refusal = {.code = ""};
    int r = debug_files_find(image, fd, elf, directories, &file, &refusal);
    if (r == -ENOMEM) {
        return r;
    }
    if (r < 0 && error_is_set(&refusal)) {
        take_note(symbols->note, refusal.message);
    }
    atomic_store(&symbols->debug_file, file);
    symbols->searched_ns = clock_now_ns();
    symbols->is_stripped = !file && !has_symtab(elf);
    symbols->build_id_bytes = elf_file_build_id(elf, symbols->build_id);
    return 0;
}

int image_symbols_load_elf(const struct image *image, const struct image_file *file,
                           const struct debug_directories *directories,
                           struct image_symbols **ret_symbols, struct error *reterr_error)
{
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    int r = open_elf(file, &elf, reterr_error);
    if (r < 0) {
        return r;
    }
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = calloc(1, sizeof(*symbols));
    r = symbols ? find_debug_file(image, image_file_descriptor(file), elf, directories, symbols)
                : -ENOMEM;
    if (r == 0) {
        r = load_functions(image, elf, symbols);
    }
    if (r == 0 && elf_file_is_too_large(elf)) {
        take_note(symbols->note, "a section of the file is too large to be read");
    }
    if (r < 0) {
        error_set_errno(reterr_error, r, "loading symbols");
        return r;
    }
    symbols->layout = *elf_file_layout(elf);
    atomic_store(&symbols->origin, symbols->own_origin);
    *ret_symbols = TAKE_PTR(symbols);
    return 0;
}

int image_symbols_load_kernel(char *text, size_t n_bytes, struct image_symbols **ret_symbols,
                              struct error *reterr_error)
{
    _cleanup_(image_symbols_freep) struct image_symbols *symbols = calloc(1, sizeof(*symbols));
    if (!symbols) {
        error_set_errno(reterr_error, -ENOMEM, "loading kernel symbols");
        return -ENOMEM;
    }
    struct function_table *functions;
    int r = kallsyms_parse(text, n_bytes, &functions, reterr_error);
    if (r < 0) {
        return r;
    }
    atomic_store(&symbols->functions, functions);
    atomic_store(&symbols->origin, "kallsyms");
    *ret_symbols = TAKE_PTR(symbols);
    return 0;
}

void image_symbols_await(struct image_symbols *symbols)
{
    atomic_store(&symbols->is_awaiting, true);
}

void image_symbols_give_up(struct image_symbols *symbols, const char *why)
{
    const char *present = atomic_load(&symbols->await_note);
    char *next = symbols->await_notes[present == symbols->await_notes[0]];
    snprintf(next, IMAGE_SYMBOLS_NOTE_BYTES, "debuginfod: %.*s", IMAGE_SYMBOLS_NOTE_BYTES - 16,
             why);
    atomic_store(&symbols->await_note, next);
    atomic_store_explicit(&symbols->is_awaiting, false, memory_order_release);
}

/* A new table in front of the present one, which stays for those who are searching it. */
static int extend_functions(struct image_symbols *symbols, const struct image *image,
                            const struct debug_file *file)
{
    _cleanup_(function_table_freep) struct function_table *table = NULL;
    enum frame_kind kind = image->kind == IMAGE_KIND_VDSO ? FRAME_KIND_VDSO : FRAME_KIND_USER;
    size_t n_added = 0;
    int r = function_table_new(image->name, kind, &table);
    if (r == 0) {
        r = add_debug_file(file, table, &n_added);
    }
    if (r == 0) {
        r = function_table_sort(table);
    }
    if (r < 0 || n_added == 0) {
        return r;
    }
    write_origin(symbols->extended_origin, symbols->own_origin, describe_origin(file->origin));
    function_table_put_behind(table, atomic_load(&symbols->functions));
    atomic_store(&symbols->functions, TAKE_PTR(table));
    atomic_store(&symbols->origin, symbols->extended_origin);
    return 0;
}

/* A file that came late. */
static int adopt(struct image_symbols *symbols, const struct image *image,
                 struct debug_file *takes_file)
{
    int r = extend_functions(symbols, image, takes_file);
    atomic_store(&symbols->debug_file, takes_file);
    return r;
}

int image_symbols_extend(struct image_symbols *symbols, const struct image *image, int image_fd,
                         const char *path, const struct debug_directories *directories)
{
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    struct debug_file *file = NULL;
    struct error error = {.code = ""};
    int r = elf_file_open_descriptor(image_fd, &elf, &error);
    if (r == 0) {
        r = debug_files_accept(path, DEBUG_FILE_ORIGIN_DEBUGINFOD, image, elf, directories, &file,
                               &error);
    }
    if (r < 0 || !file) {
        image_symbols_give_up(symbols, error_is_set(&error) ? error.message : "nothing of use");
        return r < 0 ? r : -ENOENT;
    }
    r = adopt(symbols, image, file);
    if (r < 0) {
        image_symbols_give_up(symbols, "out of memory");
        return r;
    }
    atomic_store_explicit(&symbols->is_awaiting, false, memory_order_release);
    return 0;
}

int image_symbols_search_again(struct image_symbols *symbols, const struct image *image,
                               int image_fd, const struct debug_directories *directories,
                               uint64_t min_age_ns)
{
    if (!symbols->is_stripped || image_fd < 0 ||
        atomic_load_explicit(&symbols->is_awaiting, memory_order_acquire) ||
        atomic_load(&symbols->debug_file) || clock_now_ns() - symbols->searched_ns < min_age_ns) {
        return -EAGAIN;
    }
    symbols->searched_ns = clock_now_ns();
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    struct debug_file *file = NULL;
    int r = elf_file_open_descriptor(image_fd, &elf, NULL);
    if (r == 0) {
        r = debug_files_find(image, image_fd, elf, directories, &file, NULL);
    }
    if (r < 0 || !file) {
        return r == -ESTALE || r == 0 ? -ENOENT : r;
    }
    return adopt(symbols, image, file);
}

const char *image_symbols_note(const struct image_symbols *symbols)
{
    if (atomic_load_explicit(&symbols->is_awaiting, memory_order_acquire)) {
        return "a debuginfod server is asked for the rest";
    }
    const struct debug_lines *lines = atomic_load_explicit(&symbols->lines, memory_order_acquire);
    const char *lines_note = lines ? debug_lines_note(lines) : NULL;
    if (lines_note) {
        return lines_note;
    }
    const char *await_note = atomic_load(&symbols->await_note);
    const char *note = symbols->note;
    if (atomic_load(&symbols->debug_file) && symbols->is_stripped) {
        return ""; /* what was refused or missing has come since */
    }
    return note[0] == '\0' && await_note ? await_note : note;
}

struct image_symbols *image_symbols_free(struct image_symbols *symbols)
{
    if (symbols) {
        function_table_free(atomic_load(&symbols->functions));
        debug_lines_free(atomic_load(&symbols->lines));
        debug_file_free(atomic_load(&symbols->debug_file));
        free(symbols);
    }
    return NULL;
}

const struct symbol *image_symbols_find(struct image_symbols *symbols, uint64_t offset,
                                        uint64_t *ret_image_addr)
{
    uint64_t image_addr = offset;
    bool has_address =
        symbols->layout.n_segments == 0 || elf_layout_find(&symbols->layout, offset, &image_addr);
    *ret_image_addr = image_addr;
    if (!has_address) {
        return NULL;
    }
    /* Asked before the table is: a wider one may take its place meanwhile, never a narrower. */
    bool is_awaiting = atomic_load_explicit(&symbols->is_awaiting, memory_order_acquire);
    struct function_table *functions =
        atomic_load_explicit(&symbols->functions, memory_order_acquire);
    return is_awaiting ? function_table_find_sized(functions, image_addr)
                       : function_table_find(functions, image_addr);
}
