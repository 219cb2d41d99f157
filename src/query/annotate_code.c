/* SPDX-License-Identifier: MIT */
/*
 * Code is decoded from its start on. Where bytes are no instruction (data
 * between functions, a wrong guess at where a nameless function begins), the
 * next sampled address is where an instruction begins for sure: nothing that
 * would reach over it is believed until then.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "query/annotate_internal.h"

#define MAX_CODE_BYTES ((uint64_t)1 << 20)
#define WINDOW_BYTES ((uint64_t)64 << 10) /* shown of what is longer than that */
#define BYTES_TEXT_MAX (3 * 16)

struct code {
    const struct query_context *context;
    const struct annotate_target *target;
    const struct annotate_piece *piece;
    struct code_reader *reader; /* NULL: the code cannot be had */
    const struct annotate_points *points;
    uint64_t start_addr;
    const uint8_t *bytes;
    size_t n_bytes;
    uint64_t function_ns;
    struct annotate_line *lines;
    uint64_t *addresses;
    size_t n_lines, n_room;
    size_t next_point;
    /* In-function targets of jumps, by line number of the jump. */
    uint64_t *targets;
    size_t n_targets;
};

static struct annotate_line *add_line(struct code *code, uint64_t address)
{
    if (code->n_lines == code->n_room) {
        return NULL;
    }
    code->addresses[code->n_lines] = address;
    struct annotate_line *line = &code->lines[code->n_lines++];
    *line = (struct annotate_line){.address = annotate_address(code->context->arena, address)};
    return line;
}

static void add_point(const struct code *code, const struct annotate_point *point,
                      struct annotate_line *line)
{
    line->samples += point->samples + point->inlined_samples;
    line->self_active_ns += point->ns + point->inlined_ns;
    line->pct = code->function_ns > 0
                    ? 100.0 * (double)line->self_active_ns / (double)code->function_ns
                    : 0;
}

/* Sampled addresses before `address` that no instruction covers: lines without text. */
static void add_uncovered(struct code *code, uint64_t address)
{
    while (code->next_point < code->points->n_points &&
           code->points->points[code->next_point].address < address) {
        const struct annotate_point *point = &code->points->points[code->next_point++];
        struct annotate_line *line = add_line(code, point->address);
        if (line) {
            add_point(code, point, line);
        }
    }
}

static const char *format_bytes(struct arena *arena, const uint8_t *bytes, size_t n_bytes)
{
    static const char digits[] = "0123456789abcdef";
    char text[BYTES_TEXT_MAX];
    size_t length = 0;
    for (size_t i = 0; i < n_bytes && length + 3 <= sizeof(text); i++) {
        text[length++] = digits[bytes[i] >> 4];
        text[length++] = digits[bytes[i] & 15];
        text[length++] = ' ';
    }
    return arena_strndup(arena, text, length > 0 ? length - 1 : 0);
}

static const char *flow_name(enum disasm_flow flow)
{
    switch (flow) {
    case DISASM_FLOW_JUMP:
        return "jump";
    case DISASM_FLOW_BRANCH:
        return "branch";
    case DISASM_FLOW_CALL:
        return "call";
    case DISASM_FLOW_RETURN:
        return "return";
    case DISASM_FLOW_BAD:
        return "bad";
    case DISASM_FLOW_NEXT:
        break;
    }
    return NULL;
}

/* The function that stands at another address of the same image. */
static const char *name_of(const struct code *code, uint64_t address)
{
    uint64_t offset;
    const struct symbol *symbol = NULL;
    if (code->target->source && code_reader_offset(code->reader, address, &offset)) {
        symbol = symbol_source_find(code->target->source, offset, NULL);
    }
    if (!symbol) {
        return NULL;
    }
    uint64_t distance = address - symbol->start_address;
    return distance == 0
               ? symbol->name
               : arena_printf(code->context->arena, "%s+0x%" PRIx64, symbol->name, distance);
}

static void add_target(struct code *code, const struct disasm_instruction *instruction,
                       struct annotate_line *line)
{
    uint64_t address = instruction->target_address;
    line->branch_target = annotate_address(code->context->arena, address);
    bool is_inside = address >= code->start_addr && address - code->start_addr < code->n_bytes;
    if (is_inside && instruction->flow != DISASM_FLOW_CALL) {
        code->targets[code->n_targets++] = address;
    } else {
        line->target_name = name_of(code, address);
    }
}

/* A point of the interior: the first sampled address behind the instruction's start. */
static bool reaches_over_point(const struct code *code,
                               const struct disasm_instruction *instruction)
{
    size_t next = code->next_point;
    const struct annotate_points *points = code->points;
    while (next < points->n_points && points->points[next].address <= instruction->address) {
        next++;
    }
    return next < points->n_points &&
           points->points[next].address < instruction->address + instruction->n_bytes;
}

static int add_instruction(struct code *code, const struct disasm_instruction *instruction)
{
    add_uncovered(code, instruction->address);
    struct annotate_line *line = add_line(code, instruction->address);
    if (!line) {
        return -ENOMEM;
    }
    struct arena *arena = code->context->arena;
    line->text = arena_strdup(arena, instruction->text);
    line->bytes = format_bytes(arena, code->bytes + (instruction->address - code->start_addr),
                               instruction->n_bytes);
    line->flow = flow_name(instruction->flow);
    if (!line->text || !line->bytes || !line->address) {
        return -ENOMEM;
    }
    if (instruction->has_target) {
        add_target(code, instruction, line);
    }
    const struct annotate_points *points = code->points;
    while (code->next_point < points->n_points &&
           points->points[code->next_point].address < instruction->address + instruction->n_bytes) {
        add_point(code, &points->points[code->next_point++], line);
    }
    return 0;
}

static int decode(struct code *code, struct disassembler *disassembler)
{
    bool is_lost = false;
    for (size_t at = 0; at < code->n_bytes;) {
        struct disasm_instruction instruction;
        const uint8_t *bytes = code->bytes + at;
        uint64_t address = code->start_addr + at;
        disassembler_decode(disassembler, bytes, code->n_bytes - at, address, &instruction);
        if (is_lost && instruction.flow != DISASM_FLOW_BAD &&
            reaches_over_point(code, &instruction)) {
            /* One byte alone is hardly ever one; what it is as data is true in any case. */
            disassembler_decode(disassembler, bytes, 1, address, &instruction);
        }
        is_lost = instruction.flow == DISASM_FLOW_BAD;
        int r = add_instruction(code, &instruction);
        if (r != 0) {
            return r;
        }
        at += instruction.n_bytes;
    }
    return 0;
}

static int by_value(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void mark_targets(struct code *code)
{
    qsort(code->targets, code->n_targets, sizeof(*code->targets), by_value);
    size_t next = 0;
    for (size_t i = 0; i < code->n_lines; i++) {
        while (next < code->n_targets && code->targets[next] < code->addresses[i]) {
            next++;
        }
        code->lines[i].is_target =
            next < code->n_targets && code->targets[next] == code->addresses[i];
    }
}

/* What is shown of code that is too long to be shown whole: the surroundings of its hottest part.
 */
static void choose_window(const struct code *code, uint64_t *inout_start, uint64_t *inout_end)
{
    uint64_t hottest = *inout_start, most_ns = 0;
    for (size_t i = 0; i < code->points->n_points; i++) {
        const struct annotate_point *point = &code->points->points[i];
        if (point->ns + point->inlined_ns > most_ns) {
            most_ns = point->ns + point->inlined_ns;
            hottest = point->address;
        }
    }
    /* A sampled address is where an instruction begins. */
    uint64_t low =
        hottest - *inout_start > WINDOW_BYTES / 2 ? hottest - WINDOW_BYTES / 2 : *inout_start;
    for (size_t i = 0; i < code->points->n_points && low != *inout_start; i++) {
        if (code->points->points[i].address >= low) {
            low = code->points->points[i].address;
            break;
        }
    }
    *inout_start = low;
    *inout_end = *inout_end - low > WINDOW_BYTES ? low + WINDOW_BYTES : *inout_end;
}

static int read_bytes(struct code *code, struct annotate_result *result)
{
    uint64_t start = code->piece->start_addr, end = code->piece->end_addr;
    if (start >= end) {
        return 0; /* only counted */
    }
    if (end - start > MAX_CODE_BYTES) {
        annotate_note(code->context, result,
                      "the function has %" PRIu64 " bytes: %" PRIu64
                      " around its hottest instruction are shown",
                      end - start, WINDOW_BYTES);
        choose_window(code, &start, &end);
    }
    struct error error = {0};
    uint8_t *bytes = arena_alloc(code->context->arena, end - start);
    if (!bytes) {
        return -ENOMEM;
    }
    ssize_t n_bytes = code_reader_read(code->reader, start, bytes, end - start, &error);
    if (n_bytes < 0) {
        annotate_note(code->context, result, "%s%s%s", error.message,
                      error.hint[0] != '\0' ? ": " : "", error.hint);
        return 0;
    }
    code->start_addr = start;
    code->bytes = bytes;
    code->n_bytes = (size_t)n_bytes;
    result->origin = code_reader_origin(code->reader);
    return 0;
}

static int show(struct code *code, struct annotate_result *result)
{
    _cleanup_(disassembler_freep) struct disassembler *disassembler = NULL;
    int r = code->reader ? read_bytes(code, result) : 0;
    if (r == 0 && code->n_bytes > 0) {
        struct error error = {0};
        enum disasm_machine machine = code_reader_machine(code->reader);
        result->machine = disasm_machine_name(machine);
        if (disassembler_new(machine, &disassembler, &error) != 0) {
            annotate_note(code->context, result, "%s: %s", error.message, error.hint);
            code->n_bytes = 0;
        }
    }
    if (r != 0) {
        return r;
    }
    struct arena *arena = code->context->arena;
    code->n_room = code->n_bytes + code->points->n_points + 1;
    code->lines = arena_alloc_array(arena, code->n_room, sizeof(*code->lines));
    code->addresses = arena_alloc_array(arena, code->n_room, sizeof(*code->addresses));
    code->targets = arena_alloc_array(arena, code->n_room, sizeof(*code->targets));
    if (!code->lines || !code->addresses || !code->targets) {
        return -ENOMEM;
    }
    r = disassembler ? decode(code, disassembler) : 0;
    if (r == 0) {
        add_uncovered(code, UINT64_MAX);
        mark_targets(code);
    }
    return r;
}

int annotate_append(const struct query_context *context, const struct annotate_lines *lines,
                    struct annotate_result *result)
{
    size_t n_lines = result->n_lines + lines->n_lines;
    struct annotate_line *all = arena_alloc_array(context->arena, n_lines, sizeof(*all));
    if (!all) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_lines; i++) {
        all[i] = i < result->n_lines ? result->lines[i] : lines->lines[i - result->n_lines];
    }
    result->lines = all;
    result->n_lines = n_lines;
    return 0;
}

/* Code that was made at run time. */
struct made_code {
    struct jit_code *jit; /* NULL: nothing is known of any */
    const struct annotate_piece *piece;
};

/* The bytes that a program's record of its own code holds; `offset` is its beginning. */
static ssize_t read_made(void *userdata, const struct image *image, uint64_t offset, void *buffer,
                         size_t n_bytes)
{
    const struct made_code *code = userdata;
    const struct jit_place *made = &code->piece->made;
    (void)image;
    return offset == made->start_ip ? jit_code_read(made, buffer, n_bytes) : -ENODATA;
}

/* As far as the program told: does the same code stand there now? */
static bool is_unchanged(void *userdata)
{
    const struct made_code *code = userdata;
    const struct annotate_piece *piece = code->piece;
    uint64_t now_ns = clock_now_ns();
    struct jit_place now;
    bool is_told =
        code->jit && jit_code_find(code->jit, piece->pid, piece->start_addr, now_ns, now_ns, &now);
    if (!piece->is_made) {
        return !is_told || now.from_ns <= piece->seen_ns;
    }
    return is_told && now.symbol == piece->made.symbol && now.start_ip == piece->made.start_ip &&
           now.from_ns <= piece->made.from_ns && now.to_ns > now_ns;
}

int annotate_code(const struct query_context *context, const struct query_annotate_options *options,
                  const struct annotate_target *target, const struct annotate_piece *piece,
                  uint64_t function_ns, struct annotate_result *result)
{
    struct made_code made = {.jit = query_names_jit(context->names), .piece = piece};
    const struct code_access wanted = {
        .is_target_alive = options->code.is_target_alive,
        .memory_pid = piece->pid,
        .seen_ns = piece->seen_ns,
        .userdata = &made,
        .read_recorded = piece->is_made ? read_made : NULL,
        .is_unchanged = piece->pid ? is_unchanged : NULL,
    };
    const struct code_access access = annotate_access(context, &wanted, target->image);
    _cleanup_(code_reader_freep) struct code_reader *reader = NULL;
    struct error error = {0};
    if (code_reader_open(&access, target->image, &reader, &error) != 0) {
        annotate_note(context, result, "the code of %s cannot be read: %s", target->image->name,
                      error.message);
    }
    struct code code = {
        .context = context,
        .target = target,
        .piece = piece,
        .reader = reader,
        .points = &piece->points,
        .function_ns = function_ns,
    };
    int r = show(&code, result);
    if (r != 0) {
        return r;
    }
    const struct annotate_lines lines = {
        .n_lines = code.n_lines,
        .lines = code.lines,
        .addresses = code.addresses,
        .code_modified_s = reader ? code_reader_modified_s(reader) : 0,
    };
    r = annotate_source(context, options, target, piece, &lines, result);
    return r != 0 ? r : annotate_append(context, &lines, result);
}
