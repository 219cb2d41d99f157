/* SPDX-License-Identifier: MIT */
#include "jit/jit_body.h"

#include <elf.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* V8 adds the size of the ELF header that a converter of its dumps once put before the code. */
#define V8_ADDED_BYTES 0x40u
#define ENTRY_BYTES 16u /* of a line, before the name of its file */

static struct cfi_table *build_table(const struct jit_load *load)
{
    struct cfi_table *table = NULL;
    if (bytes_left(&load->eh_frame) == 0 ||
        (load->elf_machine != EM_X86_64 && load->elf_machine != EM_AARCH64)) {
        return NULL;
    }
    enum cfi_machine machine =
        load->elf_machine == EM_X86_64 ? CFI_MACHINE_X86_64 : CFI_MACHINE_AARCH64;
    /*
     * Addresses in the records are relative to themselves, as if they stood
     * behind the code at the next multiple of 8.
     */
    uint64_t section_addr = load->start_ip + ((load->n_bytes + 7) & ~UINT64_C(7));
    /* A size that no bytes stand for can be any: the table's memory grows with it. */
    bool is_bare = load->fd < 0 && load->n_bytes > JIT_BODY_MAX_BARE_BYTES;
    const struct cfi_code_range code = {
        .start_addr = load->start_ip,
        .end_addr = load->start_ip + (is_bare ? JIT_BODY_MAX_BARE_BYTES : load->n_bytes),
    };
    if (cfi_table_build_eh_frame(machine, load->eh_frame, section_addr, &code, &table, NULL) < 0) {
        return NULL;
    }
    return table;
}

/* Where the lines of one function are read from. */
struct line_reader {
    struct bytes entries;
    size_t n_name_bytes; /* of each entry, its NUL included; 0: as the NULs are */
    const char *file;    /* of all, where n_name_bytes is set */
};

/* "JS:*hot /srv/hot.js:3:1": the file, or NULL. */
static const char *file_in_name(const char *name, size_t n_bytes, size_t *ret_n_bytes)
{
    const char *space = memchr(name, ' ', n_bytes);
    const char *end = name + n_bytes;
    for (int n_numbers = 0; space && n_numbers < 2; n_numbers++) {
        const char *at = end;
        while (at > space && at[-1] >= '0' && at[-1] <= '9') {
            at--;
        }
        if (at == end || at <= space + 1 || at[-1] != ':') {
            return NULL;
        }
        end = at - 1;
    }
    if (!space || end <= space + 1) {
        return NULL;
    }
    *ret_n_bytes = (size_t)(end - space) - 1;
    return space + 1;
}

/*
 * V8 11 writes names of files from memory that it has freed, in their right
 * length: NULs can be anywhere. The function's own name says the file, and the
 * size of the record whether this is such a one. It ends at a multiple of 8.
 */
static struct line_reader open_lines(struct arena *arena, const struct jit_load *load)
{
    struct line_reader reader = {.entries = load->debug_entries};
    size_t n_file_bytes;
    const char *file = file_in_name(load->name, load->n_name_bytes, &n_file_bytes);
    size_t n_bytes = bytes_left(&load->debug_entries);
    if (!file || load->n_debug_entries == 0 || load->n_debug_entries > n_bytes) {
        return reader;
    }
    size_t n_expected = (size_t)load->n_debug_entries * (ENTRY_BYTES + n_file_bytes + 1);
    if (n_bytes < n_expected || n_bytes >= n_expected + 8) {
        return reader;
    }
    reader.file = arena_strndup(arena, file, n_file_bytes);
    reader.n_name_bytes = reader.file ? n_file_bytes + 1 : 0;
    reader.entries = bytes_of(load->debug_entries.at, n_expected);
    return reader;
}

static bool next_line(struct line_reader *reader, struct jitdump_line *ret_line)
{
    if (reader->n_name_bytes == 0) {
        return jitdump_next_line(&reader->entries, ret_line) == 1;
    }
    if (bytes_left(&reader->entries) == 0) {
        return false;
    }
    ret_line->code_addr = bytes_take_u64(&reader->entries);
    ret_line->line = bytes_take_u32(&reader->entries);
    ret_line->discriminator = bytes_take_u32(&reader->entries);
    ret_line->file = reader->file;
    bytes_skip(&reader->entries, reader->n_name_bytes);
    return !bytes_has_failed(&reader->entries);
}

/* How many lines there are, and whether their addresses are shifted as V8 does. */
static size_t count_lines(struct line_reader reader, const struct jit_load *load,
                          uint64_t *ret_shift_bytes)
{
    struct jitdump_line line;
    uint64_t lowest = UINT64_MAX, highest = 0;
    size_t n_lines = 0;
    while (n_lines < JIT_BODY_MAX_LINES && next_line(&reader, &line)) {
        lowest = line.code_addr < lowest ? line.code_addr : lowest;
        highest = line.code_addr > highest ? line.code_addr : highest;
        n_lines++;
    }
    /* A name with a place in a file is V8's; of others only what lies outside gives it away. */
    bool may_be_shifted = reader.file || highest >= load->start_ip + load->n_bytes;
    bool is_shifted = n_lines > 0 && may_be_shifted && lowest >= load->start_ip + V8_ADDED_BYTES;
    *ret_shift_bytes = is_shifted ? V8_ADDED_BYTES : 0;
    return n_lines;
}

static bool is_file_name(const char *file)
{
    for (const char *at = file; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            return false;
        }
    }
    return file[0] != '\0';
}

static int compare_lines(const void *one, const void *other)
{
    const struct jit_body_line *a = one;
    const struct jit_body_line *b = other;
    return a->code_offset < b->code_offset ? -1 : a->code_offset > b->code_offset;
}

static int fill_lines(struct arena *arena, const struct jit_load *load, struct jit_body *body)
{
    uint64_t shift_bytes;
    struct line_reader reader = open_lines(arena, load);
    size_t n_lines = count_lines(reader, load, &shift_bytes);
    if (n_lines == 0) {
        return 0;
    }
    body->lines = arena_alloc_array(arena, n_lines, sizeof(*body->lines));
    if (!body->lines) {
        return -ENOMEM;
    }
    struct jitdump_line line;
    const char *file = NULL;
    bool is_sorted = true;
    while (body->n_lines < n_lines && next_line(&reader, &line)) {
        if (line.file && !is_file_name(line.file)) {
            file = NULL;
        } else if (line.file && (!file || strcmp(file, line.file) != 0)) {
            file = line.file == reader.file
                       ? line.file
                       : arena_strndup(arena, line.file, JIT_CODE_MAX_NAME_BYTES);
        }
        uint64_t offset = line.code_addr - shift_bytes - load->start_ip;
        if (!file || offset >= load->n_bytes) {
            n_lines--;
            continue;
        }
        body->lines[body->n_lines] = (struct jit_body_line){
            .code_offset = (uint32_t)offset, .line = line.line, .file = file};
        is_sorted = is_sorted &&
                    (body->n_lines == 0 || body->lines[body->n_lines - 1].code_offset <= offset);
        body->n_lines++;
    }
    if (!is_sorted) {
        qsort(body->lines, body->n_lines, sizeof(*body->lines), compare_lines);
    }
    return 0;
}

struct jit_body *jit_body_new(struct arena *arena, const struct jit_load *load)
{
    struct jit_body *body = arena_alloc(arena, sizeof(*body));
    if (!body) {
        return NULL;
    }
    body->start_ip = load->start_ip;
    body->n_bytes = load->n_bytes;
    body->fd = load->fd;
    body->code_offset = load->code_offset;
    if (fill_lines(arena, load, body) < 0) {
        return NULL;
    }
    body->table = build_table(load);
    return body;
}

bool jit_body_keeps_frame_pointer(const struct jit_body *body)
{
    if (!body->table) {
        return true;
    }
    struct cfi_row row = cfi_table_find(body->table, body->start_ip + body->n_bytes / 2);
    uint8_t kind = row.kind & CFI_KIND_MASK;
    return kind == CFI_FP || kind == CFI_NONE;
}

void jit_bodies_release(struct jit_body *first)
{
    for (struct jit_body *body = first; body; body = body->next) {
        body->table = cfi_table_free(body->table);
    }
}

ssize_t jit_code_read(const struct jit_place *place, void *buffer, size_t n_bytes)
{
    const struct jit_body *body = place->body;
    int fd = body ? atomic_load_explicit(&body->fd, memory_order_relaxed) : -1;
    if (fd < 0) {
        return -ENODATA;
    }
    n_bytes = n_bytes < body->n_bytes ? n_bytes : (size_t)body->n_bytes;
    ssize_t n_read = pread(fd, buffer, n_bytes, (off_t)body->code_offset);
    return n_read < 0 ? -errno : n_read;
}

bool jit_code_line(const struct jit_place *place, uint64_t ip, const char **ret_file,
                   uint32_t *ret_line)
{
    const struct jit_body *body = place->body;
    if (!body || body->n_lines == 0 || ip < place->start_ip || ip >= place->end_ip) {
        return false;
    }
    uint64_t offset = ip - place->start_ip;
    size_t low = 0, high = body->n_lines; /* the last line that begins at or before the offset */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (body->lines[middle].code_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    *ret_file = body->lines[low - 1].file;
    *ret_line = body->lines[low - 1].line;
    return true;
}

/* "JS:~ file.js:1:1": a tier mark with no name behind it. */
static size_t nameless_at(const char *text, size_t n_bytes)
{
    const char *colon = memchr(text, ':', n_bytes);
    if (!colon) {
        return 0;
    }
    size_t at = (size_t)(colon - text) + 1;
    if (at < n_bytes && strchr("*~^+", text[at])) {
        at++;
    }
    return at < n_bytes && text[at] == ' ' ? at : 0;
}

size_t jit_name_clean(const char *name, size_t n_name_bytes, char *ret_text, size_t n_bytes)
{
    static const char anonymous[] = "(anonymous)";
    size_t n = 0;
    size_t hole = nameless_at(name, n_name_bytes);
    for (size_t i = 0; i < n_name_bytes && n + sizeof(anonymous) < n_bytes; i++) {
        unsigned char letter = (unsigned char)name[i];
        if (hole > 0 && i == hole) {
            memcpy(ret_text + n, anonymous, sizeof(anonymous) - 1);
            n += sizeof(anonymous) - 1;
        }
        bool is_control = letter < 0x20 || letter == 0x7f;
        ret_text[n] = name[i];
        if (is_control) {
            ret_text[n] = '?';
        }
        n++;
    }
    while (n > 0 && ret_text[n - 1] == ' ') {
        n--;
    }
    if (n == 0) {
        memcpy(ret_text, anonymous, sizeof(anonymous) - 1);
        n = sizeof(anonymous) - 1;
    }
    ret_text[n] = '\0';
    return n;
}
