/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * cfi_expression - the few DWARF expressions that unwind information is made of
 *
 * Rows cannot evaluate expressions; but those that toolchains write have a
 * handful of forms, and these are recognised: `register + n`, its dereference
 * (stacks that were realigned), and what linkers write for a PLT.
 *
 * Owner, Threads: values.
 * Source:  DWARF 5, section 7.7.1; the forms are those in Debian 12's libraries.
 * Tests:   cfi_expression_test.c
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct cfi_expression {
    enum {
        CFI_EXPRESSION_OTHER,
        CFI_EXPRESSION_REGISTER, /* register + offset */
        CFI_EXPRESSION_DEREF,    /* *(register + offset) + added */
        CFI_EXPRESSION_PLT,      /* sp + 8 + (ip % 16 >= offset ? 8 : 0); register is the sp */
    } kind;
    uint32_t register_number;
    int64_t offset_bytes;
    uint64_t added_bytes;
};

struct cfi_expression cfi_expression_read(struct bytes operations);
