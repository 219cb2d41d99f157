/* SPDX-License-Identifier: MIT */
/*
 * The text itself becomes the table's names: in a first pass the ends of names
 * and modules turn into NULs, in a second one its lines become functions.
 */
#include "symbols/kallsyms.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define FUNCTION_MAX_BYTES (UINT64_C(1) << 20)
#define ADDRESS_MAX_DIGITS 16

static pthread_mutex_t lent_lock = PTHREAD_MUTEX_INITIALIZER;
static int lent_fd = -1;

void kallsyms_lend(int take_fd)
{
    pthread_mutex_lock(&lent_lock);
    fd_close(lent_fd);
    lent_fd = take_fd;
    pthread_mutex_unlock(&lent_lock);
}

/* Keeps what is there where there is nothing better. */
static void read_lent(char **inout_text, size_t *inout_n_bytes)
{
    char *text;
    size_t n_bytes;
    pthread_mutex_lock(&lent_lock);
    if (lent_fd >= 0 && lseek(lent_fd, 0, SEEK_SET) == 0 &&
        fd_read_all(lent_fd, KALLSYMS_MAX_BYTES, &text, &n_bytes) == 0) {
        free(*inout_text);
        *inout_text = text;
        *inout_n_bytes = n_bytes;
    }
    pthread_mutex_unlock(&lent_lock);
}

/* Every address is zero for a reader who is not to know; otherwise only those of data that each
 * CPU has of its own, which come first. */
static bool is_hidden(const char *text)
{
    return !strstr(text, "\nffff");
}

int kallsyms_read(char **ret_text, size_t *ret_n_bytes, struct error *reterr_error)
{
    int r = fd_read_file("/proc/kallsyms", KALLSYMS_MAX_BYTES, ret_text, ret_n_bytes);
    if (r < 0) {
        error_set_errno(reterr_error, r, "reading /proc/kallsyms");
    } else if (is_hidden(*ret_text)) {
        read_lent(ret_text, ret_n_bytes);
    }
    return r;
}

/* The beginning of the first line from `at` on that ends with the mark of a module, or the end. */
static size_t find_line(const char *text, size_t n_bytes, size_t at, const char *mark)
{
    const char *found = memmem(text + at, n_bytes - at, mark, strlen(mark));
    if (!found) {
        return n_bytes;
    }
    const char *newline = memrchr(text + at, '\n', (size_t)(found - (text + at)));
    return newline ? (size_t)(newline - text) + 1 : at;
}

static size_t smaller_of(size_t one, size_t other)
{
    return one < other ? one : other;
}

void kallsyms_split(char *text, size_t n_bytes, struct kallsyms_piece ret_pieces[KALLSYMS_PART_N])
{
    size_t modules = find_line(text, n_bytes, 0, "\t[");
    size_t programs = smaller_of(find_line(text, n_bytes, modules, "\t[bpf]"),
                                 find_line(text, n_bytes, modules, "\t[__builtin__"));
    size_t starts[KALLSYMS_PART_N + 1] = {0, modules, programs, n_bytes};
    for (size_t i = 0; i < KALLSYMS_PART_N; i++) {
        size_t end = starts[i + 1];
        ret_pieces[i] = (struct kallsyms_piece){text + starts[i], end - starts[i]};
        /* The newline before the next part becomes this one's end. */
        if (end > starts[i] && text[end - 1] == '\n') {
            text[end - 1] = '\0';
            ret_pieces[i].n_bytes--;
        }
    }
}

/* One line: "ffffffff81000000 T _text" or "ffffffffc0000000 t nf_nat_init\t[nf_nat]". */
struct line {
    uint64_t address;
    char letter;
    size_t name, module; /* offsets in the text; module 0: none */
    size_t next;
};

static void end_strings(char *text, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        if (text[i] == '\n' || text[i] == '\t') {
            text[i] = '\0';
        }
    }
}

static size_t skip_string(const char *text, size_t n_bytes, size_t at)
{
    at += strlen(text + at);
    return at < n_bytes ? at + 1 : n_bytes;
}

/* Always advances ret_line->next; false for lines that make no sense. */
static bool parse_line(const char *text, size_t n_bytes, size_t at, struct line *ret_line)
{
    struct line line = {.next = skip_string(text, n_bytes, at)};
    if (line.next < n_bytes && text[line.next] == '[') {
        line.module = line.next;
        line.next = skip_string(text, n_bytes, line.next);
    }
    size_t n_digits = 0;
    for (;; at++, n_digits++) {
        char digit = text[at];
        if (digit >= '0' && digit <= '9') {
            line.address = line.address << 4 | (uint64_t)(digit - '0');
        } else if (digit >= 'a' && digit <= 'f') {
            line.address = line.address << 4 | (uint64_t)(digit - 'a' + 10);
        } else {
            break;
        }
    }
    bool is_line = n_digits > 0 && n_digits <= ADDRESS_MAX_DIGITS && text[at] == ' ' &&
                   text[at + 1] != '\0' && text[at + 2] == ' ' && text[at + 3] != '\0';
    if (is_line) {
        line.letter = text[at + 1];
        line.name = at + 3;
    }
    *ret_line = line;
    return is_line;
}

static enum function_rank rank_of(char letter)
{
    switch (letter) {
    case 'T':
        return FUNCTION_RANK_GLOBAL;
    case 'W':
    case 'w':
        return FUNCTION_RANK_WEAK;
    case 't':
        return FUNCTION_RANK_LOCAL;
    default:
        return FUNCTION_RANK_BOUNDARY;
    }
}

static int add_lines(struct function_table *table, const char *text, size_t n_bytes,
                     uint32_t names_base, bool *ret_has_address)
{
    *ret_has_address = false;
    size_t module = 0;
    for (size_t at = 0; at < n_bytes;) {
        struct line line;
        bool is_line = parse_line(text, n_bytes, at, &line);
        at = line.next;
        if (!is_line || line.address == 0 || line.address > UINT64_MAX - FUNCTION_MAX_BYTES) {
            continue;
        }
        /* Modules come in one piece each: one string serves all functions of one. */
        if (line.module != 0 && (module == 0 || strcmp(text + module, text + line.module) != 0)) {
            module = line.module;
        }
        struct function_entry entry = {
            .start_address = line.address,
            .end_limit = line.address + FUNCTION_MAX_BYTES,
            .name = names_base + (uint32_t)line.name,
            .module = line.module != 0 ? names_base + (uint32_t)module : 0,
            .rank = rank_of(line.letter),
        };
        int r = function_table_add(table, &entry);
        if (r < 0) {
            return r;
        }
        *ret_has_address = true;
    }
    return 0;
}

/* kptr_restrict 0 still asks ordinary users for a perf_event_paranoid of at most 1. */
static const char *explain_hidden(void)
{
    _cleanup_(freep) char *value = NULL;
    size_t n_bytes;
    bool is_unrestricted =
        fd_read_file("/proc/sys/kernel/kptr_restrict", 64, &value, &n_bytes) == 0 &&
        value[0] == '0';
    return is_unrestricted ? "perf_event_paranoid above 1 hides kernel addresses"
                           : "kptr_restrict hides kernel addresses";
}

int kallsyms_parse(char *text, size_t n_bytes, struct function_table **ret_table,
                   struct error *reterr_error)
{
    _cleanup_(function_table_freep) struct function_table *table = NULL;
    end_strings(text, n_bytes);
    uint32_t names_base = 0;
    bool has_address = false;
    int r = function_table_new("[kernel]", FRAME_KIND_KERNEL, &table);
    if (r == 0) {
        r = function_table_add_names(table, text, n_bytes, &names_base);
    }
    if (r == 0) {
        r = add_lines(table, text, n_bytes, names_base, &has_address);
    }
    if (r == 0) {
        r = function_table_sort(table);
    }
    if (r < 0) {
        error_set_errno(reterr_error, r, "loading kernel symbols");
        return r;
    }
    if (!has_address) {
        error_set(reterr_error, "kernel_hidden", "%s", explain_hidden());
        return -EACCES;
    }
    *ret_table = TAKE_PTR(table);
    return 0;
}
