/* SPDX-License-Identifier: MIT */
/*
 * Folded stacks: one stack per line, outermost function first, functions
 * separated by ";", then a space and how often it was met. The endings that
 * flame graph tools give to names say what a function is: _[k] of the kernel,
 * _[j] made at run time, _[i] inlined.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash_table.h"
#include "interchange/import_names.h"
#include "interchange/import_reader.h"
#include "interchange/import_weights.h"

#define START_NS NS_PER_S
#define PID 1
#define LIBRARY_NAME "[folded]"
/* A sample of a profiler that says nothing else; the weights of files with much larger numbers are
 * taken for nanoseconds. */
#define NS_PER_SAMPLE NS_PER_MS

struct known_frame {
    const char *text; /* in the file's bytes */
    size_t n_bytes;
    uint64_t ip;
};

struct import_reader {
    uint8_t *bytes; /* of the file */
    size_t n_bytes;
    struct arena stacks;
    struct import_names *names;
    struct import_weights weights;
    uint32_t library;
    struct known_frame *frames;
    size_t n_frames, frames_capacity;
    struct hash_table by_text;
    uint64_t total, n_lines, n_bad_lines, n_cut, n_rounded, n_two_counts;
    bool is_cut; /* the file ends too early */
    size_t n_mapped;
    struct import_notes notes;
};

/* ---- lines ---- */

struct line {
    const char *stack;
    size_t stack_bytes;
    uint64_t count;
    bool is_rounded;
};

static size_t without_spaces(const char *text, size_t n_bytes)
{
    while (n_bytes > 0 && isspace((unsigned char)text[n_bytes - 1])) {
        n_bytes--;
    }
    return n_bytes;
}

/* Where the last word of a text begins. */
static size_t last_word(const char *text, size_t n_bytes)
{
    while (n_bytes > 0 && !isspace((unsigned char)text[n_bytes - 1])) {
        n_bytes--;
    }
    return n_bytes;
}

/* "12" or "12.5". */
static bool read_count(const char *text, size_t n_bytes, struct line *ret_line)
{
    size_t at = 0;
    uint64_t count = 0;
    for (; at < n_bytes && isdigit((unsigned char)text[at]); at++) {
        if (at == 18) {
            return false;
        }
        count = count * 10 + (uint64_t)(text[at] - '0');
    }
    if (at == 0) {
        return false;
    }
    if (at < n_bytes) {
        if (text[at] != '.' || at + 1 == n_bytes) {
            return false;
        }
        count += text[at + 1] >= '5';
        ret_line->is_rounded = true;
        while (++at < n_bytes) {
            if (!isdigit((unsigned char)text[at])) {
                return false;
            }
        }
    }
    ret_line->count = count;
    return true;
}

/* Cuts the count off the end of a line. */
static bool read_line(const char *text, size_t n_bytes, struct line *ret_line)
{
    n_bytes = without_spaces(text, n_bytes);
    size_t at = last_word(text, n_bytes);
    *ret_line = (struct line){.stack = text, .stack_bytes = without_spaces(text, at)};
    return ret_line->stack_bytes > 0 && read_count(text + at, n_bytes - at, ret_line);
}

/* Is there one more number before the count, as where two profiles are compared? */
static bool has_two_counts(const struct line *line)
{
    struct line before;
    return memchr(line->stack, ';', line->stack_bytes) &&
           read_line(line->stack, line->stack_bytes, &before);
}

static bool is_text(const uint8_t *bytes, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        if (bytes[i] < 0x20 && bytes[i] != '\t' && bytes[i] != '\n' && bytes[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* Most lines end with a number, and all is text. */
static bool folded_is_mine(const uint8_t *first_bytes, size_t n_bytes)
{
    size_t n_lines = 0, n_good = 0;
    const char *at = (const char *)first_bytes, *end = at + n_bytes;
    if (n_bytes == 0 || first_bytes[0] == '{' || !is_text(first_bytes, n_bytes)) {
        return false;
    }
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t line_bytes = (size_t)((newline ? newline : end) - at);
        bool is_cut_off = !newline && n_bytes == IMPORT_DETECT_BYTES;
        bool has_functions = memchr(at, ';', line_bytes);
        if (is_cut_off && n_lines > 0) {
            break;
        }
        struct line line;
        if (line_bytes > 0 && at[0] != '#') {
            bool is_good = read_line(at, line_bytes, &line) || (is_cut_off && has_functions);
            if (n_lines == 0 && at[0] == '[' && !is_good && !has_functions) {
                return false; /* an array of JSON */
            }
            n_lines++;
            n_good += is_good;
        }
        at += line_bytes + 1;
    }
    return n_good > 0 && n_good * 2 > n_lines;
}

/* ---- frames ---- */

static bool is_frame(uint32_t index, const void *wanted, const void *userdata)
{
    const struct import_reader *reader = userdata;
    const struct known_frame *known = &reader->frames[index], *other = wanted;
    return known->n_bytes == other->n_bytes &&
           memcmp(known->text, other->text, known->n_bytes) == 0;
}

static char take_ending(const char *text, size_t *n_bytes)
{
    size_t n = *n_bytes;
    if (n > 4 && text[n - 4] == '_' && text[n - 3] == '[' && text[n - 1] == ']' &&
        strchr("kji", text[n - 2])) {
        *n_bytes = n - 4;
        return text[n - 2];
    }
    return '\0';
}

static int make_frame(struct import_reader *reader, struct known_frame *frame)
{
    size_t name_bytes = frame->n_bytes;
    char ending = take_ending(frame->text, &name_bytes);
    const struct import_frame place = {
        .function = frame->text,
        .function_bytes = name_bytes,
        .is_kernel = ending == 'k',
        .is_jit = ending == 'j',
    };
    if (reader->n_frames == reader->frames_capacity) {
        size_t capacity = reader->frames_capacity ? 2 * reader->frames_capacity : 1024;
        void *grown = reallocarray(reader->frames, capacity, sizeof(*reader->frames));
        if (!grown) {
            return -ENOMEM;
        }
        reader->frames = grown;
        reader->frames_capacity = capacity;
    }
    return import_names_add(reader->names, reader->library, &place, 1, &frame->ip);
}

static int intern_frame(struct import_reader *reader, const char *text, size_t n_bytes,
                        uint64_t *ret_ip)
{
    struct known_frame frame = {.text = text, .n_bytes = n_bytes};
    uint64_t hash = hash_bytes(text, n_bytes);
    uint32_t found = hash_table_find_equal(&reader->by_text, hash, is_frame, &frame, reader);
    if (found != HASH_TABLE_NONE) {
        *ret_ip = reader->frames[found].ip;
        return 0;
    }
    int r = make_frame(reader, &frame);
    r = r ? r : hash_table_add(&reader->by_text, hash, (uint32_t)reader->n_frames);
    if (r == 0) {
        reader->frames[reader->n_frames++] = frame;
        *ret_ip = frame.ip;
    }
    return r;
}

/* From the end of the line, where the innermost function stands. */
static int take_stack(struct import_reader *reader, const struct line *line)
{
    uint64_t ips[LIMIT_STACK_IPS];
    size_t n_ips = 0, end = line->stack_bytes;
    while (end > 0 && n_ips < LIMIT_STACK_IPS) {
        const char *separator = memrchr(line->stack, ';', end);
        size_t start = separator ? (size_t)(separator - line->stack) + 1 : 0;
        if (start < end) {
            int r = intern_frame(reader, line->stack + start, end - start, &ips[n_ips++]);
            if (r < 0) {
                return r;
            }
        }
        end = start > 0 ? start - 1 : 0;
    }
    reader->n_cut += end > 0;
    uint32_t n_kernel_ips = import_names_make_stack(ips, n_ips);
    uint64_t *kept = arena_alloc_array(&reader->stacks, n_ips, sizeof(*kept));
    if (!kept) {
        return -ENOMEM;
    }
    memcpy(kept, ips, n_ips * sizeof(*kept));
    const struct import_weight weight = {
        .ips = kept,
        .n_ips = (uint32_t)n_ips,
        .n_kernel_ips = n_kernel_ips,
        .tid = PID,
        .n_samples = line->count,
    };
    return import_weights_add(&reader->weights, &weight);
}

static int take_lines(struct import_reader *reader)
{
    const char *at = (const char *)reader->bytes, *end = at + reader->n_bytes;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t line_bytes = (size_t)((newline ? newline : end) - at);
        struct line line;
        if (!newline && reader->is_cut) {
            break; /* of its count a part may be missing */
        }
        if (line_bytes > 0 && at[0] != '#') {
            reader->n_lines++;
            if (read_line(at, line_bytes, &line)) {
                reader->n_rounded += line.is_rounded;
                reader->n_two_counts += has_two_counts(&line);
                int r = take_stack(reader, &line);
                if (r < 0) {
                    return r;
                }
                reader->total = __builtin_add_overflow(reader->total, line.count, &reader->total)
                                    ? UINT64_MAX
                                    : reader->total;
            } else {
                reader->n_bad_lines++;
            }
        }
        at += line_bytes + 1;
    }
    return 0;
}

/* ---- the reader ---- */

static struct import_reader *folded_free(struct import_reader *reader)
{
    if (reader) {
        free(reader->bytes);
        free(reader->frames);
        hash_table_release(&reader->by_text);
        arena_release(&reader->stacks);
        import_weights_release(&reader->weights);
        import_names_free(reader->names);
        free(reader);
    }
    return NULL;
}

static void folded_freep(struct import_reader **reader)
{
    *reader = folded_free(*reader);
}

static void note_all(struct import_reader *reader, bool is_samples)
{
    if (is_samples) {
        import_note(&reader->notes,
                    "folded stacks tell no times: each of their samples counts as 1 ms");
    } else {
        import_note(&reader->notes,
                    "folded stacks tell no units: their numbers are taken for nanoseconds");
    }
    if (reader->n_bad_lines > 0) {
        import_note(&reader->notes, "%llu of %llu lines do not end with a number: left out",
                    (unsigned long long)reader->n_bad_lines, (unsigned long long)reader->n_lines);
    }
    if (reader->n_rounded > 0) {
        import_note(&reader->notes, "the numbers of %llu lines are rounded to whole ones",
                    (unsigned long long)reader->n_rounded);
    }
    if (reader->is_cut) {
        import_note(&reader->notes, IMPORT_NOTE_DAMAGED);
    }
    if (reader->n_cut > 0) {
        import_note(&reader->notes, "%llu stacks are deeper than %d functions: cut",
                    (unsigned long long)reader->n_cut, LIMIT_STACK_IPS);
    }
}

/* Either numbers of samples, or, where there would be too many, times. */
static int weigh(struct import_reader *reader)
{
    bool is_samples = reader->total <= IMPORT_MAX_PLAYED, is_scaled;
    for (size_t i = 0; i < reader->weights.n_weights; i++) {
        struct import_weight *weight = &reader->weights.weights[i];
        weight->ns = is_samples ? weight->n_samples * NS_PER_SAMPLE : weight->n_samples;
        weight->n_samples = is_samples ? weight->n_samples : 1;
    }
    note_all(reader, is_samples);
    int r = import_weights_begin(&reader->weights, PID, START_NS, 0, &is_scaled);
    import_weights_note(&reader->weights, is_scaled, &reader->notes);
    return r;
}

static int folded_open(const char *path, struct import_reader **ret_reader,
                       struct error *reterr_error)
{
    _cleanup_(folded_freep) struct import_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        error_set_errno(reterr_error, -ENOMEM, "reading folded stacks");
        return -ENOMEM;
    }
    arena_init(&reader->stacks, IMPORT_MAX_STACK_BYTES);
    hash_table_init(&reader->by_text);
    import_weights_init(&reader->weights);
    int r =
        import_read_whole(path, &reader->bytes, &reader->n_bytes, &reader->is_cut, reterr_error);
    if (r < 0) {
        return r;
    }
    r = import_names_new(&reader->names);
    r = r ? r
          : import_names_library(reader->names, LIBRARY_NAME, strlen(LIBRARY_NAME),
                                 &reader->library);
    r = r ? r : take_lines(reader);
    r = r ? r : import_names_finish(reader->names);
    r = r ? r : weigh(reader);
    if (r < 0) {
        error_set_errno(reterr_error, r, "reading folded stacks");
        return r;
    }
    if (reader->n_two_counts > 0 && reader->n_two_counts == reader->n_lines - reader->n_bad_lines) {
        error_set(reterr_error, "archive_invalid",
                  "%s has two numbers behind each stack: it compares two profiles", path);
        error_hint(reterr_error, "open the two files that it was made of, and compare their runs");
        return -EBADMSG;
    }
    if (reader->weights.n_weights == 0) {
        error_set(reterr_error, "archive_invalid", "%s has no stack with a number behind it", path);
        return -EBADMSG;
    }
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

static void folded_facts(const struct import_reader *reader, struct import_facts *ret_facts)
{
    *ret_facts = (struct import_facts){
        .format = IMPORT_FOLDED,
        .n_samples = reader->weights.n_samples,
    };
}

static int folded_next(struct import_reader *reader, struct event_batch *batch)
{
    for (; reader->n_mapped < import_names_n_libraries(reader->names); reader->n_mapped++) {
        if (!event_batch_has_room(batch)) {
            return 1;
        }
        if (reader->n_mapped == 0) {
            import_tell_thread(batch, PID, PID, START_NS, LIBRARY_NAME);
        }
        (void)import_names_map(reader->names, reader->n_mapped, PID, START_NS, batch);
    }
    return import_weights_play(&reader->weights, batch);
}

static const struct import_notes *folded_notes(const struct import_reader *reader)
{
    return &reader->notes;
}

static struct kept_symbols *folded_find_symbols(const struct import_reader *reader,
                                                const struct image *image)
{
    return import_names_find_symbols(reader->names, image);
}

const struct import_reader_ops import_folded_ops = {
    .format = IMPORT_FOLDED,
    .name = "folded stacks",
    .is_mine = folded_is_mine,
    .open = folded_open,
    .free = folded_free,
    .facts = folded_facts,
    .next = folded_next,
    .notes = folded_notes,
    .find_symbols = folded_find_symbols,
};
