/* SPDX-License-Identifier: MIT */
#include "unwind/cfi_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct cfi_table *cfi_table_free(struct cfi_table *table)
{
    if (table) {
        free(table->rows);
        free(table->pages);
        free(table);
    }
    return NULL;
}

size_t cfi_table_memory_bytes(const struct cfi_table *table)
{
    return sizeof(*table) + (size_t)table->n_rows * sizeof(table->rows[0]) +
           ((size_t)table->n_pages + 1) * sizeof(table->pages[0]);
}

struct cfi_row cfi_table_find(const struct cfi_table *table, uint64_t image_addr)
{
    if (image_addr < table->base_addr || image_addr >= table->end_addr) {
        return (struct cfi_row){.kind = CFI_NONE};
    }
    uint32_t pc = (uint32_t)(image_addr - table->base_addr);
    uint32_t first = table->pages[pc / CFI_PAGE_BYTES];
    uint32_t last = table->pages[pc / CFI_PAGE_BYTES + 1];
    while (first < last) {
        uint32_t middle = first + (last - first + 1) / 2;
        if (table->rows[middle].pc <= pc) {
            first = middle;
        } else {
            last = middle - 1;
        }
    }
    return table->rows[first];
}

static const char *frame_pointer_name(const struct cfi_table *table)
{
    return table->machine == CFI_MACHINE_AARCH64 ? "x29" : "rbp";
}

static void print_cfa(const struct cfi_table *table, const struct cfi_row *row, char *ret_text,
                      size_t n_bytes)
{
    static const char *const names[] = {
        [CFI_NONE] = "none",
        [CFI_END] = "end",
        [CFI_SIGNAL] = "signal",
        [CFI_UNSUPPORTED] = "unsupported",
    };
    enum cfi_kind kind = row->kind & CFI_KIND_MASK;
    const char *fp = frame_pointer_name(table);
    int offset_bytes = row->cfa * 8;
    switch (kind) {
    case CFI_SP:
        snprintf(ret_text, n_bytes, "CFA=sp%+d", offset_bytes);
        break;
    case CFI_FP:
        snprintf(ret_text, n_bytes, "CFA=%s%+d", fp, offset_bytes);
        break;
    case CFI_SP_DEREF:
        snprintf(ret_text, n_bytes, "CFA=*(sp%+d)", offset_bytes);
        break;
    case CFI_SP_DEREF_8:
        snprintf(ret_text, n_bytes, "CFA=*(sp%+d)+8", offset_bytes);
        break;
    case CFI_FP_DEREF:
        snprintf(ret_text, n_bytes, "CFA=*(%s%+d)", fp, offset_bytes);
        break;
    case CFI_PLT:
        snprintf(ret_text, n_bytes, "CFA=plt(%d)", row->cfa);
        break;
    default:
        snprintf(ret_text, n_bytes, "%s",
                 kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind] : "?");
        break;
    }
}

/* " fp=cfa-16": where something is saved. */
static void print_slot(const struct cfi_table *table, const struct cfi_row *row, const char *name,
                       char *ret_text, size_t n_bytes)
{
    enum cfi_kind kind = row->kind & CFI_KIND_MASK;
    bool is_fp = kind == CFI_FP || kind == CFI_FP_DEREF;
    if (row->fp == 0) {
        ret_text[0] = '\0';
    } else if (row->fp > 0) {
        snprintf(ret_text, n_bytes, " %s=%s%+d", name, is_fp ? frame_pointer_name(table) : "sp",
                 (row->fp - 1) * 8);
    } else {
        snprintf(ret_text, n_bytes, " %s=cfa%+d", name, row->fp * 8);
    }
}

void cfi_row_print(const struct cfi_table *table, const struct cfi_row *row, char *ret_text,
                   size_t n_bytes)
{
    char cfa[40];
    char slot[40];
    bool is_ra = (row->kind & CFI_RA_AT_FP) != 0;
    print_cfa(table, row, cfa, sizeof(cfa));
    print_slot(table, row, is_ra ? "ra" : "fp", slot, sizeof(slot));
    snprintf(ret_text, n_bytes, "0x%" PRIx64 " %s%s%s%s", table->base_addr + row->pc, cfa, slot,
             (row->kind & CFI_RA_LR) != 0 ? " ra=lr" : "",
             (row->kind & CFI_RA_SIGNED) != 0 ? " signed" : "");
}
