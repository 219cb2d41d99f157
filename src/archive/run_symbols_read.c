/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/symbol_reading.h"

/* Longer than any path; names of templates are longer. */
#define NAME_MAX_BYTES ((size_t)1 << 20)

/* What a group takes, whatever is in it. */
#define GROUP_BYTES 8192u

int symbol_reading_spend(struct symbol_reading *reading, uint64_t n_bytes)
{
    uint64_t max_bytes = SYMBOL_READING_MAX_INFLATION * reading->n_member_bytes;
    max_bytes = max_bytes > SYMBOL_READING_MAX_BYTES ? max_bytes : SYMBOL_READING_MAX_BYTES;
    if (n_bytes > max_bytes - reading->n_made_bytes) {
        return -ENOSPC;
    }
    reading->n_made_bytes += n_bytes;
    return 0;
}

int symbol_reading_text(struct symbol_reading *reading, uint32_t number, const char **ret_text)
{
    size_t n_bytes;
    *ret_text = number == 0 ? "" : history_names_find(&reading->texts, number, &n_bytes);
    if (number == 0 || !*ret_text) {
        return 0;
    }
    if (n_bytes > NAME_MAX_BYTES) {
        *ret_text = NULL;
        return 0;
    }
    return symbol_reading_spend(reading, n_bytes);
}

int symbol_reading_text_or_null(struct symbol_reading *reading, uint32_t number,
                                const char **ret_text)
{
    *ret_text = NULL;
    return number == 0 ? 0 : symbol_reading_text(reading, number, ret_text);
}

const uint8_t *symbol_reading_code(struct symbol_reading *reading, uint64_t n_bytes)
{
    if (n_bytes > reading->n_code_bytes - reading->code_at) {
        reading->code_at = reading->n_code_bytes;
        return NULL;
    }
    const uint8_t *code = reading->code + reading->code_at;
    reading->code_at += n_bytes;
    return code;
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
    if (reading->n_groups >= IMAGE_TABLE_MAX) { /* each has an image */
        return -ENOSPC;
    }
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
    struct read_group *group =
        told->group < reading->n_groups ? &reading->groups[told->group] : NULL;
    bool is_possible = told->n_bytes <= UINT64_MAX - told->file_offset &&
                       told->n_bytes <= UINT64_MAX - told->image_addr;
    if (!group || !is_possible) {
        return -EBADMSG;
    }
    if (!group->layout) {
        int r = symbol_reading_spend(reading, sizeof(*group->layout));
        group->layout = r ? NULL : calloc(1, sizeof(*group->layout));
        if (!group->layout) {
            return r ? r : -ENOMEM;
        }
    }
    struct elf_layout *layout = group->layout;
    if (layout->n_segments == ELF_LAYOUT_MAX_SEGMENTS) {
        return -EBADMSG;
    }
    layout->segments[layout->n_segments++] = (struct elf_segment){
        .file_offset = told->file_offset,
        .n_bytes = told->n_bytes,
        .image_addr = told->image_addr,
    };
    uint8_t n_executable = group->row.n_executable;
    layout->n_executable = n_executable < layout->n_segments ? n_executable : layout->n_segments;
    return 0;
}

static int make_symbols(struct symbol_reading *reading, const struct read_group *read,
                        struct kept_group *group)
{
    bool is_known = read->row.state <= SYMBOL_STATE_FAILED;
    struct symbol_source_info info = {
        .state = is_known ? (enum symbol_state)read->row.state : SYMBOL_STATE_FAILED,
        .n_functions = read->row.n_functions,
    };
    const char *failure = NULL;
    bool is_by_layout = read->row.flags & SYMBOL_GROUP_NAMES_BY_LAYOUT;
    if (is_by_layout && !read->layout) {
        reading->damage->n_rows++; /* offsets are no addresses: names would be others */
        return 0;
    }
    int r = symbol_reading_text(reading, read->row.origin, &info.origin);
    r = r ? r : symbol_reading_text_or_null(reading, read->row.failure, &failure);
    r = r ? r : kept_symbols_new(&group->symbols);
    if (r < 0) {
        return r;
    }
    info.origin = info.origin ? info.origin : "none";
    if (failure) {
        memcpy(info.failure, failure, strnlen(failure, sizeof(info.failure) - 1));
    }
    if (is_by_layout) {
        kept_symbols_set_layout(group->symbols, read->layout);
    }
    return kept_symbols_describe_as(group->symbols, &info);
}

static int make_code(struct symbol_reading *reading, const struct read_group *read,
                     struct kept_group *group)
{
    struct kept_code_facts facts = {
        .machine = read->row.machine == 2 ? DISASM_MACHINE_AARCH64 : DISASM_MACHINE_X86_64,
        .modified_s = (int64_t)read->row.modified_s,
        .has_file = read->row.flags & SYMBOL_GROUP_HAS_FILE,
    };
    if (read->layout) {
        facts.layout = *read->layout;
    }
    int r = symbol_reading_text_or_null(reading, read->row.open_failure, &facts.open_failure);
    r = r ? r : kept_code_new(&facts, &group->own_code);
    group->code = group->own_code;
    return r;
}

static int make_group(struct symbol_reading *reading, const struct read_group *read)
{
    uint32_t number;
    bool has_any = read->row.flags & (SYMBOL_GROUP_HAS_SYMBOLS | SYMBOL_GROUP_HAS_CODE);
    int r = symbol_reading_spend(reading, has_any ? GROUP_BYTES : sizeof(struct kept_group));
    r = r ? r : run_symbols_add_group(reading->symbols, &number);
    if (r < 0) {
        return r;
    }
    struct kept_group *group = &reading->symbols->groups[number];
    if (read->row.flags & SYMBOL_GROUP_HAS_SYMBOLS) {
        r = make_symbols(reading, read, group);
    }
    if (r == 0 && (read->row.flags & SYMBOL_GROUP_HAS_CODE)) {
        r = make_code(reading, read, group);
    }
    return r;
}

static int make_groups(struct symbol_reading *reading)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < reading->n_groups; i++) {
        r = make_group(reading, &reading->groups[i]);
    }
    reading->damage->n_members += r == -ENOSPC;
    return r == -ENOSPC ? 0 : r;
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
    struct symbol symbol = {
        .kind = told->kind <= FRAME_KIND_TARGET ? (enum frame_kind)told->kind : FRAME_KIND_USER,
        .start_address = told->start_addr,
        .size_bytes = has_range ? told->n_bytes : 0,
        .is_nameless = told->flags & SYMBOL_FUNCTION_NAMELESS,
    };
    uint32_t unused;
    int r = symbol_reading_text(reading, told->name, &symbol.name);
    r = r ? r : symbol_reading_text(reading, told->image, &symbol.image);
    if (r < 0) {
        return r;
    }
    /* A name that is lost keeps its number and its range. */
    symbol.name =
        symbol.name && (symbol.name[0] != '\0' || symbol.is_nameless) ? symbol.name : NULL;
    symbol.image = symbol.image ? symbol.image : "[unknown]";
    return kept_symbols_add_function(kept, &symbol, told->flags & SYMBOL_FUNCTION_INLINED, &unused);
}

static int take_place(struct symbol_reading *reading, const void *row)
{
    const struct symbol_place *told = row;
    struct kept_symbols *kept = symbols_of(reading, told->group);
    if (!kept) {
        return -EBADMSG;
    }
    int r = kept_symbols_add_place(kept, told->image_addr, told->function - 1);
    if (r == -EINVAL) { /* the function is lost, and ranges would answer with another */
        r = kept_symbols_add_place(kept, told->image_addr, KEPT_NONE);
        return r ? r : -EBADMSG;
    }
    return r;
}

static int file_of(struct symbol_reading *reading, struct kept_symbols *kept, uint32_t text,
                   uint32_t *ret_file)
{
    const char *path;
    *ret_file = KEPT_NONE;
    int r = symbol_reading_text_or_null(reading, text, &path);
    return r == 0 && path ? kept_symbols_add_file(kept, path, ret_file) : r;
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
    reading->last_line_group = told->group;
    reading->last_line_addr = told->start_addr;
    return r ? r : kept_symbols_add_line(kept, &line);
}

/* A line reaches to the next one: the last one that is left ends where it begins. */
static int end_lines(struct symbol_reading *reading)
{
    struct kept_symbols *kept = symbols_of(reading, reading->last_line_group);
    const struct kept_line end = {
        .start_addr = reading->last_line_addr + 1, .file = KEPT_NONE, .call = KEPT_NONE};
    return kept && end.start_addr != 0 ? kept_symbols_add_line(kept, &end) : 0;
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

static int take_piece(struct symbol_reading *reading, const void *row)
{
    const struct symbol_piece *told = row;
    struct kept_code *code = code_of(reading, told->group);
    const uint8_t *bytes =
        told->n_read_bytes > 0 ? symbol_reading_code(reading, told->n_read_bytes) : NULL;
    if (!code || told->n_bytes > UINT64_MAX - told->start_addr ||
        (told->n_read_bytes > 0 && !bytes)) {
        return -EBADMSG;
    }
    struct kept_piece piece = {
        .pid = (int64_t)told->pid,
        .start_addr = told->start_addr,
        .end_addr = told->start_addr + told->n_bytes,
        .n_bytes = (size_t)told->n_read_bytes,
        .bytes = bytes,
    };
    int r = symbol_reading_text_or_null(reading, told->origin, &piece.origin);
    r = r ? r : symbol_reading_text_or_null(reading, told->failure, &piece.failure);
    r = r ? r : symbol_reading_text_or_null(reading, told->hint, &piece.hint);
    return r ? r : kept_code_add_piece(code, &piece);
}

/* Sources -------------------------------------------------------------------------------------- */

static int take_source(struct symbol_reading *reading, const void *row)
{
    const struct symbol_source_file *told = row;
    struct kept_source_file file = {.modified_s = (int64_t)told->modified_s};
    uint32_t unused;
    int r = symbol_reading_text(reading, told->path, &file.path);
    r = r ? r : symbol_reading_text_or_null(reading, told->found, &file.found);
    if (r < 0) {
        return r;
    }
    if (!file.path) { /* lines count on its number */
        file.path = "";
        reading->damage->n_rows++;
    }
    return kept_sources_add_file(reading->symbols->own_sources, &file, &unused);
}

static int take_source_line(struct symbol_reading *reading, const void *row)
{
    const struct symbol_source_text *told = row;
    struct kept_source_line line = {.file = told->file, .line = told->line};
    int r = symbol_reading_text(reading, told->text, &line.text);
    if (r == 0 && !line.text) {
        return -EBADMSG;
    }
    return r ? r : kept_sources_add_line(reading->symbols->own_sources, &line);
}

/* Members -------------------------------------------------------------------------------------- */

static int take_bytes(struct symbol_reading *reading, enum symbol_table kind, size_t n_bytes)
{
    _Static_assert(sizeof(struct symbol_byte) == 1, "rows that are bytes as they lie");
    int r = symbol_reading_spend(reading, n_bytes);
    if (r < 0) {
        return r;
    }
    if (kind == SYMBOL_TABLE_NAMES) {
        size_t n_names = reading->texts.n_names;
        r = history_names_append(&reading->texts, reading->rows, n_bytes);
        uint64_t n_more = reading->texts.n_names - n_names;
        return r ? r : symbol_reading_spend(reading, 2 * sizeof(uint32_t) * n_more);
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

/* What they become takes about twice as much as what they were. */
static int take_rows(struct symbol_reading *reading, const struct column_table *columns,
                     take_row_cb take, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        int r = symbol_reading_spend(reading, 2 * columns->row_bytes);
        r = r ? r : take(reading, (const char *)reading->rows + i * columns->row_bytes);
        if (r == -EBADMSG || r == -EINVAL) {
            reading->damage->n_rows++;
        } else if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Up to the first damage; take NULL: the rows are bytes. */
static int take_frames(struct symbol_reading *reading, const struct table_step *step,
                       const struct archive_bytes *member)
{
    const struct symbol_table_info *info = symbol_table(step->kind);
    struct column_reader columns = column_reader_begin(member->bytes, member->n_bytes);
    size_t n_rows;
    int r;
    while ((r = column_reader_next(&columns, &info->columns, reading->rows, &n_rows)) > 0 &&
           columns.damage == COLUMN_WHOLE && columns.n_rows_skipped == 0) {
        r = step->take ? take_rows(reading, &info->columns, step->take, n_rows)
                       : take_bytes(reading, step->kind, n_rows);
        if (r < 0) {
            break;
        }
    }
    bool is_damaged = member->state == ARCHIVE_DAMAGED || columns.damage != COLUMN_WHOLE ||
                      columns.n_rows_skipped > 0 || r == -ENOSPC;
    reading->damage->n_members += is_damaged;
    if (r >= 0 && is_damaged && step->kind == SYMBOL_TABLE_LINES) {
        r = end_lines(reading);
    }
    return r == -ENOSPC || r > 0 ? 0 : r;
}

static int read_table(struct symbol_reading *reading, const struct table_step *step)
{
    struct archive_bytes member;
    int r = archive_reader_read(reading->reader, symbol_table(step->kind)->member, &member);
    if (r < 0) {
        error_set_errno(reading->reterr_error, r, "reading symbols");
        return r;
    }
    _cleanup_(freep) void *bytes = member.bytes;
    if (!bytes) { /* nothing of that kind was there to be kept, or it is gone */
        reading->damage->n_members += member.is_listed;
        return 0;
    }
    reading->n_member_bytes += member.n_bytes;
    return take_frames(reading, step, &member);
}

int symbol_reading_tables(struct symbol_reading *reading, const struct table_step *steps,
                          size_t n_steps)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n_steps; i++) {
        r = read_table(reading, &steps[i]);
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
    int r = symbol_reading_tables(reading, heads, sizeof(heads) / sizeof(heads[0]));
    r = r ? r : make_groups(reading);
    r = r ? r : symbol_reading_tables(reading, bodies, sizeof(bodies) / sizeof(bodies[0]));
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
    r = r ? r : symbol_reading_tables(reading, steps, sizeof(steps) / sizeof(steps[0]));
    if (r == 0) {
        kept_sources_finish(symbols->own_sources);
    }
    return r;
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
    r = r ? r : made_read(&reading);
    history_names_release(&reading.texts);
    for (size_t i = 0; i < reading.n_groups; i++) {
        free(reading.groups[i].layout);
    }
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
