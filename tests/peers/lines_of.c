/* SPDX-License-Identifier: MIT */
/*
 * lines_of - the chains of functions at addresses of a file, as addr2line prints them
 *
 * usage: lines_of [-s] FILE [ALTERNATE] < addresses
 *
 * Reads hexadecimal link-time addresses, and prints for each what
 * `addr2line -a -i -f -C -e FILE` would: the address, then a function and a
 * place for each function of the chain, innermost first. -s prints times and
 * sizes on stderr. Everything goes through the code that the server uses, on
 * one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "dwarf/code_index.h"
#include "images/elf_file.h"
#include "symbols/demangle.h"
#include "symbols/elf_symbols.h"
#include "symbols/function_table.h"

struct subject {
    struct function_table *functions;
    struct dwarf_file *dwarf;
    struct code_index **indexes; /* by unit */
    size_t n_loaded, index_bytes;
    uint64_t loading_ns;
};

/* As in the server, a name is demangled once. */
static void print_function(struct code_function *function)
{
    if (!function->known && function->name) {
        char *name = function->is_mangled ? demangle(function->name) : NULL;
        function->known = name ? name : function->name;
    }
    printf("%s\n", function->known ? (const char *)function->known : "??");
}

static void print_place(const char *file, uint32_t line)
{
    if (line > 0) {
        printf("%s:%u\n", file ? file : "??", line);
    } else {
        printf("%s:?\n", file ? file : "??");
    }
}

static struct code_index *index_of(struct subject *subject, uint64_t address)
{
    uint32_t unit = dwarf_file_find_unit(subject->dwarf, address);
    if (unit == DWARF_UNIT_NONE) {
        return NULL;
    }
    if (!subject->indexes[unit]) {
        uint64_t start_ns = clock_now_ns();
        if (code_index_build(subject->dwarf, unit, &subject->indexes[unit]) < 0) {
            return NULL;
        }
        subject->loading_ns += clock_now_ns() - start_ns;
        subject->n_loaded++;
        subject->index_bytes += subject->indexes[unit]->n_bytes;
    }
    return subject->indexes[unit];
}

static void print_chain(struct subject *subject, uint64_t address)
{
    struct code_index *index = index_of(subject, address);
    const struct code_line *row = index ? code_index_find_line(index, address) : NULL;
    const char *file = row && row->file != CODE_INDEX_NONE ? index->files[row->file].path : NULL;
    uint32_t line = row ? row->line : 0;
    uint32_t call = index ? code_index_find_call(index, address) : CODE_INDEX_NONE;
    while (call != CODE_INDEX_NONE) {
        const struct code_call *made = &index->calls[call];
        print_function(&index->functions[made->function]);
        print_place(file, line);
        file = made->call_file != CODE_INDEX_NONE ? index->files[made->call_file].path : NULL;
        line = made->call_line;
        call = made->parent;
    }
    const struct symbol *symbol = function_table_find(subject->functions, address);
    printf("%s\n", symbol ? symbol->name : "??");
    print_place(file, line);
}

static int load_functions(const char *path, struct function_table **ret_functions)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_(elf_file_freep) struct elf_file *elf = NULL;
    int r = fd < 0 ? -errno : elf_file_open_descriptor(fd, &elf, NULL);
    if (r == 0) {
        r = function_table_new("image", FRAME_KIND_USER, ret_functions);
    }
    const char *origin;
    return r < 0 ? r : elf_symbols_load(elf, *ret_functions, &origin);
}

static size_t print_all(struct subject *subject)
{
    char text[64];
    size_t n_addresses = 0;
    while (fgets(text, sizeof(text), stdin)) {
        uint64_t address = strtoull(text, NULL, 16);
        printf("0x%016" PRIx64 "\n", address);
        print_chain(subject, address);
        n_addresses++;
    }
    return n_addresses;
}

int main(int argc, char **argv)
{
    bool says_times = argc > 1 && strcmp(argv[1], "-s") == 0;
    argv += says_times;
    argc -= says_times;
    if (argc < 2) {
        fprintf(stderr, "usage: lines_of [-s] FILE [ALTERNATE] < addresses\n");
        return 2;
    }
    struct subject subject = {0};
    uint64_t start_ns = clock_now_ns();
    int alternate_fd = argc > 2 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
    int r = load_functions(argv[1], &subject.functions);
    if (r == 0) {
        r = dwarf_file_open(open(argv[1], O_RDONLY | O_CLOEXEC), alternate_fd, argv[1], NULL, 0,
                            &subject.dwarf);
    }
    if (r < 0 || !subject.dwarf) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
        return 1;
    }
    uint64_t opened_ns = clock_now_ns();
    subject.indexes = calloc(subject.dwarf->units.n_units + 1, sizeof(struct code_index *));
    if (!subject.indexes) {
        fprintf(stderr, "%s\n", strerror(ENOMEM));
        return 1;
    }
    size_t n_addresses = print_all(&subject);
    if (says_times) {
        fprintf(stderr,
                "opening %.1f ms, %zu units, %zu spans; %zu addresses in %.1f ms, of which %.1f ms "
                "loading %zu units into %.1f MB; sections in memory %.1f MB\n",
                (double)(opened_ns - start_ns) / 1e6, subject.dwarf->units.n_units,
                subject.dwarf->n_spans, n_addresses, (double)(clock_now_ns() - opened_ns) / 1e6,
                (double)subject.loading_ns / 1e6, subject.n_loaded,
                (double)subject.index_bytes / 1e6,
                (double)dwarf_file_memory_bytes(subject.dwarf) / 1e6);
    }
    return 0;
}
