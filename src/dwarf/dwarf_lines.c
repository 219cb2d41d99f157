/* SPDX-License-Identifier: MIT */
#include "dwarf/dwarf_lines.h"

#include <errno.h>

#include "dwarf/dwarf_abi.h"

#define DWARF_64_MARK 0xffffffffu
#define LENGTH_BYTES 12u /* of the longer form of a length */
#define MAX_ENTRY_FORMATS 32u
#define CANCEL_STEP_ROWS 65536u

void dwarf_line_program_release(struct dwarf_line_program *program)
{
    dwarf_window_release(&program->window);
    free(program->directories.entries);
    free(program->files.entries);
    *program = (struct dwarf_line_program){0};
}

void dwarf_line_rows_release(struct dwarf_line_rows *rows)
{
    free(rows->rows);
    *rows = (struct dwarf_line_rows){0};
}

/* Lines of a split unit stay with its skeleton. */
static struct dwarf_sections *line_sections(const struct dwarf_sources *sources)
{
    return sources->skeleton ? sources->skeleton : sources->sections;
}

/* Header ------------------------------------------------------------------------------------- */

static int add_name(struct dwarf_line_names *names, const struct dwarf_line_entry *entry)
{
    if (names->n_entries == names->capacity) {
        if (names->n_entries >= DWARF_LINE_FILES_MAX) {
            return -E2BIG;
        }
        size_t capacity = names->capacity ? names->capacity * 2 : 32;
        struct dwarf_line_entry *grown = reallocarray(names->entries, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        names->entries = grown;
        names->capacity = capacity;
    }
    names->entries[names->n_entries++] = *entry;
    return 0;
}

/* One table of a header before DWARF 5: strings up to an empty one. */
static int read_old_names(struct bytes *bytes, const uint8_t *start, uint64_t start_offset,
                          bool has_numbers, struct dwarf_line_names *names)
{
    for (;;) {
        struct dwarf_line_entry entry = {
            .name = {DWARF_VALUE_STRING_HERE, start_offset + (uint64_t)(bytes->at - start)},
        };
        const char *name = bytes_take_string(bytes);
        if (!name) {
            return -EBADMSG;
        }
        if (name[0] == '\0') {
            return 0;
        }
        if (has_numbers) {
            entry.directory = bytes_take_uleb128(bytes);
            (void)bytes_take_uleb128(bytes); /* time */
            (void)bytes_take_uleb128(bytes); /* size */
        }
        int r = add_name(names, &entry);
        if (r < 0) {
            return r;
        }
    }
}

/* One table of a header of DWARF 5, which says first how its entries are written. */
static int read_new_names(struct bytes *bytes, const struct dwarf_encoding *encoding,
                          const uint8_t *start, uint64_t start_offset,
                          struct dwarf_line_names *names)
{
    struct dwarf_attribute formats[MAX_ENTRY_FORMATS];
    uint8_t n_formats = bytes_take_u8(bytes);
    if (n_formats > MAX_ENTRY_FORMATS) {
        return -EBADMSG;
    }
    for (uint8_t i = 0; i < n_formats; i++) {
        uint64_t content = bytes_take_uleb128(bytes);
        uint64_t form = bytes_take_uleb128(bytes);
        formats[i] = (struct dwarf_attribute){
            .name = content < UINT16_MAX ? (uint16_t)content : UINT16_MAX,
            .form = form < UINT16_MAX ? (uint16_t)form : UINT16_MAX,
        };
    }
    uint64_t n_names = bytes_take_uleb128(bytes);
    if (n_formats == 0 && n_names > 0) {
        return -EBADMSG;
    }
    for (uint64_t i = 0; i < n_names; i++) {
        struct dwarf_line_entry entry = {0};
        for (uint8_t format = 0; format < n_formats; format++) {
            uint64_t offset = start_offset + (uint64_t)(bytes->at - start);
            struct dwarf_value value = dwarf_value_take(bytes, encoding, &formats[format], offset);
            if (formats[format].name == DW_LNCT_path) {
                entry.name = value;
            } else if (formats[format].name == DW_LNCT_directory_index) {
                entry.directory = value.number;
            }
        }
        int r = bytes_has_failed(bytes) ? -EBADMSG : add_name(names, &entry);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int read_names(struct bytes *bytes, uint64_t window_offset,
                      struct dwarf_line_program *program)
{
    const uint8_t *start = program->window.at;
    bool is_old = program->encoding.version < 5;
    int r = is_old ? read_old_names(bytes, start, window_offset, false, &program->directories)
                   : read_new_names(bytes, &program->encoding, start, window_offset,
                                    &program->directories);
    if (r < 0) {
        return r;
    }
    return is_old
               ? read_old_names(bytes, start, window_offset, true, &program->files)
               : read_new_names(bytes, &program->encoding, start, window_offset, &program->files);
}

/* `bytes` starts behind the length. */
static int read_header(struct bytes *bytes, uint64_t window_offset, uint8_t unit_address_bytes,
                       struct dwarf_line_program *program)
{
    program->encoding.version = bytes_take_u16(bytes);
    program->encoding.address_bytes = unit_address_bytes;
    if (program->encoding.version < 2 || program->encoding.version > 5) {
        return -EBADMSG;
    }
    if (program->encoding.version >= 5) {
        program->encoding.address_bytes = bytes_take_u8(bytes);
        bytes_skip(bytes, 1); /* segment selectors */
    }
    uint64_t header_bytes =
        program->encoding.offset_bytes == 8 ? bytes_take_u64(bytes) : bytes_take_u32(bytes);
    program->instructions = *bytes;
    bytes_skip(&program->instructions, header_bytes);
    program->minimum_step = bytes_take_u8(bytes);
    if (program->encoding.version >= 4) {
        bytes_skip(bytes, 1); /* operations per instruction: 1 but for VLIW machines */
    }
    bytes_skip(bytes, 1); /* is_stmt */
    program->line_base = (int8_t)bytes_take_u8(bytes);
    program->line_range = bytes_take_u8(bytes);
    program->first_special = bytes_take_u8(bytes);
    for (unsigned opcode = 1; opcode < program->first_special; opcode++) {
        program->n_operands[opcode] = bytes_take_u8(bytes);
    }
    if (bytes_has_failed(bytes) || bytes_has_failed(&program->instructions) ||
        program->line_range == 0 || program->first_special == 0 ||
        (program->encoding.address_bytes != 4 && program->encoding.address_bytes != 8)) {
        return -EBADMSG;
    }
    return read_names(bytes, window_offset, program);
}

int dwarf_line_program_open(const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                            struct dwarf_line_program *ret_program)
{
    *ret_program = (struct dwarf_line_program){0};
    if (!unit->has_lines) {
        return -ENOENT;
    }
    struct dwarf_sections *sections = line_sections(sources);
    struct dwarf_window length_window = {0};
    int r =
        dwarf_sections_read(sections, DWARF_LINE, unit->stmt_list, LENGTH_BYTES, &length_window);
    if (r < 0) {
        return r;
    }
    struct bytes length = bytes_of(length_window.at, length_window.n_bytes);
    uint64_t n_bytes = bytes_take_u32(&length);
    bool is_64 = n_bytes == DWARF_64_MARK;
    n_bytes = is_64 ? bytes_take_u64(&length) : n_bytes;
    bool is_bad = bytes_has_failed(&length);
    dwarf_window_release(&length_window);
    uint64_t length_bytes = is_64 ? 12 : 4;
    if (is_bad || n_bytes > UINT64_MAX - length_bytes) {
        return -EBADMSG;
    }
    r = dwarf_sections_read(sections, DWARF_LINE, unit->stmt_list, n_bytes + length_bytes,
                            &ret_program->window);
    if (r < 0) {
        return r;
    }
    ret_program->encoding.offset_bytes = is_64 ? 8 : 4;
    struct bytes bytes = bytes_of(ret_program->window.at, ret_program->window.n_bytes);
    bytes_skip(&bytes, length_bytes);
    r = read_header(&bytes, unit->stmt_list, unit->encoding.address_bytes, ret_program);
    if (r < 0) {
        dwarf_line_program_release(ret_program);
    }
    return r;
}

/* Paths -------------------------------------------------------------------------------------- */

static const char *entry_name(const struct dwarf_line_entry *entry,
                              const struct dwarf_sources *sources, const struct dwarf_unit *unit,
                              struct arena *arena)
{
    struct dwarf_sections *sections = line_sections(sources);
    switch (entry->name.kind) {
    case DWARF_VALUE_STRING_HERE:
        return dwarf_section_string(sections, DWARF_LINE, entry->name.number, arena);
    case DWARF_VALUE_STRING:
        return dwarf_section_string(sections, DWARF_STR, entry->name.number, arena);
    case DWARF_VALUE_STRING_LINE:
        return dwarf_section_string(sections, DWARF_LINE_STR, entry->name.number, arena);
    default:
        return dwarf_unit_string(sources, unit, entry->name, arena);
    }
}

/* Numbers start at 1 before DWARF 5, where directory 0 is the one of the compilation. */
static const struct dwarf_line_entry *find_entry(const struct dwarf_line_names *names,
                                                 uint16_t version, uint64_t number)
{
    uint64_t index = version < 5 ? number - 1 : number;
    return index < names->n_entries ? &names->entries[index] : NULL;
}

size_t dwarf_line_program_n_files(const struct dwarf_line_program *program)
{
    return program->files.n_entries + (program->encoding.version < 5 ? 1 : 0);
}

static const char *join(const char *directory, const char *name, struct arena *arena)
{
    if (!directory || directory[0] == '\0' || !name || name[0] == '/') {
        return name;
    }
    bool has_slash = directory[strlen(directory) - 1] == '/';
    return arena_printf(arena, "%s%s%s", directory, has_slash ? "" : "/", name);
}

const char *dwarf_line_program_path(const struct dwarf_line_program *program,
                                    const struct dwarf_sources *sources,
                                    const struct dwarf_unit *unit, uint64_t file,
                                    const char *comp_dir, struct arena *arena)
{
    uint16_t version = program->encoding.version;
    const struct dwarf_line_entry *entry = find_entry(&program->files, version, file);
    if (!entry) {
        return NULL;
    }
    const char *name = entry_name(entry, sources, unit, arena);
    if (!name || name[0] == '/') {
        return name;
    }
    const struct dwarf_line_entry *directory =
        find_entry(&program->directories, version, entry->directory);
    const char *directory_name = directory ? entry_name(directory, sources, unit, arena) : NULL;
    return join(comp_dir, join(directory_name, name, arena), arena);
}

/* Instructions ------------------------------------------------------------------------------- */

struct machine {
    const struct dwarf_line_program *program;
    const struct dwarf_sections *sections;
    struct dwarf_line_rows *rows;
    size_t sequence_start; /* its first row */
    uint64_t address, file, line;
    /* What each special opcode adds; divisions of every row would be a third of all time. */
    uint16_t address_steps[256];
    int16_t line_steps[256];
};

static int append_row(struct dwarf_line_rows *rows, const struct dwarf_line_row *row)
{
    if (rows->n_rows == rows->capacity) {
        if (rows->n_rows >= DWARF_LINE_ROWS_MAX) {
            return -E2BIG;
        }
        size_t capacity = rows->capacity ? rows->capacity * 2 : 1024;
        struct dwarf_line_row *grown = reallocarray(rows->rows, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        rows->rows = grown;
        rows->capacity = capacity;
    }
    rows->rows[rows->n_rows++] = *row;
    return 0;
}

static int emit_row(struct machine *machine)
{
    if (machine->rows->n_rows % CANCEL_STEP_ROWS == 0 &&
        dwarf_sections_is_cancelled(machine->sections)) {
        return -ECANCELED;
    }
    struct dwarf_line_row row = {
        .start_addr = machine->address,
        .file = machine->file < DWARF_LINE_NO_FILE ? (uint32_t)machine->file : DWARF_LINE_NO_FILE,
        .line = machine->line <= UINT32_MAX ? (uint32_t)machine->line : 0,
    };
    return append_row(machine->rows, &row);
}

/* Rows at or behind the end hold no byte; a sequence of dropped code holds nothing. */
static int end_sequence(struct machine *machine)
{
    struct dwarf_line_rows *rows = machine->rows;
    const struct dwarf_line_row *first =
        rows->n_rows > machine->sequence_start ? &rows->rows[machine->sequence_start] : NULL;
    bool is_real = first && dwarf_sections_has_code_at(machine->sections, first->start_addr);
    while (rows->n_rows > machine->sequence_start &&
           (!is_real || rows->rows[rows->n_rows - 1].start_addr >= machine->address)) {
        rows->n_rows--;
    }
    int r = 0;
    if (rows->n_rows > machine->sequence_start) {
        struct dwarf_line_row end = {.start_addr = machine->address, .file = DWARF_LINE_NO_FILE};
        r = append_row(rows, &end);
    }
    machine->sequence_start = rows->n_rows;
    machine->address = 0;
    machine->file = 1;
    machine->line = 1;
    return r;
}

static int run_extended(struct machine *machine, struct bytes *bytes)
{
    uint64_t n_bytes = bytes_take_uleb128(bytes);
    const uint8_t *body = bytes_take(bytes, n_bytes);
    if (!body || n_bytes == 0) {
        return body ? 0 : -EBADMSG;
    }
    struct bytes operands = bytes_of(body + 1, n_bytes - 1);
    switch (body[0]) {
    case DW_LNE_end_sequence:
        return end_sequence(machine);
    case DW_LNE_set_address:
        machine->address =
            bytes_left(&operands) >= 8 ? bytes_take_u64(&operands) : bytes_take_u32(&operands);
        return 0;
    default: /* discriminators; files defined here have no number that anybody uses */
        return 0;
    }
}

static int run_standard(struct machine *machine, struct bytes *bytes, uint8_t opcode)
{
    const struct dwarf_line_program *program = machine->program;
    switch (opcode) {
    case DW_LNS_copy:
        return emit_row(machine);
    case DW_LNS_advance_pc:
        machine->address += bytes_take_uleb128(bytes) * program->minimum_step;
        return 0;
    case DW_LNS_advance_line:
        machine->line += (uint64_t)bytes_take_sleb128(bytes);
        return 0;
    case DW_LNS_set_file:
        machine->file = bytes_take_uleb128(bytes);
        return 0;
    case DW_LNS_const_add_pc:
        machine->address += machine->address_steps[255];
        return 0;
    case DW_LNS_fixed_advance_pc:
        machine->address += bytes_take_u16(bytes);
        return 0;
    default:
        for (uint8_t i = 0; i < program->n_operands[opcode]; i++) {
            (void)bytes_take_uleb128(bytes);
        }
        return 0;
    }
}

static void prepare_special(struct machine *machine)
{
    const struct dwarf_line_program *program = machine->program;
    for (unsigned opcode = program->first_special; opcode < 256; opcode++) {
        unsigned adjusted = opcode - program->first_special;
        machine->address_steps[opcode] =
            (uint16_t)(adjusted / program->line_range * program->minimum_step);
        machine->line_steps[opcode] =
            (int16_t)(program->line_base + (int)(adjusted % program->line_range));
    }
}

/* All special opcodes at the cursor: most of a program is runs of them. */
static int run_specials(struct machine *machine, struct bytes *bytes)
{
    uint8_t first_special = machine->program->first_special;
    int r = 0;
    while (r == 0 && bytes->at < bytes->end && *bytes->at >= first_special) {
        uint8_t opcode = *bytes->at++;
        machine->address += machine->address_steps[opcode];
        machine->line += (uint64_t)(int64_t)machine->line_steps[opcode];
        r = emit_row(machine);
    }
    return r;
}

/* Sorting ------------------------------------------------------------------------------------ */

static bool comes_before(const struct dwarf_line_row *one, const struct dwarf_line_row *other)
{
    if (one->start_addr != other->start_addr) {
        return one->start_addr < other->start_addr;
    }
    /* The end of a sequence comes before what begins there. */
    return one->file == DWARF_LINE_NO_FILE && other->file != DWARF_LINE_NO_FILE;
}

/* Rows that follow each other in order. */
struct run {
    const struct dwarf_line_row *first;
    size_t n_rows;
};

static void merge(const struct dwarf_line_row *from, size_t middle, size_t n_rows,
                  struct dwarf_line_row *to)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < n_rows; i++) {
        bool takes_right =
            left == middle || (right < n_rows && comes_before(&from[right], &from[left]));
        to[i] = takes_right ? from[right++] : from[left++];
    }
}

static int compare_runs(const void *left, const void *right)
{
    const struct run *one = left;
    const struct run *other = right;
    if (comes_before(one->first, other->first)) {
        return -1;
    }
    if (comes_before(other->first, one->first)) {
        return 1;
    }
    return (one->first > other->first) - (one->first < other->first);
}

static size_t find_runs(const struct dwarf_line_rows *rows, struct run *runs)
{
    size_t n_runs = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (i == 0 || comes_before(&rows->rows[i], &rows->rows[i - 1])) {
            if (runs) {
                runs[n_runs] = (struct run){.first = &rows->rows[i]};
            }
            n_runs++;
        }
        if (runs) {
            runs[n_runs - 1].n_rows++;
        }
    }
    return n_runs;
}

/* Sequences that lie beside each other, as nearly all do. false: some of them do not. */
static bool put_runs(struct run *runs, size_t n_runs, struct dwarf_line_row *to)
{
    qsort(runs, n_runs, sizeof(*runs), compare_runs);
    for (size_t i = 0; i < n_runs; i++) {
        if (i > 0 && !comes_before(to - 1, runs[i].first)) {
            return false;
        }
        memcpy(to, runs[i].first, runs[i].n_rows * sizeof(*to));
        to += runs[i].n_rows;
    }
    return true;
}

/* Stable: of several rows at one address, the last one must stay the last. */
static int sort_rows(struct dwarf_line_rows *rows)
{
    size_t n_runs = find_runs(rows, NULL);
    if (n_runs <= 1) {
        return 0;
    }
    struct dwarf_line_row *from = rows->rows;
    struct dwarf_line_row *to = reallocarray(NULL, rows->n_rows, sizeof(*to));
    _cleanup_(freep) struct run *runs = reallocarray(NULL, n_runs, sizeof(*runs));
    if (!to || !runs) {
        free(to);
        return -ENOMEM;
    }
    (void)find_runs(rows, runs);
    if (put_runs(runs, n_runs, to)) {
        free(from);
        rows->rows = to;
        rows->capacity = rows->n_rows;
        return 0;
    }
    for (size_t width = 1; width < rows->n_rows; width *= 2) {
        for (size_t start = 0; start < rows->n_rows; start += 2 * width) {
            size_t left = rows->n_rows - start;
            size_t n_rows = left < 2 * width ? left : 2 * width;
            merge(from + start, width < n_rows ? width : n_rows, n_rows, to + start);
        }
        struct dwarf_line_row *swapped = from;
        from = to;
        to = swapped;
    }
    free(to);
    rows->rows = from;
    rows->capacity = rows->n_rows;
    return 0;
}

static void drop_equal_rows(struct dwarf_line_rows *rows)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        struct dwarf_line_row row = rows->rows[i];
        while (n_kept > 0 && rows->rows[n_kept - 1].start_addr == row.start_addr) {
            n_kept--;
        }
        const struct dwarf_line_row *last = n_kept > 0 ? &rows->rows[n_kept - 1] : NULL;
        if (!last || last->file != row.file || last->line != row.line) {
            rows->rows[n_kept++] = row;
        }
    }
    rows->n_rows = n_kept;
}

int dwarf_line_program_run(const struct dwarf_line_program *program,
                           const struct dwarf_sources *sources, struct dwarf_line_rows *ret_rows)
{
    struct machine machine = {
        .program = program,
        .sections = line_sections(sources),
        .rows = ret_rows,
        .sequence_start = ret_rows->n_rows,
        .file = 1,
        .line = 1,
    };
    prepare_special(&machine);
    struct bytes bytes = program->instructions;
    int r = 0;
    while (r == 0 && bytes_left(&bytes) > 0 && !bytes_has_failed(&bytes)) {
        r = run_specials(&machine, &bytes);
        if (r < 0 || bytes_left(&bytes) == 0) {
            break;
        }
        uint8_t opcode = bytes_take_u8(&bytes);
        if (opcode == 0) {
            r = run_extended(&machine, &bytes);
        } else {
            r = run_standard(&machine, &bytes, opcode);
        }
    }
    ret_rows->n_rows = machine.sequence_start; /* a sequence without an end has no last row */
    if (r == -ENOMEM || r == -ECANCELED) {
        return r;
    }
    r = sort_rows(ret_rows);
    if (r == 0) {
        drop_equal_rows(ret_rows);
    }
    return r;
}
