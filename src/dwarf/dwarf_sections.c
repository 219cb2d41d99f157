/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_sections.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "dwarf/dwarf_packed.h"
#include "images/elf_file.h"

#define PIECE_BYTES (UINT64_C(16) << 20) /* read at once, without a look at the deadline */
#define COUNTED_WINDOW_BYTES (UINT64_C(1) << 20)
#define STRINGS_BEFORE_WHOLE 8192u
#define MAX_WHOLE_STRINGS_BYTES (UINT64_C(512) << 20)

static const char *const base_names[DWARF_SECTION_N] = {
    [DWARF_INFO] = "info",
    [DWARF_ABBREV] = "abbrev",
    [DWARF_LINE] = "line",
    [DWARF_STR] = "str",
    [DWARF_LINE_STR] = "line_str",
    [DWARF_ADDR] = "addr",
    [DWARF_STR_OFFSETS] = "str_offsets",
    [DWARF_RANGES] = "ranges",
    [DWARF_RNGLISTS] = "rnglists",
    [DWARF_CU_INDEX] = "cu_index",
};

struct section {
    uint64_t file_offset;
    uint64_t n_bytes; /* when it is not packed any more */
    struct dwarf_packed packed;
    uint8_t *whole;   /* n_bytes of them, or NULL */
    size_t n_strings; /* that were read from it since it was dropped */
};

struct code_range {
    uint64_t start_addr, end_addr;
};

struct dwarf_sections {
    int fd;
    bool is_split;
    const atomic_bool *is_cancelled;
    uint64_t deadline_ns; /* 0: none */
    struct dwarf_budget *budget;
    struct section sections[DWARF_SECTION_N];
    size_t n_code_ranges;
    struct code_range code_ranges[DWARF_CODE_RANGES_MAX];
};

void dwarf_window_release(struct dwarf_window *window)
{
    if (window->budget) {
        dwarf_budget_free(window->budget, window->owned, window->n_bytes);
    } else {
        free(window->owned);
    }
    *window = (struct dwarf_window){0};
}

/* DWARF_SECTION_N where the name is of no use here. */
static enum dwarf_section classify(const char *name, bool *ret_is_split, bool *ret_is_gnu)
{
    static const char plain[] = ".debug_";
    static const char gnu[] = ".zdebug_";
    *ret_is_gnu = strncmp(name, gnu, sizeof(gnu) - 1) == 0;
    if (!*ret_is_gnu && strncmp(name, plain, sizeof(plain) - 1) != 0) {
        return DWARF_SECTION_N;
    }
    const char *rest = name + (*ret_is_gnu ? sizeof(gnu) : sizeof(plain)) - 1;
    for (int i = 0; i < DWARF_SECTION_N; i++) {
        size_t n_bytes = strlen(base_names[i]);
        if (strncmp(rest, base_names[i], n_bytes) != 0) {
            continue;
        }
        *ret_is_split = strcmp(rest + n_bytes, ".dwo") == 0;
        if (rest[n_bytes] == '\0' || *ret_is_split) {
            return (enum dwarf_section)i;
        }
    }
    return DWARF_SECTION_N;
}

static void add_section(struct dwarf_sections *sections, struct elf_file *elf,
                        const struct elf_section *found, uint64_t file_bytes)
{
    bool is_gnu = false;
    bool is_split = false;
    enum dwarf_section which = classify(found->name, &is_split, &is_gnu);
    if (which == DWARF_SECTION_N || found->type == SHT_NOBITS || found->n_bytes == 0 ||
        found->file_offset >= file_bytes || (sections->is_split && !is_split)) {
        return;
    }
    if (is_split && !sections->is_split) { /* an object file can have both kinds: the .dwo it is */
        sections->is_split = true;
        memset(sections->sections, 0, sizeof(sections->sections));
    }
    struct section *section = &sections->sections[which];
    if (section->n_bytes > 0) {
        return;
    }
    uint64_t room = file_bytes - found->file_offset;
    uint64_t n_file_bytes = found->n_bytes < room ? found->n_bytes : room;
    *section = (struct section){.file_offset = found->file_offset, .n_bytes = n_file_bytes};
    if (is_gnu || (found->flags & SHF_COMPRESSED) != 0) {
        enum dwarf_packed_header header =
            elf_file_is_64_bit_little_endian(elf) ? DWARF_PACKED_HEADER_64 : DWARF_PACKED_HEADER_32;
        dwarf_packed_describe(sections->fd, found->file_offset, n_file_bytes,
                              is_gnu ? DWARF_PACKED_HEADER_GNU : header, &section->packed);
        section->n_bytes = section->packed.n_bytes;
    }
}

static void add_code_range(struct dwarf_sections *sections, const struct elf_section *found)
{
    bool is_code = (found->flags & SHF_ALLOC) != 0 && (found->flags & SHF_EXECINSTR) != 0;
    if (is_code && found->n_bytes > 0 && found->n_bytes <= UINT64_MAX - found->image_addr &&
        sections->n_code_ranges < DWARF_CODE_RANGES_MAX) {
        sections->code_ranges[sections->n_code_ranges++] = (struct code_range){
            .start_addr = found->image_addr,
            .end_addr = found->image_addr + found->n_bytes,
        };
    }
}

/* A plain .debug_cu_index is that of a .dwp: its other sections end in ".dwo". */
static void add_sections(struct dwarf_sections *sections, struct elf_file *elf, uint64_t file_bytes)
{
    struct elf_section index = {0};
    for (size_t i = 1; i < elf_file_n_sections(elf); i++) {
        struct elf_section found;
        if (!elf_file_section(elf, i, &found)) {
            continue;
        }
        add_code_range(sections, &found);
        if (strcmp(found.name, ".debug_cu_index") == 0) {
            index = found;
        } else {
            add_section(sections, elf, &found, file_bytes);
        }
    }
    if (index.index > 0 && sections->is_split && index.type != SHT_NOBITS &&
        index.file_offset < file_bytes && (index.flags & SHF_COMPRESSED) == 0) {
        uint64_t room = file_bytes - index.file_offset;
        sections->sections[DWARF_CU_INDEX] = (struct section){
            .file_offset = index.file_offset,
            .n_bytes = index.n_bytes < room ? index.n_bytes : room,
        };
    }
}

int dwarf_sections_open(int takes_fd, const atomic_bool *is_cancelled,
                        struct dwarf_sections **ret_sections)
{
    struct stat status;
    if (fstat(takes_fd, &status) < 0) {
        return -errno;
    }
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    int r = elf_file_open_descriptor(takes_fd, &elf, NULL);
    if (r < 0) {
        return r;
    }
    if (!elf_file_is_little_endian(elf)) {
        return -ENOEXEC;
    }
    _cleanup_(dwarf_sections_freep) struct dwarf_sections *sections = calloc(1, sizeof(*sections));
    if (!sections) {
        return -ENOMEM;
    }
    sections->fd = takes_fd;
    sections->is_cancelled = is_cancelled;
    sections->budget = dwarf_budget_of_process();
    add_sections(sections, elf, (uint64_t)status.st_size);
    if (sections->sections[DWARF_INFO].n_bytes == 0 &&
        sections->sections[DWARF_LINE].n_bytes == 0) {
        sections->fd = -1; /* stays the caller's */
        return -ENOENT;
    }
    *ret_sections = TAKE_PTR(sections);
    return 0;
}

struct dwarf_sections *dwarf_sections_free(struct dwarf_sections *sections)
{
    if (sections) {
        dwarf_sections_drop(sections);
        fd_close(sections->fd);
        free(sections);
    }
    return NULL;
}

bool dwarf_sections_are_split(const struct dwarf_sections *sections)
{
    return sections->is_split;
}

void dwarf_sections_set_budget(struct dwarf_sections *sections, struct dwarf_budget *budget)
{
    sections->budget = budget;
}

void dwarf_sections_inherit(struct dwarf_sections *sections, const struct dwarf_sections *of)
{
    sections->is_cancelled = of->is_cancelled;
    sections->deadline_ns = of->deadline_ns;
    sections->budget = of->budget;
}

void dwarf_sections_set_deadline(struct dwarf_sections *sections, uint64_t deadline_ns)
{
    sections->deadline_ns = deadline_ns;
}

bool dwarf_sections_is_cancelled(const struct dwarf_sections *sections)
{
    if (sections->deadline_ns != 0 && clock_now_ns() >= sections->deadline_ns) {
        return true;
    }
    return sections->is_cancelled &&
           atomic_load_explicit(sections->is_cancelled, memory_order_relaxed);
}

uint64_t dwarf_sections_n_bytes(const struct dwarf_sections *sections, enum dwarf_section which)
{
    return sections->sections[which].n_bytes;
}

static bool is_cancelled(const void *userdata)
{
    return dwarf_sections_is_cancelled(userdata);
}

static bool is_packed(const struct section *section)
{
    return section->packed.packing != DWARF_PACKING_NONE;
}

static int read_pieces(const struct dwarf_sections *sections, uint64_t file_offset,
                       uint64_t n_bytes, uint8_t *data)
{
    int r = 0;
    for (uint64_t at = 0; at < n_bytes && r == 0; at += PIECE_BYTES) {
        uint64_t piece_bytes = n_bytes - at < PIECE_BYTES ? n_bytes - at : PIECE_BYTES;
        r = n_bytes > PIECE_BYTES && dwarf_sections_is_cancelled(sections)
                ? -ECANCELED
                : dwarf_packed_read_at(sections->fd, file_offset + at, data + at, piece_bytes);
    }
    return r;
}

/* Memory for it from the budget, filled from the file. */
static int read_counted(const struct dwarf_sections *sections, uint64_t file_offset,
                        uint64_t n_bytes, uint8_t **ret_data)
{
    uint8_t *data = NULL;
    int r = dwarf_budget_resize(sections->budget, 0, n_bytes, &data);
    if (r < 0) {
        return r;
    }
    r = read_pieces(sections, file_offset, n_bytes, data);
    if (r < 0) {
        dwarf_budget_free(sections->budget, data, n_bytes);
        return r;
    }
    *ret_data = data;
    return 0;
}

static int load_whole(const struct dwarf_sections *sections, struct section *section)
{
    if (section->n_bytes == 0) {
        return -ENOENT;
    }
    if (section->whole) {
        return 0;
    }
    int r = is_packed(section)
                ? dwarf_packed_unpack(sections->fd, &section->packed, is_cancelled, sections,
                                      sections->budget, &section->whole)
                : read_counted(sections, section->file_offset, section->n_bytes, &section->whole);
    if (r == -EIO) {
        section->n_bytes = 0; /* not tried again */
    }
    return r;
}

int dwarf_sections_whole(struct dwarf_sections *sections, enum dwarf_section which,
                         struct bytes *ret_bytes)
{
    struct section *section = &sections->sections[which];
    int r = load_whole(sections, section);
    if (r < 0) {
        return r;
    }
    *ret_bytes = bytes_of(section->whole, section->n_bytes);
    return 0;
}

int dwarf_sections_read(struct dwarf_sections *sections, enum dwarf_section which, uint64_t offset,
                        uint64_t n_bytes, struct dwarf_window *ret_window)
{
    struct section *section = &sections->sections[which];
    if (offset >= section->n_bytes || n_bytes == 0) {
        return -ENOENT;
    }
    uint64_t left = section->n_bytes - offset;
    n_bytes = n_bytes < left ? n_bytes : left;
    int r = is_packed(section) ? load_whole(sections, section) : 0;
    if (r < 0) {
        return r;
    }
    if (section->whole) {
        *ret_window = (struct dwarf_window){.at = section->whole + offset, .n_bytes = n_bytes};
        return 0;
    }
    if (n_bytes >= COUNTED_WINDOW_BYTES) {
        uint8_t *counted = NULL;
        r = read_counted(sections, section->file_offset + offset, n_bytes, &counted);
        if (r == 0) {
            *ret_window = (struct dwarf_window){
                .at = counted, .n_bytes = n_bytes, .owned = counted, .budget = sections->budget};
        }
        return r;
    }
    uint8_t *data = malloc(n_bytes);
    if (!data) {
        return -ENOMEM;
    }
    r = dwarf_packed_read_at(sections->fd, section->file_offset + offset, data, n_bytes);
    if (r < 0) {
        free(data);
        return r;
    }
    *ret_window = (struct dwarf_window){.at = data, .n_bytes = n_bytes, .owned = data};
    return 0;
}

void dwarf_sections_count_string(struct dwarf_sections *sections, enum dwarf_section which)
{
    struct section *section = &sections->sections[which];
    if (++section->n_strings == STRINGS_BEFORE_WHOLE &&
        section->n_bytes <= MAX_WHOLE_STRINGS_BYTES) {
        (void)load_whole(sections, section);
    }
}

void dwarf_sections_drop(struct dwarf_sections *sections)
{
    for (int i = 0; i < DWARF_SECTION_N; i++) {
        struct section *section = &sections->sections[i];
        dwarf_budget_free(sections->budget, section->whole, section->n_bytes);
        section->whole = NULL;
        section->n_strings = 0;
    }
}

size_t dwarf_sections_memory_bytes(const struct dwarf_sections *sections)
{
    size_t n_bytes = 0;
    for (int i = 0; i < DWARF_SECTION_N; i++) {
        n_bytes += sections->sections[i].whole ? sections->sections[i].n_bytes : 0;
    }
    return n_bytes;
}

bool dwarf_sections_has_code_at(const struct dwarf_sections *sections, uint64_t image_addr)
{
    for (size_t i = 0; i < sections->n_code_ranges; i++) {
        const struct code_range *range = &sections->code_ranges[i];
        if (image_addr >= range->start_addr && image_addr < range->end_addr) {
            return true;
        }
    }
    return sections->n_code_ranges == 0 && image_addr > 1 && image_addr < UINT64_MAX - 1;
}
