/* SPDX-License-Identifier: MIT */
/*
 * One line per instruction: a mark for the hottest, its share of the function,
 * samples, a mark for where jumps lead to, address, bytes, instruction. Where
 * the source line changes it stands on a line of its own above.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/brief_name.h"
#include "cli/label.h"
#include "cli/quantity.h"
#include "cli/render.h"
#include "cli/table.h"

#define LINE_MAX_BYTES (64u * 1024)
#define TAB_COLUMNS 4
#define HOT_PCT 0.05 /* a share that is told; below it the column says 0.0 */

struct page {
    const struct annotate_result *result;
    const struct render_annotate_style *style;
    const struct terminal *terminal;
    struct text *text;
    int samples_width, address_width, bytes_width;
    size_t hottest; /* line; SIZE_MAX: nothing was sampled */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] != '\0' ? slash + 1 : path;
}

static int max_width(int width, size_t other)
{
    return (int)other > width ? (int)other : width;
}

static void measure(struct page *page)
{
    const struct annotate_result *result = page->result;
    uint64_t most_ns = 0, most_samples = 0;
    page->samples_width = (int)strlen("samples");
    page->address_width = (int)strlen("address");
    page->hottest = SIZE_MAX;
    for (size_t i = 0; i < result->n_lines; i++) {
        const struct annotate_line *line = &result->lines[i];
        char number[QUANTITY_TEXT_BYTES];
        int length = snprintf(number, sizeof(number), "%" PRIu64, line->samples);
        page->samples_width = max_width(page->samples_width, (size_t)length);
        page->address_width = max_width(page->address_width, strlen(line->address));
        page->bytes_width = max_width(page->bytes_width, line->bytes ? strlen(line->bytes) : 0);
        if (line->self_active_ns > most_ns ||
            (line->self_active_ns == most_ns && line->samples > most_samples)) {
            most_ns = line->self_active_ns;
            most_samples = line->samples;
            page->hottest = i;
        }
    }
    if (!page->style->has_bytes) {
        page->bytes_width = 0;
    }
}

/* What others wrote, cut to what is left of the terminal's line. */
static void append_cut(struct page *page, struct text *line)
{
    label_append_shortened(page->text, line->data, page->terminal->width);
    text_append_char(page->text, '\n');
}

static void append_untabbed(struct text *line, const char *source)
{
    for (const char *at = source; *at; at++) {
        if (*at == '\t') {
            text_printf(line, "%*s", TAB_COLUMNS, "");
        } else {
            text_append_char(line, *at);
        }
    }
}

static bool is_same(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

static bool is_same_place(const struct annotate_line *one, const struct annotate_line *other)
{
    return one->line == other->line && is_same(one->file, other->file) &&
           is_same(one->inlined, other->inlined);
}

/* Only the first instruction of a source line brings its text; that one may be hidden. */
static const char *source_of(const struct page *page, const struct annotate_line *line)
{
    const struct annotate_line *first = line;
    while (!first->source && first > page->result->lines && is_same_place(first - 1, line)) {
        first--;
    }
    return first->source;
}

static void append_source(struct page *page, const struct annotate_line *line,
                          const struct annotate_line *before)
{
    if (!line->file || line->line == 0 || (before && is_same_place(before, line))) {
        return;
    }
    _cleanup_(text_releasep) struct text source;
    text_init(&source, LINE_MAX_BYTES);
    text_printf(&source, "%s:%" PRIu32, base_name(line->file), line->line);
    if (line->inlined) {
        text_append(&source, " (inlined ");
        brief_name_append(&source, line->inlined);
        text_append_char(&source, ')');
    }
    const char *words = source_of(page, line);
    if (words) {
        text_append(&source, "  ");
        append_untabbed(&source, words);
    }
    text_append(page->text, terminal_dim(page->terminal));
    append_cut(page, &source);
    text_append(page->text, terminal_plain(page->terminal));
}

static void append_place(const struct annotate_line *line, struct text *text)
{
    if (line->target_name) {
        text_append(text, "  <");
        brief_name_append(text, line->target_name);
        text_append_char(text, '>');
    } else if (line->branch_target && line->flow && strcmp(line->flow, "call") != 0) {
        /* Addresses of one width compare as text. */
        size_t length = strlen(line->address), target_length = strlen(line->branch_target);
        bool is_back = target_length != length ? target_length < length
                                               : strcmp(line->branch_target, line->address) <= 0;
        text_append(text, is_back ? "  ↑" : "  ↓");
    }
}

static void append_instruction(struct page *page, size_t index)
{
    const struct annotate_line *line = &page->result->lines[index];
    bool is_hottest = index == page->hottest;
    _cleanup_(text_releasep) struct text row;
    text_init(&row, LINE_MAX_BYTES);
    text_append(&row, is_hottest ? "> " : "  ");
    if (line->samples > 0 || line->pct >= HOT_PCT) {
        text_printf(&row, "%5.1f  %*" PRIu64 "  ", line->pct, page->samples_width, line->samples);
    } else {
        text_printf(&row, "%5s  %*s  ", "", page->samples_width, "");
    }
    text_append(&row, line->is_target ? "→ " : "  ");
    text_printf(&row, "%*s  ", page->address_width, line->address);
    if (page->bytes_width > 0) {
        text_printf(&row, "%-*s  ", page->bytes_width, line->bytes ? line->bytes : "");
    }
    text_append(&row, line->text ? line->text : "?");
    append_place(line, &row);
    const char *colour = "";
    if (line->pct >= 10.0) {
        colour = terminal_red(page->terminal);
    } else if (is_hottest || line->pct >= 1.0) {
        colour = terminal_bold(page->terminal);
    }
    text_append(page->text, colour);
    label_append_shortened(page->text, row.data, page->terminal->width);
    text_append(page->text, colour[0] != '\0' ? terminal_plain(page->terminal) : "");
    text_append_char(page->text, '\n');
}

/* Is one of the n_context lines on each side sampled? */
static bool is_wanted(const struct page *page, size_t index)
{
    if (!page->style->has_context) {
        return true;
    }
    size_t n_context = page->style->n_context;
    size_t from = index > n_context ? index - n_context : 0;
    for (size_t i = from; i < page->result->n_lines && i - from <= index - from + n_context; i++) {
        if (page->result->lines[i].samples > 0) {
            return true;
        }
    }
    return false;
}

static void append_lines(struct page *page)
{
    const struct annotate_result *result = page->result;
    text_printf(page->text, "  %5s  %*s  %*s  ", "%", page->samples_width, "samples",
                page->address_width + 2, "address");
    if (page->bytes_width > 0) {
        text_printf(page->text, "%-*s  ", page->bytes_width, "bytes");
    }
    text_append(page->text, "instruction\n");
    const struct annotate_line *before = NULL;
    size_t n_hidden = 0;
    for (size_t i = 0; i < result->n_lines; i++) {
        if (!is_wanted(page, i)) {
            n_hidden++;
            continue;
        }
        if (n_hidden > 0) {
            text_printf(page->text, "  …%zu instruction%s without samples\n", n_hidden,
                        quantity_plural(n_hidden));
            n_hidden = 0;
            before = NULL;
        }
        if (!page->style->no_source) {
            append_source(page, &result->lines[i], before);
        }
        append_instruction(page, i);
        before = &result->lines[i];
    }
    if (n_hidden > 0) {
        text_printf(page->text, "  …%zu instruction%s without samples\n", n_hidden,
                    quantity_plural(n_hidden));
    }
}

static void append_inlined_into(const struct page *page)
{
    static const struct table_column columns[] = {
        {"active ms", TABLE_RIGHT},
        {"samples", TABLE_RIGHT},
        {"type", TABLE_LEFT},
        {"function (image)", TABLE_LEFT},
    };
    _cleanup_(table_releasep) struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < page->result->n_inlined_into; i++) {
        const struct annotate_candidate *into = &page->result->inlined_into[i];
        table_add(&table, "%.2f", (double)into->self_active_ns / NS_PER_MS);
        table_add(&table, "%" PRIu64, into->self_samples);
        _cleanup_(text_releasep) struct text cell;
        text_init(&cell, LINE_MAX_BYTES);
        text_append(&cell, "stax annotate ");
        if (into->kind != FRAME_KIND_KERNEL && into->image) {
            label_append(&cell, into->image);
            text_append_char(&cell, '+');
        }
        text_append(&cell, into->address ? into->address : "?");
        table_add(&table, "%s", cell.data);
        text_clear(&cell);
        render_frame(into->name, into->image, false, &cell);
        table_add(&table, "%s", cell.data);
    }
    table_append(&table, page->terminal, page->text);
}

static const char *main_file(const struct annotate_result *result)
{
    for (size_t i = 0; i < result->n_lines; i++) {
        if (result->lines[i].file && !result->lines[i].inlined) {
            return result->lines[i].file;
        }
    }
    return NULL;
}

static void append_head(const struct page *page)
{
    const struct annotate_result *result = page->result;
    char active[QUANTITY_TEXT_BYTES];
    quantity_format_duration(result->self_active_ns, active);
    render_head(&result->run, &result->view, page->text);
    render_frame(result->name, result->image, result->inlined, page->text);
    text_append_char(page->text, '\n');
    text_printf(page->text, "%s self (%.1f %%), %" PRIu64 " sample%s", active, result->self_pct,
                result->self_samples, quantity_plural(result->self_samples));
    if (result->inlined_samples > 0) {
        quantity_format_duration(result->inlined_active_ns, active);
        text_printf(page->text, "; %s, %" PRIu64 " sample%s in code inlined into it", active,
                    result->inlined_samples, quantity_plural(result->inlined_samples));
    }
    if (!result->inlined) {
        text_printf(page->text, "; %" PRIu64 " bytes at %s", result->size, result->address);
    }
    const char *file = main_file(result);
    if (file) {
        text_append(page->text, "; ");
        label_append(page->text, file);
    }
    text_append_char(page->text, '\n');
}

void render_annotate(const struct annotate_result *result,
                     const struct render_annotate_style *style, const struct terminal *terminal,
                     struct text *text)
{
    struct page page = {.result = result, .style = style, .terminal = terminal, .text = text};
    measure(&page);
    append_head(&page);
    if (result->n_lines > 0) {
        append_lines(&page);
    }
    if (result->inlined) {
        text_append(text, "It has no code of its own; it was inlined into:\n");
    } else if (result->n_inlined_into > 0) {
        text_append(text, "It was inlined as well, into:\n");
    }
    if (result->n_inlined_into > 0) {
        append_inlined_into(&page);
    }
}
