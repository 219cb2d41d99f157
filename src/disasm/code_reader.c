/* SPDX-License-Identifier: MIT */
#include "disasm/code_reader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "disasm/code_bounds.h"
#include "disasm/kernel_memory.h"
#include "images/elf_file.h"
#include "images/image_file.h"

/* Of proc_pid_stat(5): the start time is in ticks since the machine began. */
#define FIRST_FIELD_AFTER_NAME 3
#define START_FIELD 22
#define MAX_STAT_BYTES ((size_t)4096)

struct code_reader {
    const struct code_access *access;
    const struct image *image;
    struct image_file *file; /* NULL: no file stands behind it */
    struct elf_file *elf;
    enum disasm_machine machine;
    const char *origin;
    int64_t modified_s;
};

static int open_elf(struct code_reader *reader, struct error *reterr_error)
{
    int r = image_file_open(reader->image, &reader->file, reterr_error);
    if (r < 0) {
        return r;
    }
    size_t n_bytes;
    const void *memory = image_file_memory(reader->file, &n_bytes);
    int fd = image_file_descriptor(reader->file);
    r = memory ? elf_file_open_memory(memory, n_bytes, &reader->elf, reterr_error)
               : elf_file_open_descriptor(fd, &reader->elf, reterr_error);
    if (r < 0) {
        return r;
    }
    if (!disasm_machine_of_elf(elf_file_machine(reader->elf), &reader->machine)) {
        error_set(reterr_error, "not_supported", "%s holds code of a machine that is not known",
                  reader->image->name);
        return -ENOTSUP;
    }
    struct stat status;
    if (!memory && fstat(fd, &status) == 0) {
        reader->modified_s = status.st_mtim.tv_sec;
    }
    return 0;
}

static bool has_own_code(const struct image *image)
{
    return image->kind == IMAGE_KIND_FILE || image->kind == IMAGE_KIND_VDSO ||
           image->kind == IMAGE_KIND_KERNEL;
}

static int open_kept(struct code_reader *reader, struct error *reterr_error)
{
    const struct kept_code *kept = reader->access->kept;
    if (!kept && has_own_code(reader->image)) {
        error_set(reterr_error, "no_code", "nobody kept it");
        return -ENODATA;
    }
    const struct kept_code_facts *facts = kept ? kept_code_facts(kept) : NULL;
    if (facts && facts->open_failure) {
        error_set(reterr_error, "no_code", "%s", facts->open_failure);
        return -ENODATA;
    }
    reader->machine = facts ? facts->machine : reader->machine;
    reader->modified_s = facts ? facts->modified_s : 0;
    return 0;
}

int code_reader_open(const struct code_access *access, const struct image *image,
                     struct code_reader **ret_reader, struct error *reterr_error)
{
    _cleanup_(code_reader_freep) struct code_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        error_set_errno(reterr_error, -ENOMEM, "reading code");
        return -ENOMEM;
    }
    reader->access = access;
    reader->image = image;
    reader->machine = disasm_own_machine();
    reader->origin = "none";
    if (access->is_kept_only) {
        int r = open_kept(reader, reterr_error);
        if (r < 0) {
            return r;
        }
    } else if (image->kind == IMAGE_KIND_FILE || image->kind == IMAGE_KIND_VDSO) {
        int r = open_elf(reader, reterr_error);
        if (r < 0) {
            return r;
        }
    }
    *ret_reader = TAKE_PTR(reader);
    return 0;
}

struct code_reader *code_reader_free(struct code_reader *reader)
{
    if (reader) {
        elf_file_free(reader->elf);
        image_file_free(reader->file);
        free(reader);
    }
    return NULL;
}

enum disasm_machine code_reader_machine(const struct code_reader *reader)
{
    return reader->machine;
}

const char *code_reader_origin(const struct code_reader *reader)
{
    return reader->origin;
}

int64_t code_reader_modified_s(const struct code_reader *reader)
{
    return reader->modified_s;
}

static ssize_t read_file(struct code_reader *reader, uint64_t address, void *buffer, size_t n_bytes)
{
    const struct elf_layout *layout = elf_file_layout(reader->elf);
    for (size_t i = 0; i < layout->n_segments; i++) {
        const struct elf_segment *segment = &layout->segments[i];
        if (address < segment->image_addr || address - segment->image_addr >= segment->n_bytes) {
            continue;
        }
        uint64_t within = address - segment->image_addr;
        uint64_t n_there = segment->n_bytes - within;
        n_bytes = n_bytes < n_there ? n_bytes : n_there;
        uint64_t offset = segment->file_offset + within;
        size_t memory_bytes;
        const uint8_t *memory = image_file_memory(reader->file, &memory_bytes);
        if (memory) {
            size_t n_left = offset < memory_bytes ? memory_bytes - offset : 0;
            n_bytes = n_bytes < n_left ? n_bytes : n_left;
            memcpy(buffer, memory + (n_left > 0 ? offset : 0), n_bytes);
            return (ssize_t)n_bytes;
        }
        ssize_t r = pread(image_file_descriptor(reader->file), buffer, n_bytes, (off_t)offset);
        return r < 0 ? -errno : r;
    }
    return 0;
}

/* Did the process begin before the code was seen in it? Where that is not known, it did not. */
static bool is_old_enough(int64_t pid, uint64_t seen_ns)
{
    _cleanup_(freep) char *stat = NULL;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
    long ticks_per_s = sysconf(_SC_CLK_TCK);
    if (ticks_per_s <= 0 || fd_read_file(path, MAX_STAT_BYTES, &stat, NULL) < 0) {
        return false;
    }
    const char *at = strrchr(stat, ')'); /* the name before it may hold anything */
    at = at ? at + 1 : NULL;
    for (int field = FIRST_FIELD_AFTER_NAME; at && field < START_FIELD; field++) {
        at = strchr(at + 1, ' ');
    }
    if (!at) {
        return false;
    }
    uint64_t tick_ns = NS_PER_S / (uint64_t)ticks_per_s;
    uint64_t start_ns = strtoull(at, NULL, 10) * tick_ns;
    uint64_t asleep_ns = clock_read_ns(CLOCK_BOOTTIME) - clock_now_ns();
    return start_ns <= seen_ns + asleep_ns + tick_ns;
}

static bool is_unchanged(const struct code_access *access)
{
    return !access->is_unchanged || access->is_unchanged(access->userdata);
}

/* -ESTALE where something else stands there by now, -ESRCH where the process is another one. */
static ssize_t read_target(const struct code_reader *reader, uint64_t address, void *buffer,
                           size_t n_bytes)
{
    const struct code_access *access = reader->access;
    int64_t pid = access->memory_pid ? access->memory_pid : reader->image->pid;
    char path[64];
    if (!is_unchanged(access)) {
        return -ESTALE;
    }
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/mem", pid);
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    /* Asked when the memory is open already: it stays that of the same process. */
    if (access->seen_ns != 0 && !is_old_enough(pid, access->seen_ns)) {
        return -ESRCH;
    }
    ssize_t r = pread(fd, buffer, n_bytes, (off_t)address);
    if (r < 0) {
        return -errno;
    }
    return is_unchanged(access) ? r : -ESTALE;
}

static void say_why(const struct code_access *access, ssize_t failure, uint64_t address,
                    struct error *reterr_error)
{
    if (!access->is_target_alive) {
        error_set(reterr_error, "no_code",
                  "the run has ended, and nobody kept the code at 0x%" PRIx64, address);
        error_hint(reterr_error, "annotate it during the run, or have the program write a jitdump "
                                 "(node --perf-prof)");
    } else if (failure == -ESTALE) {
        error_set(reterr_error, "no_code", "the code at 0x%" PRIx64 " was replaced since", address);
    } else {
        error_set(reterr_error, "no_code",
                  "the code at 0x%" PRIx64 " is gone from the program's memory", address);
        error_hint(reterr_error, "annotate it while the program runs");
    }
}

/* 0: nobody kept it. A failure that was kept is told as it was. */
static ssize_t read_kept(struct code_reader *reader, int64_t pid, uint64_t address, void *buffer,
                         size_t n_bytes, struct error *reterr_error)
{
    const struct kept_code *kept = reader->access->kept;
    const struct kept_piece *piece = kept ? kept_code_find(kept, pid, address) : NULL;
    if (piece && piece->failure) {
        error_set(reterr_error, "no_code", "%s", piece->failure);
        if (piece->hint) {
            error_hint(reterr_error, "%s", piece->hint);
        }
        return -ENODATA;
    }
    if (!piece || address - piece->start_addr >= piece->n_bytes) {
        return 0;
    }
    size_t n_there = piece->n_bytes - (size_t)(address - piece->start_addr);
    n_bytes = n_bytes < n_there ? n_bytes : n_there;
    memcpy(buffer, piece->bytes + (address - piece->start_addr), n_bytes);
    reader->origin = piece->origin ? piece->origin : "none";
    return (ssize_t)n_bytes;
}

static ssize_t read_anonymous(struct code_reader *reader, uint64_t address, void *buffer,
                              size_t n_bytes, struct error *reterr_error)
{
    const struct code_access *access = reader->access;
    ssize_t r = 0;
    if (access->read_recorded) {
        r = access->read_recorded(access->userdata, reader->image, address, buffer, n_bytes);
        reader->origin = "record";
    }
    if (r <= 0 && access->is_kept_only) {
        int64_t pid = access->memory_pid ? access->memory_pid : reader->image->pid;
        r = read_kept(reader, pid, address, buffer, n_bytes, reterr_error);
    } else if (r <= 0 && access->is_target_alive) {
        r = read_target(reader, address, buffer, n_bytes);
        reader->origin = "target memory";
    }
    if (r <= 0) {
        reader->origin = "none";
        say_why(access, r, address, reterr_error);
        return r < 0 ? r : -ENODATA;
    }
    return r;
}

ssize_t code_reader_read(struct code_reader *reader, uint64_t address, void *buffer, size_t n_bytes,
                         struct error *reterr_error)
{
    ssize_t r;
    if (reader->access->is_kept_only && has_own_code(reader->image)) {
        reader->origin = "none";
        r = read_kept(reader, 0, address, buffer, n_bytes, reterr_error);
        if (r == 0) {
            error_set(reterr_error, "no_code", "nobody kept the code of %s at 0x%" PRIx64,
                      reader->image->name, address);
            r = -ENODATA;
        }
        return r;
    }
    switch (reader->image->kind) {
    case IMAGE_KIND_KERNEL:
        reader->origin = "kernel memory";
        r = kernel_memory_read(KERNEL_MEMORY_PATH, address, buffer, n_bytes, reterr_error);
        break;
    case IMAGE_KIND_FILE:
    case IMAGE_KIND_VDSO:
        reader->origin = reader->image->kind == IMAGE_KIND_FILE ? "file" : "target memory";
        r = read_file(reader, address, buffer, n_bytes);
        if (r <= 0) {
            error_set(reterr_error, "no_code", "%s holds no code at 0x%" PRIx64,
                      reader->image->name, address);
            r = r < 0 ? r : -ENODATA;
        }
        break;
    default:
        return read_anonymous(reader, address, buffer, n_bytes, reterr_error);
    }
    reader->origin = r > 0 ? reader->origin : "none";
    return r;
}

/* How offsets become addresses; NULL: they are addresses. */
static const struct elf_layout *layout_of(const struct code_reader *reader)
{
    const struct code_access *access = reader->access;
    const struct kept_code_facts *facts =
        access->is_kept_only && access->kept ? kept_code_facts(access->kept) : NULL;
    if (facts) {
        return facts->has_file ? &facts->layout : NULL;
    }
    return reader->elf ? elf_file_layout(reader->elf) : NULL;
}

static bool is_in_segment(const struct elf_segment *segment, uint64_t address)
{
    return address >= segment->image_addr && address - segment->image_addr < segment->n_bytes;
}

bool code_reader_offset(const struct code_reader *reader, uint64_t address, uint64_t *ret_offset)
{
    const struct elf_layout *layout = layout_of(reader);
    if (!layout) {
        *ret_offset = address;
        return true;
    }
    for (size_t i = 0; i < layout->n_segments; i++) {
        const struct elf_segment *segment = &layout->segments[i];
        if (is_in_segment(segment, address)) {
            *ret_offset = segment->file_offset + (address - segment->image_addr);
            return true;
        }
    }
    return false;
}

static bool find_section(struct elf_file *elf, uint64_t address, struct elf_section *ret_section)
{
    size_t n_sections = elf_file_n_sections(elf);
    for (size_t i = 1; i < n_sections; i++) {
        if (elf_file_section(elf, i, ret_section) && (ret_section->flags & SHF_EXECINSTR) &&
            address >= ret_section->image_addr &&
            address - ret_section->image_addr < ret_section->n_bytes) {
            return true;
        }
    }
    return false;
}

/* Without the file's sections: as far as its segments tell. */
static bool is_kept_code(const struct code_reader *reader, uint64_t address)
{
    const struct elf_layout *layout = layout_of(reader);
    bool is_code = !layout || layout->n_segments == 0;
    for (size_t i = 0; layout && i < layout->n_executable && i < layout->n_segments; i++) {
        is_code = is_code || is_in_segment(&layout->segments[i], address);
    }
    return is_code;
}

bool code_reader_is_code(struct code_reader *reader, uint64_t address)
{
    if (reader->access->is_kept_only) {
        return is_kept_code(reader, address);
    }
    struct elf_section section;
    return !reader->elf || elf_file_n_sections(reader->elf) == 0 ||
           find_section(reader->elf, address, &section);
}

bool code_reader_bounds(struct code_reader *reader, uint64_t address, uint64_t *ret_start,
                        uint64_t *ret_end)
{
    struct elf_section section, header;
    struct bytes bytes;
    if (reader->access->is_kept_only) {
        return reader->access->kept &&
               kept_code_bounds(reader->access->kept, address, ret_start, ret_end);
    }
    if (!reader->elf || !find_section(reader->elf, address, &section) ||
        !elf_file_section_named(reader->elf, ".eh_frame_hdr", &header) ||
        !elf_file_section_bytes(reader->elf, header.index, &bytes) ||
        !code_bounds_find(bytes, header.image_addr, address, ret_start, ret_end)) {
        return false;
    }
    uint64_t end = section.image_addr + section.n_bytes;
    *ret_start = *ret_start > section.image_addr ? *ret_start : section.image_addr;
    *ret_end = *ret_end < end ? *ret_end : end;
    return *ret_start < *ret_end;
}

void code_reader_describe(const struct code_reader *reader, struct kept_code_facts *ret_facts)
{
    const struct elf_layout *layout = layout_of(reader);
    *ret_facts = (struct kept_code_facts){
        .machine = reader->machine,
        .modified_s = reader->modified_s,
        .has_file = layout != NULL,
    };
    if (layout) {
        ret_facts->layout = *layout;
    }
}
