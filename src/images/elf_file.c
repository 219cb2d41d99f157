/* SPDX-License-Identifier: MIT */
#include "images/elf_file.h"

#include <errno.h>
#include <gelf.h>
#include <pthread.h>
#include <sys/stat.h>

/* A section header is 64 bytes: more than this many is no file that a linker made. */
#define MAX_SECTIONS (1u << 20)
#define MAX_PROGRAM_HEADERS 4096u
#define MAX_NOTES_BYTES (64u * 1024)
#define PAGE_MASK UINT64_C(0xfff)

struct elf_file {
    Elf *elf;
    GElf_Ehdr header;
    uint64_t n_bytes;
    size_t n_sections;
    size_t section_names; /* number of the section that holds them */
    struct elf_layout layout;
    bool has_names;    /* of sections */
    bool is_too_large; /* what was asked for */
};

static void announce_version(void)
{
    elf_version(EV_CURRENT);
}

static void add_segment(struct elf_layout *layout, const GElf_Phdr *segment)
{
    if (layout->n_segments < ELF_LAYOUT_MAX_SEGMENTS) {
        layout->segments[layout->n_segments++] = (struct elf_segment){
            .file_offset = segment->p_offset,
            .n_bytes = segment->p_filesz,
            .image_addr = segment->p_vaddr,
        };
    }
}

static size_t count_program_headers(Elf *elf)
{
    size_t n_headers;
    if (elf_getphdrnum(elf, &n_headers) != 0) {
        return 0;
    }
    return n_headers < MAX_PROGRAM_HEADERS ? n_headers : MAX_PROGRAM_HEADERS;
}

/* Executable segments come first: code is what is asked for, and pages at a seam are in both. */
static void read_layout(struct elf_file *file)
{
    size_t n_headers = count_program_headers(file->elf);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n_headers; i++) {
            GElf_Phdr segment;
            if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_LOAD) {
                continue;
            }
            bool is_executable = (segment.p_flags & PF_X) != 0;
            if (is_executable == (pass == 0)) {
                add_segment(&file->layout, &segment);
            }
        }
        if (pass == 0) {
            file->layout.n_executable = file->layout.n_segments;
        }
    }
}

/* Asked before libelf is: it allocates what the file claims. */
static bool can_be_held(struct elf_file *file, uint64_t n_bytes)
{
    file->is_too_large |= n_bytes > ELF_SECTION_MAX_BYTES;
    return n_bytes <= ELF_SECTION_MAX_BYTES;
}

/* Without names where there would be too many of them. */
static bool has_section_names(struct elf_file *file)
{
    GElf_Shdr header;
    Elf_Scn *section = elf_getscn(file->elf, file->section_names);
    return section && gelf_getshdr(section, &header) && can_be_held(file, header.sh_size);
}

/* takes_elf may be NULL: libelf then has the reason. */
static int open_elf(Elf *takes_elf, uint64_t n_bytes, struct elf_file **ret_file,
                    struct error *reterr_error)
{
    if (!takes_elf) {
        error_set(reterr_error, "bad_image", "reading the ELF header: %s", elf_errmsg(-1));
        return -ENOEXEC;
    }
    _cleanup_(elf_file_freep) struct elf_file *file = calloc(1, sizeof(*file));
    if (!file) {
        elf_end(takes_elf);
        error_set_errno(reterr_error, -ENOMEM, "reading the ELF header");
        return -ENOMEM;
    }
    file->elf = takes_elf;
    file->n_bytes = n_bytes;
    if (elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &file->header)) {
        error_set(reterr_error, "bad_image", "not an ELF file");
        return -ENOEXEC;
    }
    if (elf_getshdrnum(file->elf, &file->n_sections) != 0 || file->n_sections > MAX_SECTIONS ||
        elf_getshdrstrndx(file->elf, &file->section_names) != 0) {
        file->n_sections = 0;
    }
    file->has_names = has_section_names(file);
    read_layout(file);
    *ret_file = TAKE_PTR(file);
    return 0;
}

static void announce_version_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, announce_version);
}

int elf_file_open_descriptor(int fd, struct elf_file **ret_file, struct error *reterr_error)
{
    announce_version_once();
    struct stat status;
    uint64_t n_bytes = fstat(fd, &status) == 0 && status.st_size > 0 ? (uint64_t)status.st_size : 0;
    return open_elf(elf_begin(fd, ELF_C_READ, NULL), n_bytes, ret_file, reterr_error);
}

int elf_file_open_memory(const void *data, size_t n_bytes, struct elf_file **ret_file,
                         struct error *reterr_error)
{
    announce_version_once();
    /* libelf takes char *, but reads only. */
    return open_elf(elf_memory((char *)(uintptr_t)data, n_bytes), n_bytes, ret_file, reterr_error);
}

struct elf_file *elf_file_free(struct elf_file *file)
{
    if (file) {
        elf_end(file->elf);
        free(file);
    }
    return NULL;
}

static bool find_in_segment(const struct elf_segment *segment, bool in_whole_pages,
                            uint64_t file_offset, uint64_t *ret_image_addr)
{
    uint64_t start = segment->file_offset, n_bytes = segment->n_bytes;
    if (in_whole_pages) {
        start &= ~PAGE_MASK;
        n_bytes = (n_bytes + (segment->file_offset - start) + PAGE_MASK) & ~PAGE_MASK;
        if (segment->n_bytes == 0 || n_bytes < segment->n_bytes) {
            return false;
        }
    }
    if (file_offset < start || file_offset - start >= n_bytes) {
        return false;
    }
    *ret_image_addr = segment->image_addr + (file_offset - segment->file_offset);
    return true;
}

/*
 * Mappings are whole pages: what shares a page with a segment is mapped with it.
 * Code goes before all else: a linker that keeps the file small lets the first
 * page of a mapping of code begin with the last bytes of another segment.
 */
bool elf_layout_find(const struct elf_layout *layout, uint64_t file_offset,
                     uint64_t *ret_image_addr)
{
    const size_t ends[] = {layout->n_executable, layout->n_segments};
    for (size_t part = 0, first = 0; part < 2; first = ends[part++]) {
        for (int in_whole_pages = 0; in_whole_pages < 2; in_whole_pages++) {
            for (size_t i = first; i < ends[part]; i++) {
                if (find_in_segment(&layout->segments[i], in_whole_pages != 0, file_offset,
                                    ret_image_addr)) {
                    return true;
                }
            }
        }
    }
    return false;
}

const struct elf_layout *elf_file_layout(const struct elf_file *file)
{
    return &file->layout;
}

uint16_t elf_file_machine(const struct elf_file *file)
{
    return file->header.e_machine;
}

bool elf_file_is_64_bit_little_endian(const struct elf_file *file)
{
    return file->header.e_ident[EI_CLASS] == ELFCLASS64 &&
           file->header.e_ident[EI_DATA] == ELFDATA2LSB;
}

bool elf_file_is_little_endian(const struct elf_file *file)
{
    return file->header.e_ident[EI_DATA] == ELFDATA2LSB;
}

uint64_t elf_file_n_bytes(const struct elf_file *file)
{
    return file->n_bytes;
}

static void skip_padding(struct bytes *notes, size_t n_bytes, size_t alignment)
{
    bytes_skip(notes, (alignment - n_bytes % alignment) % alignment);
}

static size_t find_build_id(struct bytes notes, size_t alignment,
                            uint8_t ret_build_id[LIMIT_BUILD_ID_BYTES])
{
    while (bytes_left(&notes) >= 12 && !bytes_has_failed(&notes)) {
        uint32_t name_bytes = bytes_take_u32(&notes);
        uint32_t id_bytes = bytes_take_u32(&notes);
        uint32_t type = bytes_take_u32(&notes);
        const uint8_t *name = bytes_take(&notes, name_bytes);
        skip_padding(&notes, name_bytes, 4);
        const uint8_t *id = bytes_take(&notes, id_bytes);
        if (id && name && type == NT_GNU_BUILD_ID && name_bytes == sizeof(ELF_NOTE_GNU) &&
            memcmp(name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && id_bytes > 0) {
            size_t kept_bytes = id_bytes < LIMIT_BUILD_ID_BYTES ? id_bytes : LIMIT_BUILD_ID_BYTES;
            memcpy(ret_build_id, id, kept_bytes);
            return kept_bytes;
        }
        skip_padding(&notes, id_bytes, alignment);
    }
    return 0;
}

/* What dwz shares has no segments, and in a debug file they can lead to where the notes were. */
static size_t find_build_id_in_sections(struct elf_file *file,
                                        uint8_t ret_build_id[LIMIT_BUILD_ID_BYTES])
{
    for (size_t i = 1; i < file->n_sections; i++) {
        struct elf_section section;
        struct bytes notes;
        if (elf_file_section(file, i, &section) && section.type == SHT_NOTE &&
            section.n_bytes <= MAX_NOTES_BYTES && elf_file_section_bytes(file, i, &notes)) {
            size_t n_bytes = find_build_id(notes, 4, ret_build_id);
            if (n_bytes > 0) {
                return n_bytes;
            }
        }
    }
    return 0;
}

size_t elf_file_build_id(struct elf_file *file, uint8_t ret_build_id[LIMIT_BUILD_ID_BYTES])
{
    if (file->header.e_ident[EI_DATA] != ELFDATA2LSB) {
        return 0;
    }
    size_t n_headers = count_program_headers(file->elf);
    for (size_t i = 0; i < n_headers; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_NOTE ||
            segment.p_filesz > MAX_NOTES_BYTES || segment.p_offset > INT64_MAX) {
            continue;
        }
        Elf_Data *data = elf_getdata_rawchunk(file->elf, (int64_t)segment.p_offset,
                                              segment.p_filesz, ELF_T_BYTE);
        if (data && data->d_buf) {
            size_t n_bytes = find_build_id(bytes_of(data->d_buf, data->d_size),
                                           segment.p_align == 8 ? 8 : 4, ret_build_id);
            if (n_bytes > 0) {
                return n_bytes;
            }
        }
    }
    return find_build_id_in_sections(file, ret_build_id);
}

size_t elf_file_n_sections(const struct elf_file *file)
{
    return file->n_sections;
}

bool elf_file_is_too_large(const struct elf_file *file)
{
    return file->is_too_large;
}

bool elf_file_section(struct elf_file *file, size_t index, struct elf_section *ret_section)
{
    GElf_Shdr header;
    Elf_Scn *section = index > 0 && index < file->n_sections ? elf_getscn(file->elf, index) : NULL;
    if (!section || !gelf_getshdr(section, &header)) {
        return false;
    }
    const char *name =
        file->has_names ? elf_strptr(file->elf, file->section_names, header.sh_name) : NULL;
    *ret_section = (struct elf_section){
        .index = index,
        .name = name ? name : "",
        .type = header.sh_type,
        .flags = header.sh_flags,
        .image_addr = header.sh_addr,
        .n_bytes = header.sh_size,
        .file_offset = header.sh_offset,
        .entry_bytes = header.sh_entsize,
        .link = header.sh_link,
        .info = header.sh_info,
    };
    return true;
}

bool elf_file_section_named(struct elf_file *file, const char *name,
                            struct elf_section *ret_section)
{
    for (size_t i = 1; i < file->n_sections; i++) {
        struct elf_section section;
        if (elf_file_section(file, i, &section) && strcmp(section.name, name) == 0) {
            *ret_section = section;
            return true;
        }
    }
    return false;
}

bool elf_file_section_bytes(struct elf_file *file, size_t index, struct bytes *ret_bytes)
{
    struct elf_section section;
    if (!elf_file_section(file, index, &section) || section.type == SHT_NOBITS ||
        (section.flags & SHF_COMPRESSED) != 0 || !can_be_held(file, section.n_bytes)) {
        return false;
    }
    const Elf_Data *data = elf_rawdata(elf_getscn(file->elf, index), NULL);
    if (!data || !data->d_buf) {
        return false;
    }
    *ret_bytes = bytes_of(data->d_buf, data->d_size);
    return true;
}

bool elf_file_section_inflated(struct elf_file *file, size_t index, size_t max_bytes,
                               struct bytes *ret_bytes)
{
    struct elf_section section;
    if (!elf_file_section(file, index, &section)) {
        return false;
    }
    if ((section.flags & SHF_COMPRESSED) != 0) {
        Elf_Scn *handle = elf_getscn(file->elf, index);
        GElf_Chdr compression;
        if (!can_be_held(file, section.n_bytes) || !gelf_getchdr(handle, &compression) ||
            compression.ch_size > max_bytes || elf_compress(handle, 0, 0) < 0) {
            return false;
        }
        /* Now the section is what libelf made of it, not what the file holds. */
        const Elf_Data *data = elf_getdata(handle, NULL);
        if (!data || !data->d_buf || data->d_size > max_bytes) {
            return false;
        }
        *ret_bytes = bytes_of(data->d_buf, data->d_size);
        return true;
    }
    return section.n_bytes <= max_bytes && elf_file_section_bytes(file, index, ret_bytes);
}

bool elf_file_segment_of_type(struct elf_file *file, uint32_t type, struct elf_segment *ret_segment)
{
    size_t n_headers = count_program_headers(file->elf);
    for (size_t i = 0; i < n_headers; i++) {
        GElf_Phdr segment;
        if (gelf_getphdr(file->elf, (int)i, &segment) && segment.p_type == type) {
            *ret_segment = (struct elf_segment){
                .file_offset = segment.p_offset,
                .n_bytes = segment.p_filesz,
                .image_addr = segment.p_vaddr,
            };
            return true;
        }
    }
    return false;
}

bool elf_file_loaded_bytes(struct elf_file *file, uint64_t image_addr, size_t max_bytes,
                           struct bytes *ret_bytes)
{
    for (size_t i = 0; i < file->layout.n_segments; i++) {
        const struct elf_segment *segment = &file->layout.segments[i];
        uint64_t offset = image_addr - segment->image_addr;
        if (image_addr < segment->image_addr || offset >= segment->n_bytes ||
            segment->file_offset >= file->n_bytes ||
            offset >= file->n_bytes - segment->file_offset) {
            continue;
        }
        uint64_t file_offset = segment->file_offset + offset;
        uint64_t n_bytes = segment->n_bytes - offset;
        if (n_bytes > file->n_bytes - file_offset) {
            n_bytes = file->n_bytes - file_offset;
        }
        if (n_bytes > max_bytes) {
            n_bytes = max_bytes;
        }
        Elf_Data *data = elf_getdata_rawchunk(file->elf, (int64_t)file_offset, n_bytes, ELF_T_BYTE);
        if (!data || !data->d_buf) {
            return false;
        }
        *ret_bytes = bytes_of(data->d_buf, data->d_size);
        return true;
    }
    return false;
}

/* The section with the section numbers that do not fit into 16 bits, or NULL. */
static Elf_Data *find_wide_indexes(struct elf_file *file, size_t symbols_index)
{
    for (size_t i = 1; i < file->n_sections; i++) {
        struct elf_section section;
        if (elf_file_section(file, i, &section) && section.type == SHT_SYMTAB_SHNDX &&
            section.link == symbols_index && can_be_held(file, section.n_bytes)) {
            return elf_getdata(elf_getscn(file->elf, i), NULL);
        }
    }
    return NULL;
}

bool elf_file_symbols(struct elf_file *file, size_t index, struct elf_symbol_cursor *ret_cursor)
{
    struct elf_section section;
    if (!elf_file_section(file, index, &section) ||
        (section.type != SHT_SYMTAB && section.type != SHT_DYNSYM) ||
        !can_be_held(file, section.n_bytes)) {
        return false;
    }
    Elf_Data *data = elf_getdata(elf_getscn(file->elf, index), NULL);
    size_t symbol_bytes = gelf_fsize(file->elf, ELF_T_SYM, 1, EV_CURRENT);
    if (!data || !data->d_buf || data->d_type != ELF_T_SYM || symbol_bytes == 0) {
        return false;
    }
    *ret_cursor = (struct elf_symbol_cursor){
        .symbols = data,
        .wide_indexes = find_wide_indexes(file, index),
        .at = 1, /* symbol 0 is reserved */
        .n_symbols = data->d_size / symbol_bytes,
    };
    return true;
}

bool elf_symbol_next(struct elf_symbol_cursor *cursor, struct elf_symbol *ret_symbol)
{
    if (cursor->at >= cursor->n_symbols || cursor->at > INT32_MAX) {
        return false;
    }
    GElf_Sym symbol;
    Elf32_Word wide_index = 0;
    if (!gelf_getsymshndx(cursor->symbols, cursor->wide_indexes, (int)cursor->at, &symbol,
                          &wide_index)) {
        return false;
    }
    cursor->at++;
    size_t section = symbol.st_shndx;
    if (section == SHN_XINDEX) {
        section = wide_index;
    } else if (section >= SHN_LORESERVE) {
        section = 0;
    }
    *ret_symbol = (struct elf_symbol){
        .name_offset = symbol.st_name,
        .type = GELF_ST_TYPE(symbol.st_info),
        .binding = GELF_ST_BIND(symbol.st_info),
        .section = section,
        .image_addr = symbol.st_value,
        .n_bytes = symbol.st_size,
    };
    return true;
}
