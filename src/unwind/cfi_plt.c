/* SPDX-License-Identifier: MIT */
/*
 * A stub begins where the one before it has jumped away, so one pass from the
 * first instruction to the last knows how much has been pushed at each. Only
 * the stub at the head of a table is special: on x86-64 the others of it have
 * pushed a number before they jump there.
 */
#include "unwind/cfi_plt.h"

#include <elf.h>
#include <string.h>

#define MAX_SECTIONS 8
#define MAX_SECTION_BYTES (64u << 20)
#define WORD_BYTES 8

enum {
    ADVANCE_LOC = 0x40,
    ADVANCE_LOC4 = 0x04,
    DEF_CFA_OFFSET = 0x0e,
    OFFSET = 0x80,
    RESTORE = 0xc0,
    LINK_REGISTER = 30,
};

/* The rows of one section while they are written. */
struct description {
    struct text *text;
    const uint8_t *start;   /* of the code */
    size_t told_at;         /* bytes from start: where the last row begins */
    unsigned int cfa_bytes; /* what the last row says: CFA = sp + cfa_bytes */
};

static void put(struct text *text, const void *bytes, size_t n_bytes)
{
    text_append_bytes(text, bytes, n_bytes);
}

static void put_u32(struct text *text, uint32_t value)
{
    put(text, &value, sizeof(value));
}

static void put_u64(struct text *text, uint64_t value)
{
    put(text, &value, sizeof(value));
}

/* Where an entry began is known; its length is written once it has ended. */
static size_t begin_entry(struct text *text)
{
    put_u32(text, 0);
    return text->length_bytes;
}

static void end_entry(struct text *text, size_t start)
{
    if (!text->is_cut) {
        uint32_t n_bytes = (uint32_t)(text->length_bytes - start);
        memcpy(text->data + start - sizeof(n_bytes), &n_bytes, sizeof(n_bytes));
    }
}

static void put_cie(struct text *text, enum cfi_machine machine)
{
    /* id, version 1, no augmentation, code and data factors 1 and -8, return address, program */
    static const uint8_t x86_64[] = {0, 0, 0, 0, 1, 0, 1, 0x78, 16, 0x0c, 7, 8, 0x90, 1};
    static const uint8_t aarch64[] = {0, 0, 0, 0, 1, 0, 1, 0x78, 30, 0x0c, 31, 0};
    size_t start = begin_entry(text);
    if (machine == CFI_MACHINE_X86_64) {
        put(text, x86_64, sizeof(x86_64));
    } else {
        put(text, aarch64, sizeof(aarch64));
    }
    end_entry(text, start);
}

/* From `at` on this many bytes are below the CFA. */
static void tell(struct description *description, const uint8_t *at, unsigned int cfa_bytes)
{
    if (cfa_bytes == description->cfa_bytes) {
        return;
    }
    size_t n_bytes = (size_t)(at - description->start) - description->told_at;
    if (n_bytes > 0 && n_bytes < ADVANCE_LOC) {
        text_append_char(description->text, (char)(ADVANCE_LOC | n_bytes));
    } else if (n_bytes > 0) {
        text_append_char(description->text, ADVANCE_LOC4);
        put_u32(description->text, (uint32_t)n_bytes);
    }
    text_append_char(description->text, DEF_CFA_OFFSET);
    text_append_char(description->text, (char)cfa_bytes);
    description->told_at += n_bytes;
    description->cfa_bytes = cfa_bytes;
}

static bool starts_with(const struct bytes *code, const void *bytes, size_t n_bytes)
{
    return bytes_left(code) >= n_bytes && memcmp(code->at, bytes, n_bytes) == 0;
}

/* The bytes behind "0f 1f" of a nop: how it addresses the memory that it does not touch. */
static size_t nop_bytes(uint8_t modrm)
{
    size_t n_bytes = (modrm & 7) == 4 ? 2 : 1;
    unsigned int mode = modrm >> 6;
    return mode == 1 ? n_bytes + 1 : mode == 2 ? n_bytes + 4 : n_bytes;
}

enum effect { EFFECT_NONE, EFFECT_PUSH, EFFECT_JUMP, EFFECT_UNKNOWN };

static enum effect take_x86_64(struct bytes *code)
{
    static const struct {
        uint8_t start[4];
        uint8_t n_start, n_bytes;
        enum effect effect;
    } known[] = {
        {{0xf3, 0x0f, 0x1e, 0xfa}, 4, 4, EFFECT_NONE}, /* endbr64 */
        {{0xff, 0x25}, 2, 6, EFFECT_JUMP},             /* jmp *disp32(%rip) */
        {{0xff, 0x35}, 2, 6, EFFECT_PUSH},             /* push disp32(%rip) */
        {{0xe9}, 1, 5, EFFECT_JUMP},                   /* jmp rel32 */
        {{0xeb}, 1, 2, EFFECT_JUMP},                   /* jmp rel8 */
        {{0x68}, 1, 5, EFFECT_PUSH},                   /* push imm32 */
        {{0x41, 0x53}, 2, 2, EFFECT_PUSH},             /* push %r11 */
        {{0x41, 0xbb}, 2, 6, EFFECT_NONE},             /* mov imm32, %r11d */
        {{0x90}, 1, 1, EFFECT_NONE},                   /* nop */
        {{0xcc}, 1, 1, EFFECT_NONE},                   /* int3 */
    };
    /* Of a branch (bnd), or of a longer nop. */
    while (bytes_left(code) > 1 && (*code->at == 0xf2 || *code->at == 0x66 || *code->at == 0x2e)) {
        bytes_skip(code, 1);
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (starts_with(code, known[i].start, known[i].n_start)) {
            bytes_skip(code, known[i].n_bytes);
            return bytes_has_failed(code) ? EFFECT_UNKNOWN : known[i].effect;
        }
    }
    if (starts_with(code, "\x0f\x1f", 2)) {
        bytes_skip(code, 2);
        bytes_skip(code, bytes_left(code) > 0 ? nop_bytes(*code->at) : 1);
        return bytes_has_failed(code) ? EFFECT_UNKNOWN : EFFECT_NONE;
    }
    return EFFECT_UNKNOWN;
}

/* The head of a table begins with a push of the module; mold's stubs come there without a push. */
static bool is_head_of_pushers(struct bytes code)
{
    if (starts_with(&code, "\xf3\x0f\x1e\xfa", 4)) {
        bytes_skip(&code, 4);
    }
    return starts_with(&code, "\xff\x35", 2);
}

static bool describe_x86_64(struct bytes code, struct description *description)
{
    unsigned int n_words = is_head_of_pushers(code) ? 2 : 1;
    tell(description, code.at, n_words * WORD_BYTES);
    while (bytes_left(&code) > 0) {
        switch (take_x86_64(&code)) {
        case EFFECT_NONE:
            break;
        case EFFECT_PUSH:
            n_words++;
            break;
        case EFFECT_JUMP:
            n_words = 1;
            break;
        case EFFECT_UNKNOWN:
            return false;
        }
        /* Nothing pushes more, so a number of bytes is one byte. */
        if (n_words > 4) {
            return false;
        }
        tell(description, code.at, n_words * WORD_BYTES);
    }
    return true;
}

static bool describe_aarch64(struct bytes code, struct description *description)
{
    const uint32_t stp_x16_x30 = 0xa9bf7bf0; /* stp x16, x30, [sp, #-16]! */
    while (bytes_left(&code) >= sizeof(uint32_t)) {
        uint32_t instruction = bytes_take_u32(&code);
        bool is_branch = (instruction & 0xfffffc1f) == 0xd61f0000; /* br */
        if (instruction == stp_x16_x30 && description->cfa_bytes == 0) {
            tell(description, code.at, 2 * WORD_BYTES);
            text_append_char(description->text, (char)(OFFSET | LINK_REGISTER));
            text_append_char(description->text, 1);
        } else if (is_branch && description->cfa_bytes > 0) {
            tell(description, code.at, 0);
            text_append_char(description->text, (char)(RESTORE | LINK_REGISTER));
        }
    }
    return true;
}

static void describe_section(const struct elf_section *section, struct bytes code,
                             enum cfi_machine machine, struct text *text)
{
    bool is_x86 = machine == CFI_MACHINE_X86_64;
    struct description description = {
        .text = text, .start = code.at, .cfa_bytes = is_x86 ? WORD_BYTES : 0};
    size_t n_before = text->length_bytes;
    size_t start = begin_entry(text);
    put_u32(text, (uint32_t)start); /* from here back to the CIE, which is the first entry */
    put_u64(text, section->image_addr);
    put_u64(text, bytes_left(&code));
    bool is_known =
        is_x86 ? describe_x86_64(code, &description) : describe_aarch64(code, &description);
    end_entry(text, start);
    if (!is_known && !text->is_cut) {
        text->length_bytes = n_before;
    }
}

bool cfi_plt_is_section(const struct elf_section *section)
{
    return section->type == SHT_PROGBITS && (section->flags & SHF_EXECINSTR) != 0 &&
           (strncmp(section->name, ".plt", 4) == 0 || strcmp(section->name, ".iplt") == 0);
}

void cfi_plt_describe(struct elf_file *elf, enum cfi_machine machine, struct text *text)
{
    size_t n_left = MAX_SECTIONS;
    for (size_t i = 1; i < elf_file_n_sections(elf) && n_left > 0; i++) {
        struct elf_section section;
        struct bytes code;
        if (!elf_file_section(elf, i, &section) || !cfi_plt_is_section(&section) ||
            section.n_bytes > MAX_SECTION_BYTES || !elf_file_section_bytes(elf, i, &code) ||
            bytes_left(&code) == 0) {
            continue;
        }
        n_left--;
        if (text->length_bytes == 0) {
            put_cie(text, machine);
        }
        describe_section(&section, code, machine, text);
    }
    /* Half a description is worse than none. */
    if (text->is_cut) {
        text_clear(text);
    }
}
