/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_test - sections written by hand, and tables as text
 *
 * Owner:   the test's frame holds the section. Threads: one.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unwind/cfi_table.h"

#define SECTION_ADDR UINT64_C(0x2000)
#define CODE_ADDR UINT64_C(0x10000)

/* A .eh_frame that grows; entries are begun and ended. */
struct section {
    uint8_t data[16384];
    size_t n_bytes;
    size_t entry; /* where the length of the open entry is */
    size_t cie;   /* of the last CIE */
};

static inline void put_bytes(struct section *section, const void *bytes, size_t n_bytes)
{
    assert_true(section->n_bytes + n_bytes <= sizeof(section->data));
    memcpy(section->data + section->n_bytes, bytes, n_bytes);
    section->n_bytes += n_bytes;
}

static inline void put_u8(struct section *section, uint8_t value)
{
    put_bytes(section, &value, sizeof(value));
}

static inline void put_u32(struct section *section, uint32_t value)
{
    put_bytes(section, &value, sizeof(value));
}

static inline void put_u64(struct section *section, uint64_t value)
{
    put_bytes(section, &value, sizeof(value));
}

static inline void begin_entry(struct section *section)
{
    section->entry = section->n_bytes;
    put_u32(section, 0);
}

static inline void end_entry(struct section *section)
{
    uint32_t n_bytes = (uint32_t)(section->n_bytes - section->entry - 4);
    memcpy(section->data + section->entry, &n_bytes, sizeof(n_bytes));
}

/* As compilers write it: version 1, addresses pc-relative in 4 bytes; ends with `program`. */
static inline void put_cie(struct section *section, const char *letters, enum cfi_machine machine,
                           const void *program, size_t n_bytes)
{
    bool is_x86 = machine == CFI_MACHINE_X86_64;
    section->cie = section->n_bytes;
    begin_entry(section);
    put_u32(section, 0);
    put_u8(section, 1);
    put_bytes(section, letters, strlen(letters) + 1);
    put_u8(section, is_x86 ? 1 : 4);
    put_u8(section, 0x78); /* -8 */
    put_u8(section, is_x86 ? 16 : 30);
    put_u8(section, 1); /* bytes of augmentation: the encoding */
    put_u8(section, 0x1b);
    put_bytes(section, program, n_bytes);
    end_entry(section);
}

/* x86-64: CFA = rsp + 8, return address at CFA - 8. */
static inline void put_usual_cie(struct section *section)
{
    static const uint8_t program[] = {0x0c, 7, 8, 0x90, 1};
    put_cie(section, "zR", CFI_MACHINE_X86_64, program, sizeof(program));
}

static inline void put_fde(struct section *section, uint64_t start_addr, uint32_t n_code_bytes,
                           const void *program, size_t n_bytes)
{
    begin_entry(section);
    put_u32(section, (uint32_t)(section->n_bytes - section->cie));
    put_u32(section, (uint32_t)(start_addr - (SECTION_ADDR + section->n_bytes)));
    put_u32(section, n_code_bytes);
    put_u8(section, 0);
    put_bytes(section, program, n_bytes);
    end_entry(section);
}

static inline struct cfi_table *build_section(enum cfi_machine machine,
                                              const struct section *section)
{
    struct cfi_table *table = NULL;
    struct error error = {0};
    int r = cfi_table_build_eh_frame(machine, bytes_of(section->data, section->n_bytes),
                                     SECTION_ADDR, NULL, &table, &error);
    if (r < 0) {
        fail_msg("%s", error.message);
    }
    return table;
}

/* All rows, one a line. */
static inline const char *table_text(const struct cfi_table *table)
{
    static char text[16384];
    size_t n_bytes = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < table->n_rows; i++) {
        char row[100];
        cfi_row_print(table, &table->rows[i], row, sizeof(row));
        n_bytes += (size_t)snprintf(text + n_bytes, sizeof(text) - n_bytes, "%s\n", row);
        assert_true(n_bytes < sizeof(text));
    }
    return text;
}
