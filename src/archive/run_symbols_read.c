/* SPDX-License-Identifier: MIT */
/*
 * Rows speak of rows by their numbers, so a table is read up to its first
 * damage. What a row says is checked where it is added; a row that is refused
 * leaves a hole that is filled where others count on its number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/run_symbols_internal.h"

/* A group while it is read. */
struct read_group {
    struct symbol_group row;
    struct elf_layout layout;
    bool is_broken; /* a number is missing: nothing more is added that counts on it */
};

struct symbol_reading {
    struct archive_reader *reader;
    struct run_symbols *symbols;
    struct run_symbols_damage *damage;
    struct error *reterr_error;
    struct history_names texts;
    size_t n_groups, groups_capacity;
    struct read_group *groups;
    uint8_t *code; /* of the pieces, or of made code */
    size_t n_code_bytes, code_capacity, code_at;
    uint32_t next_body; /* whose lines come */
    void *rows;         /* of one frame */
    size_t n_made_bodies, made_bodies_capacity;
    uint64_t *made_bodies; /* their sizes */
};

/* 0, -EBADMSG for a row that is refused, -ENOSPC, or -ENOMEM. */
typedef int (*take_row_cb)(struct symbol_reading *reading, const void *row);

static const char *text_of(const struct symbol_reading *reading, uint32_t number)
{
    return history_names_get(&reading->texts, number);
}

static const char *text_or_null(const struct symbol_reading *reading, uint32_t number)
{
    return number == 0 ? NULL : text_of(reading, number);
}

static struct kept_symbols *symbols_of(const struct symbol_reading *reading, uint32_t group)
{
    return group < reading->symbols->n_groups ? reading->symbols->groups[group].symbols : NULL;
}

static struct kept_code *code_of(const struct symbol_reading *reading, uint32_t group)
{
    return group < reading->symbols->n_groups ? reading->symbols->groups[group].own_code : NULL;
}

/* Groups --------------------------------------------------------------------------------------- */

static int take_group(struct symbol_reading *reading, const void *row)
{
    if (reading->n_groups == reading->groups_capacity) {
        size_t capacity = reading->groups_capacity ? 2 * reading->groups_capacity : 16;
        struct read_group *grown = reallocarray(reading->groups, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        reading->groups = grown;
        reading->groups_capacity = capacity;
    }
    struct read_group *group = &reading->groups[reading->n_groups++];
    *group = (struct read_group){0};
    memcpy(&group->row, row, sizeof(group->row));
    return 0;
}

static int take_segment(struct symbol_reading *reading, const void *row)
{
    const struct symbol_segment *told = row;
    struct elf_layout *layout =
        told->group < reading->n_groups ? &reading->groups[told->group].layout : NULL;
    bool is_possible = told->n_bytes <= UINT64_MAX - told->file_offset &&
                       told->n_bytes <= UINT64_MAX - told->image_addr;
    if (!layout || layout->n_segments == ELF_LAYOUT_MAX_SEGMENTS || !is_possible) {
        return -EBADMSG;
    }
    layout->segments[layout->n_segments++] = (struct elf_segment){
        .file_offset = told->file_offset,
        .n_bytes = told->n_bytes,
        .image_addr = told->image_addr,
    };
    uint8_t n_executable = reading->groups[told->group].row.n_executable;
    layout->n_executable = n_executable < layout->n_segments ? n_executable : layout->n_segments;
    return 0;
}

static int make_symbols(const struct symbol_reading *reading, const struct read_group *read,
                        struct kept_group *group)
{
    int r = kept_symbols_new(&group->symbols);
    if (r < 0) {
        return r;
    }
    bool is_known = read->row.state <= SYMBOL_STATE_FAILED;
    struct symbol_source_info info = {
        .state = is_known ? (enum symbol_state)read->row.state : SYMBOL_STATE_FAILED,
        .origin = text_of(reading, read->row.origin),
        .n_functions = read->row.n_functions,
    };
    const char *failure = text_of(reading, read->row.failure);
    memcpy(info.failure, failure, strnlen(failure, sizeof(info.failure) - 1));
    if (read->row.flags & SYMBOL_GROUP_NAMES_BY_LAYOUT) {
        kept_symbols_set_layout(group->symbols, &read->layout);
    }
    return kept_symbols_describe_as(group->symbols, &info);
}

static int make_code(const struct symbol_reading *reading, const struct read_group *read,
                     struct kept_group *group)
{
    struct kept_code_facts facts = {
        .machine = read->row.machine == 2 ? DISASM_MACHINE_AARCH64 : DISASM_MACHINE_X86_64,
        .modified_s = (int64_t)read->row.modified_s,
        .has_file = read->row.flags & SYMBOL_GROUP_HAS_FILE,
        .open_failure = text_or_null(reading, read->row.open_failure),
    };
    facts.layout = read->layout;
    int r = kept_code_new(&facts, &group->own_code);
    group->code = group->own_code;
    return r;
}

static int make_groups(struct symbol_reading *reading)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < reading->n_groups; i++) {
        uint32_t number;
        const struct read_group *read = &reading->groups[i];
        r = run_symbols_add_group(reading->symbols, &number);
        struct kept_group *group = r == 0 ? &reading->symbols->groups[number] : NULL;
        if (group && (read->row.flags & SYMBOL_GROUP_HAS_SYMBOLS)) {
            r = make_symbols(reading, read, group);
        }
        if (group && r == 0 && (read->row.flags & SYMBOL_GROUP_HAS_CODE)) {
            r = make_code(reading, read, group);
        }
    }
    return r;
}

static int take_image(struct symbol_reading *reading, const void *row)
{
    const struct symbol_image *told = row;
    if (told->group >= reading->symbols->n_groups || told->image >= IMAGE_TABLE_MAX ||
        hash_table_find(&reading->symbols->group_numbers, told->image) != HASH_TABLE_NONE) {
        return -EBADMSG;
    }
    return hash_table_add(&reading->symbols->group_numbers, told->image, told->group);
}

/* Names and lines ------------------------------------------------------------------------------ */

static int take_function(struct symbol_reading *reading, const void *row)
{
    const struct symbol_function *told = row;
    struct kept_symbols *kept = symbols_of(reading, told->group);
    if (!kept) {
        return -EBADMSG;
    }
    bool has_range = told->n_bytes <= UINT64_MAX - told->start_addr;
    const struct symbol symbol = {
        .name = text_of(reading, told->name),
        .image = text_of(reading, told->image),
        .kind = told->kind <= FRAME_KIND_TARGET ? (enum frame_kind)told->kind : FRAME_KIND_USER,
        .start_address = told->start_addr,
        .size_bytes = has_range ? told->n_bytes : 0,
        .is_nameless = told->flags & SYMBOL_FUNCTION_NAMELESS,
    };
    uint32_t unused;
    return kept_symbols_add_function(kept, &symbol, told->flags & SYMBOL_FUNCTION_INLINED, &unused);
}

static int take_place(struct symbol_reading *reading, const void *row)
{
    const struct symbol_place *told = row;
    struct kept_symbols *kept = symbols_of(reading, told->group);
    return kept ? kept_symbols_add_place(kept, told->image_addr, told->function - 1) : -EBADMSG;
}

static int file_of(const struct symbol_reading *reading, struct kept_symbols *kept, uint32_t text,
                   uint32_t *ret_file)
{
    *ret_file = KEPT_NONE;
    return text == 0 ? 0 : kept_symbols_add_file(kept, text_of(reading, text), ret_file);
}

/* A call that is refused leaves one behind that says nothing: those after it count on its number.
 */
static int take_call(struct symbol_reading *reading, const void *row)
{
    const struct symbol_call *told = row;
    struct kept_symbols *kept = symbols_of(reading, told->group);
    if (!kept) {
        return -EBADMSG;
    }
    size_t n_calls = kept_symbols_contents(kept).n_calls;
    struct kept_call call = {
        .parent = told->back == 0         ? KEPT_NONE
                  : told->back <= n_calls ? (uint32_t)(n_calls - told->back)
                                          : KEPT_NONE,
        .function = told->function - 1,
        .call_line = told->call_line,
    };
    uint32_t unused;
    int r = file_of(reading, kept, told->call_file, &call.call_file);
    r = r ? r : kept_symbols_add_call(kept, &call, &unused);
    if (r == -EINVAL) {
        call.function = KEPT_NONE;
        r = kept_symbols_add_call(kept, &call, &unused);
        return r ? r : -EBADMSG;
    }
    return r;
}

static int take_line(struct symbol_reading *reading, const void *row)
{
    const struct symbol_line *told = row;
    struct kept_symbols *kept = symbols_of(reading, told->group);
    if (!kept) {
        return -EBADMSG;
    }
    struct kept_line line = {
        .start_addr = told->start_addr, .line = told->line, .call = told->call - 1};
    int r = file_of(reading, kept, told->file, &line.file);
    return r ? r : kept_symbols_add_line(kept, &line);
}

/* Code ----------------------------------------------------------------------------------------- */

static int take_bounds(struct symbol_reading *reading, const void *row)
{
    const struct symbol_bounds *told = row;
    struct kept_code *code = code_of(reading, told->group);
    if (!code || told->n_bytes > UINT64_MAX - told->start_addr) {
        return -EBADMSG;
    }
    const struct kept_bounds bounds = {.start_addr = told->start_addr,
                                       .end_addr = told->start_addr + told->n_bytes};
    return kept_code_add_bounds(code, &bounds);
}

/* The next bytes; NULL where there are fewer. */
static const uint8_t *take_code(struct symbol_reading *reading, uint64_t n_bytes)
{
    if (n_bytes > reading->n_code_bytes - reading->code_at) {
        return NULL;
    }
    const uint8_t *code = reading->code + reading->code_at;
    reading->code_at += n_bytes;
    return code;
}

static int take_piece(struct symbol_reading *reading, const void *row)
{
    const struct symbol_piece *told = row;
    struct kept_code *code = code_of(reading, told->group);
    const uint8_t *bytes = told->n_read_bytes > 0 ? take_code(reading, told->n_read_bytes) : NULL;
    if (!code || told->n_bytes > UINT64_MAX - told->start_addr ||
        (told->n_read_bytes > 0 && !bytes)) {
        return -EBADMSG;
    }
    const struct kept_piece piece = {
        .pid = (int64_t)told->pid,
        .start_addr = told->start_addr,
        .end_addr = told->start_addr + told->n_bytes,
        .n_bytes = (size_t)told->n_read_bytes,
        .bytes = bytes,
        .origin = text_or_null(reading, told->origin),
        .failure = text_or_null(reading, told->failure),
        .hint = text_or_null(reading, told->hint),
    };
    return kept_code_add_piece(code, &piece);
}

/* Sources -------------------------------------------------------------------------------------- */

static int take_source(struct symbol_reading *reading, const void *row)
{
    const struct symbol_source_file *told = row;
    const struct kept_source_file file = {
        .path = text_of(reading, told->path),
        .found = text_or_null(reading, told->found),
        .modified_s = (int64_t)told->modified_s,
    };
    uint32_t unused;
    return kept_sources_add_file(reading->symbols->own_sources, &file, &unused);
}

static int take_source_line(struct symbol_reading *reading, const void *row)
{
    const struct symbol_source_text *told = row;
    const struct kept_source_line line = {
        .file = told->file, .line = told->line, .text = text_of(reading, told->text)};
    return kept_sources_add_line(reading->symbols->own_sources, &line);
}

/* Made code ------------------------------------------------------------------------------------ */

static int take_made_symbol(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_symbol *told = row;
    const struct symbol symbol = {
        .name = text_of(reading, told->name),
        .image = text_of(reading, told->image),
        .kind = told->kind <= FRAME_KIND_TARGET ? (enum frame_kind)told->kind : FRAME_KIND_JIT,
        .start_address = told->start_ip,
        .size_bytes = told->n_bytes,
    };
    uint32_t unused;
    return jit_kept_add_symbol(reading->symbols->made, &symbol, &unused);
}

/* Bodies are added one after the other, each before its lines. */
static int add_bodies_until(struct symbol_reading *reading, uint32_t n_bodies)
{
    int r = 0;
    while (r == 0 && reading->next_body < n_bodies) {
        uint64_t n_bytes = reading->made_bodies[reading->next_body++];
        const uint8_t *code = take_code(reading, n_bytes);
        uint32_t unused;
        r = jit_kept_add_body(reading->symbols->made, code, code ? (size_t)n_bytes : 0, &unused);
    }
    return r;
}

static int take_made_body(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_body *told = row;
    if (reading->n_made_bodies == reading->made_bodies_capacity) {
        size_t capacity = reading->made_bodies_capacity ? 2 * reading->made_bodies_capacity : 64;
        uint64_t *grown = reallocarray(reading->made_bodies, capacity, sizeof(*grown));
        if (!grown) {
            return -ENOMEM;
        }
        reading->made_bodies = grown;
        reading->made_bodies_capacity = capacity;
    }
    reading->made_bodies[reading->n_made_bodies++] = told->n_bytes;
    return 0;
}

static int take_made_line(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_line *told = row;
    if (told->body >= reading->n_made_bodies || told->body + 1 < reading->next_body) {
        return -EBADMSG;
    }
    int r = add_bodies_until(reading, told->body + 1);
    const char *file = text_of(reading, told->file);
    return r ? r : jit_kept_add_line(reading->symbols->made, told->code_offset, file, told->line);
}

static int take_made_function(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_function *told = row;
    bool is_possible = told->n_bytes <= UINT64_MAX - told->start_ip;
    const struct jit_kept_function function = {
        .symbol = told->symbol,
        .body = told->body - 1,
        .start_ip = told->start_ip,
        .end_ip = is_possible ? told->start_ip + told->n_bytes : told->start_ip,
        .from_ns = told->from_ns,
        .to_ns = told->to_ns,
    };
    uint32_t unused;
    return jit_kept_add_function(reading->symbols->made, &function, &unused);
}

static int take_made_answer(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_answer *told = row;
    const struct jit_kept_answer answer = {
        .pid = (int64_t)told->pid,
        .ip = told->ip,
        .from_ns = told->from_ns,
        .to_ns = told->to_ns,
        .function = told->function,
    };
    return jit_kept_add_answer(reading->symbols->made, &answer);
}

static int take_made_stats(struct symbol_reading *reading, const void *row)
{
    const struct symbol_made_stats *told = row;
    const struct jit_code_stats stats = {
        .n_functions = told->n_functions,
        .n_moves = told->n_moves,
        .n_reused = told->n_reused,
        .n_tables = told->n_tables,
        .n_lines = told->n_lines,
        .n_table_bytes = told->n_table_bytes,
        .n_frameless_bytes = told->n_frameless_bytes,
        .n_dropped = told->n_dropped,
    };
    jit_kept_set_stats(reading->symbols->made, &stats);
    return 0;
}

/* Members -------------------------------------------------------------------------------------- */

static int take_bytes(struct symbol_reading *reading, enum symbol_table kind, size_t n_bytes)
{
    _Static_assert(sizeof(struct symbol_byte) == 1, "rows that are bytes as they lie");
    if (kind == SYMBOL_TABLE_NAMES) {
        return history_names_append(&reading->texts, reading->rows, n_bytes);
    }
    if (n_bytes > KEPT_CODE_MAX_BYTES - reading->n_code_bytes) {
        return -ENOSPC;
    }
    if (n_bytes > reading->code_capacity - reading->n_code_bytes) {
        size_t capacity = 2 * reading->code_capacity + n_bytes;
        uint8_t *grown = realloc(reading->code, capacity);
        if (!grown) {
            return -ENOMEM;
        }
        reading->code = grown;
        reading->code_capacity = capacity;
    }
    memcpy(reading->code + reading->n_code_bytes, reading->rows, n_bytes);
    reading->n_code_bytes += n_bytes;
    return 0;
}

static int take_rows(struct symbol_reading *reading, const struct column_table *columns,
                     take_row_cb take, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        int r = take(reading, (const char *)reading->rows + i * columns->row_bytes);
        if (r == -EBADMSG || r == -EINVAL || r == -ENOSPC) {
            reading->damage->n_rows++;
        } else if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Up to the first damage; take NULL: the rows are bytes. */
static int read_table(struct symbol_reading *reading, enum symbol_table kind, take_row_cb take)
{
    const struct symbol_table_info *info = symbol_table(kind);
    struct archive_bytes member;
    int r = archive_reader_read(reading->reader, info->member, &member);
    if (r < 0) {
        error_set_errno(reading->reterr_error, r, "reading symbols");
        return r;
    }
    _cleanup_(freep) void *bytes = member.bytes;
    if (member.state == ARCHIVE_MISSING || !bytes) {
        return 0; /* nothing of that kind was there to be kept */
    }
    struct column_reader columns = column_reader_begin(bytes, member.n_bytes);
    size_t n_rows;
    while ((r = column_reader_next(&columns, &info->columns, reading->rows, &n_rows)) > 0 &&
           columns.damage == COLUMN_WHOLE) {
        r = take ? take_rows(reading, &info->columns, take, n_rows)
                 : take_bytes(reading, kind, n_rows);
        if (r == -ENOSPC) {
            break;
        }
        if (r < 0) {
            return r;
        }
    }
    bool is_damaged =
        member.state == ARCHIVE_DAMAGED || columns.damage != COLUMN_WHOLE || r == -ENOSPC;
    reading->damage->n_members += is_damaged;
    return r == -ENOMEM ? r : 0;
}

struct table_step {
    enum symbol_table kind;
    take_row_cb take;
};

static int read_tables(struct symbol_reading *reading, const struct table_step *steps,
                       size_t n_steps)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n_steps; i++) {
        r = read_table(reading, steps[i].kind, steps[i].take);
    }
    return r;
}

static int read_images(struct symbol_reading *reading)
{
    static const struct table_step heads[] = {
        {SYMBOL_TABLE_NAMES, NULL},
        {SYMBOL_TABLE_GROUPS, take_group},
        {SYMBOL_TABLE_SEGMENTS, take_segment},
    };
    static const struct table_step bodies[] = {
        {SYMBOL_TABLE_IMAGES, take_image}, {SYMBOL_TABLE_FUNCTIONS, take_function},
        {SYMBOL_TABLE_PLACES, take_place}, {SYMBOL_TABLE_CALLS, take_call},
        {SYMBOL_TABLE_LINES, take_line},   {SYMBOL_TABLE_BOUNDS, take_bounds},
        {SYMBOL_TABLE_CODE, NULL},         {SYMBOL_TABLE_PIECES, take_piece},
    };
    int r = read_tables(reading, heads, sizeof(heads) / sizeof(heads[0]));
    r = r ? r : make_groups(reading);
    r = r ? r : read_tables(reading, bodies, sizeof(bodies) / sizeof(bodies[0]));
    for (size_t i = 0; r == 0 && i < reading->symbols->n_groups; i++) {
        struct kept_group *group = &reading->symbols->groups[i];
        r = group->symbols ? kept_symbols_finish(group->symbols) : 0;
        if (group->own_code) {
            kept_code_finish(group->own_code);
        }
    }
    return r;
}

static int read_sources(struct symbol_reading *reading)
{
    static const struct table_step steps[] = {
        {SYMBOL_TABLE_SOURCES, take_source},
        {SYMBOL_TABLE_SOURCE_LINES, take_source_line},
    };
    struct run_symbols *symbols = reading->symbols;
    int r = kept_sources_new(&symbols->own_sources);
    symbols->sources = symbols->own_sources;
    r = r ? r : read_tables(reading, steps, sizeof(steps) / sizeof(steps[0]));
    if (r == 0) {
        kept_sources_finish(symbols->own_sources);
    }
    return r;
}

static int read_made(struct symbol_reading *reading)
{
    static const struct table_step heads[] = {
        {SYMBOL_TABLE_MADE_CODE, NULL},
        {SYMBOL_TABLE_MADE_STATS, take_made_stats},
        {SYMBOL_TABLE_MADE_SYMBOLS, take_made_symbol},
        {SYMBOL_TABLE_MADE_BODIES, take_made_body},
        {SYMBOL_TABLE_MADE_LINES, take_made_line},
    };
    static const struct table_step bodies[] = {
        {SYMBOL_TABLE_MADE_FUNCTIONS, take_made_function},
        {SYMBOL_TABLE_MADE_ANSWERS, take_made_answer},
    };
    reading->n_code_bytes = reading->code_at = 0;
    int r = jit_kept_new(&reading->symbols->made);
    r = r ? r : read_tables(reading, heads, sizeof(heads) / sizeof(heads[0]));
    r = r ? r : add_bodies_until(reading, (uint32_t)reading->n_made_bodies);
    r = r ? r : read_tables(reading, bodies, sizeof(bodies) / sizeof(bodies[0]));
    return r ? r : jit_kept_finish(reading->symbols->made);
}

int run_symbols_read(struct archive_reader *reader, struct run_symbols **ret_symbols,
                     struct run_symbols_damage *ret_damage, struct error *reterr_error)
{
    _cleanup_(run_symbols_freep) struct run_symbols *symbols = NULL;
    *ret_damage = (struct run_symbols_damage){0};
    int r = run_symbols_new(&symbols);
    struct symbol_reading reading = {
        .reader = reader,
        .symbols = symbols,
        .damage = ret_damage,
        .reterr_error = reterr_error,
        .rows = malloc((size_t)COLUMN_FRAME_ROWS * SYMBOL_TABLE_ROW_BYTES),
    };
    hash_table_init(&reading.texts.numbers);
    r = r == 0 && !reading.rows ? -ENOMEM : r;
    r = r ? r : read_images(&reading);
    r = r ? r : read_sources(&reading);
    r = r ? r : read_made(&reading);
    history_names_release(&reading.texts);
    free(reading.groups);
    free(reading.code);
    free(reading.made_bodies);
    free(reading.rows);
    if (r == -ENOMEM) {
        error_set_errno(reterr_error, r, "reading symbols");
    }
    if (r == 0) {
        *ret_symbols = TAKE_PTR(symbols);
    }
    return r;
}
