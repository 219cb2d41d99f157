/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archive/run_symbols_internal.h"
#include "base/clock.h"

/* Rows of groups ---------------------------------------------------------------------------------
 */

static int write_functions(struct symbol_writing *writing, uint32_t group,
                           const struct kept_contents *contents)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < contents->n_functions; i++) {
        const struct symbol *symbol = contents->functions[i];
        struct symbol_function row = {
            .group = group,
            .kind = (uint8_t)symbol->kind,
            .flags = (uint8_t)((symbol->is_nameless ? SYMBOL_FUNCTION_NAMELESS : 0) |
                               (contents->is_inlined[i] ? SYMBOL_FUNCTION_INLINED : 0)),
            .start_addr = symbol->start_address,
            .n_bytes = symbol->size_bytes,
        };
        r = symbol_text(writing, symbol->name, &row.name);
        r = r ? r : symbol_text(writing, symbol->image, &row.image);
        r = r ? r : symbol_rows_add(writing, SYMBOL_TABLE_FUNCTIONS, &row, 1);
    }
    for (size_t i = 0; r == 0 && i < contents->n_places; i++) {
        const struct kept_place *place = &contents->places[i];
        const struct symbol_place row = {
            .group = group, .function = place->function + 1, .image_addr = place->image_addr};
        r = symbol_rows_add(writing, SYMBOL_TABLE_PLACES, &row, 1);
    }
    return r;
}

/* By number of the file that of its text. */
static int write_lines(struct symbol_writing *writing, uint32_t group,
                       const struct kept_contents *contents, const uint32_t *files)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < contents->n_calls; i++) {
        const struct kept_call *call = &contents->calls[i];
        const struct symbol_call row = {
            .group = group,
            .back = call->parent == KEPT_NONE ? 0 : (uint32_t)i - call->parent,
            .function = call->function + 1,
            .call_file = call->call_file == KEPT_NONE ? 0 : files[call->call_file],
            .call_line = call->call_line,
        };
        r = symbol_rows_add(writing, SYMBOL_TABLE_CALLS, &row, 1);
    }
    for (size_t i = 0; r == 0 && i < contents->n_lines; i++) {
        const struct kept_line *line = &contents->lines[i];
        const struct symbol_line row = {
            .group = group,
            .file = line->file == KEPT_NONE ? 0 : files[line->file],
            .line = line->line,
            .call = line->call + 1,
            .start_addr = line->start_addr,
        };
        r = symbol_rows_add(writing, SYMBOL_TABLE_LINES, &row, 1);
    }
    return r;
}

static int write_layout(struct symbol_writing *writing, uint32_t group,
                        const struct elf_layout *layout)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < layout->n_segments; i++) {
        const struct symbol_segment row = {
            .group = group,
            .file_offset = layout->segments[i].file_offset,
            .n_bytes = layout->segments[i].n_bytes,
            .image_addr = layout->segments[i].image_addr,
        };
        r = symbol_rows_add(writing, SYMBOL_TABLE_SEGMENTS, &row, 1);
    }
    return r;
}

static int write_symbols(struct symbol_writing *writing, uint32_t group,
                         const struct kept_symbols *kept, struct symbol_group *row)
{
    struct kept_contents contents = kept_symbols_contents(kept);
    struct symbol_source_info info;
    kept_symbols_describe(kept, &info);
    row->flags |= SYMBOL_GROUP_HAS_SYMBOLS;
    row->flags |= contents.layout->n_segments > 0 ? SYMBOL_GROUP_NAMES_BY_LAYOUT : 0;
    row->state = (uint8_t)info.state;
    row->n_functions = info.n_functions;
    uint32_t *files = calloc(contents.n_files + 1, sizeof(*files));
    int r = files ? symbol_text(writing, info.origin, &row->origin) : -ENOMEM;
    r = r ? r : symbol_text(writing, info.failure, &row->failure);
    for (size_t i = 0; r == 0 && i < contents.n_files; i++) {
        r = symbol_text(writing, contents.files[i], &files[i]);
    }
    r = r ? r : write_functions(writing, group, &contents);
    r = r ? r : write_lines(writing, group, &contents, files);
    free(files);
    return r;
}

static int write_pieces(struct symbol_writing *writing, uint32_t group,
                        const struct kept_code *code)
{
    size_t n_pieces, n_bounds;
    const struct kept_piece *pieces = kept_code_pieces(code, &n_pieces);
    const struct kept_bounds *bounds = kept_code_all_bounds(code, &n_bounds);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n_pieces; i++) {
        struct symbol_piece row = {
            .group = group,
            .pid = (uint64_t)pieces[i].pid,
            .start_addr = pieces[i].start_addr,
            .n_bytes = pieces[i].end_addr - pieces[i].start_addr,
            .n_read_bytes = pieces[i].n_bytes,
        };
        r = symbol_text(writing, pieces[i].origin, &row.origin);
        r = r ? r : symbol_text(writing, pieces[i].failure, &row.failure);
        r = r ? r : symbol_text(writing, pieces[i].hint, &row.hint);
        r = r ? r : symbol_rows_add(writing, SYMBOL_TABLE_PIECES, &row, 1);
        r = r ? r : symbol_rows_add(writing, SYMBOL_TABLE_CODE, pieces[i].bytes, pieces[i].n_bytes);
    }
    for (size_t i = 0; r == 0 && i < n_bounds; i++) {
        const struct symbol_bounds row = {
            .group = group,
            .start_addr = bounds[i].start_addr,
            .n_bytes = bounds[i].end_addr - bounds[i].start_addr,
        };
        r = symbol_rows_add(writing, SYMBOL_TABLE_BOUNDS, &row, 1);
    }
    return r;
}

static int write_group(struct symbol_writing *writing, uint32_t number)
{
    const struct kept_group *group = &writing->symbols->groups[number];
    const struct kept_code_facts *facts = group->code ? kept_code_facts(group->code) : NULL;
    struct symbol_group row = {0};
    const struct elf_layout *layout =
        group->symbols ? kept_symbols_contents(group->symbols).layout : NULL;
    int r = group->symbols ? write_symbols(writing, number, group->symbols, &row) : 0;
    if (facts) {
        row.flags |= SYMBOL_GROUP_HAS_CODE | (facts->has_file ? SYMBOL_GROUP_HAS_FILE : 0);
        row.machine = facts->machine == DISASM_MACHINE_X86_64 ? 1 : 2;
        row.modified_s = (uint64_t)facts->modified_s;
        layout = layout && layout->n_segments > 0 ? layout : &facts->layout;
        r = r ? r : symbol_text(writing, facts->open_failure, &row.open_failure);
        r = r ? r : write_pieces(writing, number, group->code);
    }
    if (layout) {
        row.n_executable = (uint8_t)layout->n_executable;
        r = r ? r : write_layout(writing, number, layout);
    }
    return r ? r : symbol_rows_add(writing, SYMBOL_TABLE_GROUPS, &row, 1);
}

static int write_images(struct symbol_writing *writing)
{
    int r = 0;
    for (uint32_t image = 0; r == 0 && image < writing->snapshot->n_images; image++) {
        const struct symbol_image row = {
            .image = image,
            .group = hash_table_find(&writing->symbols->group_numbers, image),
        };
        if (row.group != HASH_TABLE_NONE) {
            r = symbol_rows_add(writing, SYMBOL_TABLE_IMAGES, &row, 1);
        }
    }
    return r;
}

static int write_sources(struct symbol_writing *writing)
{
    const struct kept_sources *kept = writing->symbols->sources;
    if (!kept) {
        return 0;
    }
    size_t n_files, n_lines;
    const struct kept_source_file *files = kept_sources_files(kept, &n_files);
    const struct kept_source_line *lines = kept_sources_lines(kept, &n_lines);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n_files; i++) {
        struct symbol_source_file row = {.modified_s = (uint64_t)files[i].modified_s};
        r = symbol_text(writing, files[i].path, &row.path);
        r = r ? r : symbol_text(writing, files[i].found, &row.found);
        r = r ? r : symbol_rows_add(writing, SYMBOL_TABLE_SOURCES, &row, 1);
    }
    for (size_t i = 0; r == 0 && i < n_lines; i++) {
        struct symbol_source_text row = {.file = lines[i].file, .line = lines[i].line};
        r = symbol_text(writing, lines[i].text, &row.text);
        r = r ? r : symbol_rows_add(writing, SYMBOL_TABLE_SOURCE_LINES, &row, 1);
    }
    writing->stats->n_source_lines = n_lines;
    return r;
}

/* Members -------------------------------------------------------------------------------------- */

static int write_member(struct symbol_writing *writing, enum symbol_table kind, const void *rows,
                        size_t n_rows, struct archive_writer *writer, struct error *reterr_error)
{
    if (n_rows == 0) {
        return 0;
    }
    const struct symbol_table_info *info = symbol_table(kind);
    _cleanup_(column_buffer_releasep) struct column_buffer buffer = {0};
    int r = column_append(&buffer, &info->columns, rows, n_rows);
    if (r < 0) {
        error_set_errno(reterr_error, r, "writing symbols");
        return r;
    }
    writing->stats->n_bytes += buffer.n_bytes;
    return archive_writer_add(writer, info->member, buffer.bytes, buffer.n_bytes, reterr_error);
}

static int write_members(struct symbol_writing *writing, struct archive_writer *writer,
                         struct error *reterr_error)
{
    int r = write_member(writing, SYMBOL_TABLE_NAMES, writing->texts.bytes, writing->texts.n_bytes,
                         writer, reterr_error);
    for (int kind = 0; r == 0 && kind < SYMBOL_TABLE_N; kind++) {
        const struct symbol_rows *rows = &writing->tables[kind];
        r = write_member(writing, (enum symbol_table)kind, rows->rows, rows->n_rows, writer,
                         reterr_error);
    }
    return r;
}

static int gather(struct symbol_writing *writing)
{
    int r = symbol_gather(writing);
    r = r ? r : made_gather(writing);
    r = r ? r : source_gather(writing);
    for (uint32_t i = 0; r == 0 && i < writing->symbols->n_groups; i++) {
        r = write_group(writing, i);
    }
    r = r ? r : write_images(writing);
    return r ? r : write_sources(writing);
}

/* In whose file system: the process that most images are of is the target. */
static int64_t target_pid_of(const struct snapshot *snapshot)
{
    for (image_id id = IMAGE_ID_FIRST; id < snapshot->n_images; id++) {
        const struct image *image = snapshot_image(snapshot, id);
        if (image->kind == IMAGE_KIND_FILE && image->pid > 0) {
            return image->pid;
        }
    }
    return 0;
}

int run_symbols_write(const struct snapshot *snapshot, struct query_names *names,
                      const struct run_symbols_options *options, struct archive_writer *writer,
                      struct run_symbols_stats *ret_stats, struct error *reterr_error)
{
    uint64_t start_ns = clock_now_ns();
    query_names_settle(names, options->timeout_ms);
    query_names_settle_chains(names, snapshot, options->timeout_ms);
    *ret_stats = (struct run_symbols_stats){0};
    _cleanup_(run_symbols_freep) struct run_symbols *symbols = NULL;
    struct symbol_writing writing = {
        .snapshot = snapshot,
        .names = names,
        .options = options,
        .target_pid = target_pid_of(snapshot),
        .until_ns = start_ns + (uint64_t)options->timeout_ms * NS_PER_MS,
        .stats = ret_stats,
    };
    int r = run_symbols_new(&symbols);
    writing.symbols = symbols;
    r = r ? r : history_names_init(&writing.texts);
    if (r == 0) {
        r = gather(&writing);
        if (r < 0) {
            error_set_errno(reterr_error, r, "gathering symbols");
        } else {
            r = write_members(&writing, writer, reterr_error);
        }
        ret_stats->n_no_room += writing.texts.n_left_out;
        history_names_release(&writing.texts);
    } else {
        error_set_errno(reterr_error, r, "gathering symbols");
    }
    for (int kind = 0; kind < SYMBOL_TABLE_N; kind++) {
        symbol_rows_release(&writing.tables[kind]);
    }
    ret_stats->took_ns = clock_now_ns() - start_ns;
    return r;
}
