/* SPDX-License-Identifier: MIT */
/*
 * Where a file keeps its unwind information: .eh_frame by its section header;
 * where there are none, through the program header that the C++ runtime uses
 * itself; and .debug_frame, which compilers write where exceptions are off. What
 * linkers made and did not describe comes last (cfi_plt).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "unwind/cfi_compile.h"
#include "unwind/cfi_plt.h"

#define MAX_DEBUG_FRAME_BYTES (1u << 30)
#define MAX_EH_FRAME_BYTES (1u << 30)
/* Of .eh_frame_hdr: what stands before its table. */
#define EH_FRAME_HEADER_BYTES 64u

static bool find_section(struct elf_file *elf, const char *name, struct cfi_section *ret_section)
{
    struct elf_section section;
    struct bytes bytes;
    if (!elf_file_section_named(elf, name, &section) ||
        !elf_file_section_inflated(elf, section.index, MAX_DEBUG_FRAME_BYTES, &bytes) ||
        bytes_left(&bytes) == 0) {
        return false;
    }
    ret_section->bytes = bytes;
    ret_section->addr = section.image_addr;
    ret_section->ends_at_zero = false;
    return true;
}

/* .eh_frame_hdr: version, three encodings, then the address of .eh_frame. */
static bool find_through_header(struct elf_file *elf, struct cfi_section *ret_section)
{
    struct elf_segment segment;
    struct bytes header;
    if (!elf_file_segment_of_type(elf, PT_GNU_EH_FRAME, &segment) ||
        !elf_file_loaded_bytes(elf, segment.image_addr, EH_FRAME_HEADER_BYTES, &header)) {
        return false;
    }
    const uint8_t *start = header.at;
    uint8_t version = bytes_take_u8(&header);
    uint8_t encoding = bytes_take_u8(&header);
    bytes_skip(&header, 2);
    uint64_t addr =
        cfi_pointer_take(&header, encoding, start, segment.image_addr, segment.image_addr);
    if (version != 1 || bytes_has_failed(&header) ||
        !elf_file_loaded_bytes(elf, addr, MAX_EH_FRAME_BYTES, &ret_section->bytes)) {
        return false;
    }
    ret_section->addr = addr;
    ret_section->ends_at_zero = true;
    return true;
}

bool cfi_elf_eh_frame(struct elf_file *elf, struct cfi_section *ret_section)
{
    return find_section(elf, ".eh_frame", ret_section) || find_through_header(elf, ret_section);
}

/* Files without program headers (what a compiler makes) have code anywhere. */
static size_t find_code(struct elf_file *elf, struct cfi_code_range *ret_ranges)
{
    const struct elf_layout *layout = elf_file_layout(elf);
    uint64_t file_bytes = elf_file_n_bytes(elf);
    size_t n_ranges = 0;
    for (size_t i = 0; i < layout->n_executable; i++) {
        const struct elf_segment *segment = &layout->segments[i];
        uint64_t offset = segment->file_offset < file_bytes ? segment->file_offset : file_bytes;
        uint64_t n_bytes = segment->n_bytes;
        n_bytes = n_bytes < file_bytes - offset ? n_bytes : file_bytes - offset;
        if (segment->image_addr + n_bytes > segment->image_addr) {
            ret_ranges[n_ranges++] = (struct cfi_code_range){
                .start_addr = segment->image_addr,
                .end_addr = segment->image_addr + n_bytes,
            };
        }
    }
    return n_ranges;
}

static int find_machine(const struct elf_file *elf, enum cfi_machine *ret_machine,
                        struct error *reterr_error)
{
    uint16_t machine = elf_file_machine(elf);
    if (elf_file_is_64_bit_little_endian(elf) && machine == EM_X86_64) {
        *ret_machine = CFI_MACHINE_X86_64;
        return 0;
    }
    if (elf_file_is_64_bit_little_endian(elf) && machine == EM_AARCH64) {
        *ret_machine = CFI_MACHINE_AARCH64;
        return 0;
    }
    error_set(reterr_error, "unsupported_machine",
              "code of ELF machine %u is not unwound: x86-64 and aarch64 are", machine);
    return -ENOTSUP;
}

/* Both are read: .eh_frame may tell of start-up code only, and .debug_frame of the rest. */
static void find_sections(struct elf_file *elf, struct cfi_compile_input *input)
{
    struct cfi_section section = {.machine = input->machine};
    input->origin = "";
    if (cfi_elf_eh_frame(elf, &section)) {
        input->sections[input->n_sections++] = section;
        input->origin = ".eh_frame";
    }
    if (find_section(elf, ".debug_frame", &section)) {
        section.is_debug_frame = true;
        input->sections[input->n_sections++] = section;
        input->origin = input->n_sections == 1 ? ".debug_frame" : ".eh_frame, .debug_frame";
        /* Inflated, it may be larger than its file. */
        input->n_input_bytes += bytes_left(&section.bytes);
    }
}

int cfi_table_build_elf(struct elf_file *elf, struct cfi_table **ret_table,
                        struct error *reterr_error)
{
    struct cfi_code_range ranges[ELF_LAYOUT_MAX_SEGMENTS];
    struct cfi_compile_input input = {
        .n_ranges = find_code(elf, ranges),
        .n_input_bytes = elf_file_n_bytes(elf),
    };
    input.ranges = elf_file_layout(elf)->n_segments > 0 ? ranges : NULL;
    int r = find_machine(elf, &input.machine, reterr_error);
    if (r < 0) {
        return r;
    }
    find_sections(elf, &input);
    if (input.n_sections == 0) {
        error_set(reterr_error, "no_unwind_information", "the file has no unwind information");
        return -ENODATA;
    }
    _cleanup_(text_releasep) struct text stubs;
    text_init(&stubs, CFI_PLT_MAX_BYTES);
    cfi_plt_describe(elf, input.machine, &stubs);
    if (stubs.length_bytes > 0) {
        input.sections[input.n_sections++] = (struct cfi_section){
            .machine = input.machine, .bytes = bytes_of(stubs.data, stubs.length_bytes)};
    }
    return cfi_compile(&input, ret_table, reterr_error);
}
