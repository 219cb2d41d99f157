/* SPDX-License-Identifier: MIT */
#include "jit_write.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "burn.h"

#define MAGIC 0x4a695444u
#define HEADER_BYTES 40u
#define BUFFER_BYTES ((size_t)2 << 20)
#define SEARCH_TABLE_BYTES 20u /* of a .eh_frame_hdr without entries */

enum { CODE_LOAD, CODE_MOVE, DEBUG_INFO, CODE_CLOSE, UNWINDING_INFO };

static void put_u32(FILE *file, uint32_t value)
{
    fwrite(&value, sizeof value, 1, file);
}

static void put_u64(FILE *file, uint64_t value)
{
    fwrite(&value, sizeof value, 1, file);
}

static void put_prefix(FILE *file, uint32_t kind, size_t n_payload_bytes)
{
    put_u32(file, kind);
    put_u32(file, (uint32_t)(16 + n_payload_bytes));
    put_u64(file, clock_ns(CLOCK_MONOTONIC));
}

static int open_dump(struct jit_writer *writer, const char *folder, bool is_buffered,
                     bool has_marker)
{
    snprintf(writer->dump_path, sizeof writer->dump_path, "%s/jit-%d.dump", folder, getpid());
    writer->dump = fopen(writer->dump_path, "w+e");
    if (writer->dump == NULL) {
        return -1;
    }
    setvbuf(writer->dump, NULL, is_buffered ? _IOFBF : _IONBF, BUFFER_BYTES);
    put_u32(writer->dump, MAGIC);
    put_u32(writer->dump, 1);
    put_u32(writer->dump, HEADER_BYTES);
    put_u32(writer->dump, EM_X86_64);
    put_u32(writer->dump, 0);
    put_u32(writer->dump, (uint32_t)getpid());
    put_u64(writer->dump, clock_ns(CLOCK_MONOTONIC));
    put_u64(writer->dump, 0);
    if (has_marker) {
        writer->marker = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC,
                              MAP_PRIVATE, fileno(writer->dump), 0);
    }
    return 0;
}

int jit_write_open(struct jit_writer *writer, const char *folder, bool has_map, bool is_buffered,
                   bool has_marker)
{
    *writer = (struct jit_writer){0};
    if (folder != NULL && open_dump(writer, folder, is_buffered, has_marker) < 0) {
        return -1;
    }
    if (has_map) {
        snprintf(writer->map_path, sizeof writer->map_path, "/tmp/perf-%d.map", getpid());
        writer->map = fopen(writer->map_path, "we");
        if (writer->map == NULL) {
            return -1;
        }
        setvbuf(writer->map, NULL, is_buffered ? _IOFBF : _IOLBF, BUFFER_BYTES);
    }
    return 0;
}

static void put_lines(FILE *file, const struct jit_told *told)
{
    size_t n_bytes = 16;
    for (size_t i = 0; i < told->n_lines; i++) {
        n_bytes += 16 + (i == 0 ? strlen(told->file) + 1 : 2);
    }
    put_prefix(file, DEBUG_INFO, n_bytes);
    put_u64(file, (uintptr_t)told->code);
    put_u64(file, told->n_lines);
    for (size_t i = 0; i < told->n_lines; i++) {
        put_u64(file, (uintptr_t)told->code + told->line_offsets[i]);
        put_u32(file, told->lines[i]);
        put_u32(file, 0);
        const char *name = i == 0 ? told->file : "\xff"; /* the same as before */
        fwrite(name, strlen(name) + 1, 1, file);
    }
}

static void put_unwinding(FILE *file, const struct jit_told *told)
{
    static const uint8_t search_table[SEARCH_TABLE_BYTES] = {1, 0x1b, 0xff, 0xff};
    const size_t n_bytes = told->n_eh_frame_bytes + SEARCH_TABLE_BYTES;
    put_prefix(file, UNWINDING_INFO, 24 + n_bytes);
    put_u64(file, n_bytes);
    put_u64(file, SEARCH_TABLE_BYTES);
    put_u64(file, n_bytes);
    fwrite(told->eh_frame, told->n_eh_frame_bytes, 1, file);
    fwrite(search_table, SEARCH_TABLE_BYTES, 1, file);
}

void jit_write_code(struct jit_writer *writer, const struct jit_told *told)
{
    FILE *file = writer->dump;
    if (file != NULL && told->file != NULL) {
        put_lines(file, told);
    }
    if (file != NULL && told->eh_frame != NULL) {
        put_unwinding(file, told);
    }
    if (file != NULL) {
        const size_t n_name_bytes = strlen(told->name) + 1;
        put_prefix(file, CODE_LOAD, 40 + n_name_bytes + told->n_bytes);
        put_u32(file, (uint32_t)getpid());
        put_u32(file, (uint32_t)syscall(SYS_gettid));
        put_u64(file, (uintptr_t)told->code);
        put_u64(file, (uintptr_t)told->code);
        put_u64(file, told->n_bytes);
        put_u64(file, told->index);
        fwrite(told->name, n_name_bytes, 1, file);
        fwrite(told->code, told->n_bytes, 1, file);
    }
    if (writer->map != NULL) {
        fprintf(writer->map, "%lx %zx %s\n", (unsigned long)(uintptr_t)told->code, told->n_bytes,
                told->name);
    }
}

void jit_write_move(struct jit_writer *writer, const struct jit_told *told, const void *new_code)
{
    if (writer->dump != NULL) {
        put_prefix(writer->dump, CODE_MOVE, 48);
        put_u32(writer->dump, (uint32_t)getpid());
        put_u32(writer->dump, (uint32_t)syscall(SYS_gettid));
        put_u64(writer->dump, (uintptr_t)new_code);
        put_u64(writer->dump, (uintptr_t)told->code);
        put_u64(writer->dump, (uintptr_t)new_code);
        put_u64(writer->dump, told->n_bytes);
        put_u64(writer->dump, told->index);
    }
    if (writer->map != NULL) {
        fprintf(writer->map, "%lx %zx %s\n", (unsigned long)(uintptr_t)new_code, told->n_bytes,
                told->name);
    }
}

void jit_write_close(struct jit_writer *writer)
{
    if (writer->dump != NULL) {
        put_prefix(writer->dump, CODE_CLOSE, 0);
        fclose(writer->dump);
    }
    if (writer->map != NULL) {
        fclose(writer->map);
    }
}
